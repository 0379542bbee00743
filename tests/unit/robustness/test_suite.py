import json
import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
from experiments import ROOT, TINY, tiny_experiment, tiny_reference

from methmix.evaluation.controls import CONTROLS, Context
from methmix.files.reference import write_reference
from methmix.models.prediction import Prediction
from methmix.robustness import __main__ as robustness
from methmix.robustness.suite import measure

pytestmark = pytest.mark.slow

RECIPE = tiny_experiment().mixtures.recipes["phase2"]
FILES = ("report.html", "robustness.csv", "robustness.json")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, tiny_checkpoint):
    folder = tmp_path_factory.mktemp("robustness")
    write_reference(folder / "reference.h5", tiny_reference())
    return folder / "reference.h5", tiny_checkpoint


@pytest.fixture(scope="module")
def run(inputs, tmp_path_factory):
    """Run the command once, with few mixtures; gives its folder."""
    output = tmp_path_factory.mktemp("output")
    reference, checkpoint = inputs
    options = ["--config", str(TINY), "--reference", str(reference), "--checkpoint", str(checkpoint)]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr("sys.argv", ["robustness", *options, "--mixtures", "6", "--output", str(output)])
        assert robustness.main() == 0
    return output


def test_every_situation_and_method_is_in_the_results(run):
    assert sorted(path.name for path in run.iterdir()) == sorted(FILES)
    record, table = json.loads((run / "robustness.json").read_text()), pd.read_csv(run / "robustness.csv")
    assert set(table["method"]) == {"sparse", "nnls", "em"}
    assert len(table) == 3 * len(record["situations"])
    verdicts = [verdict for situation in record["situations"] for verdict in situation["expectations"]]
    assert record["held"] + record["not_held"] == len(verdicts)
    for situation in record["situations"]:
        broken = {verdict["quantity"] for verdict in situation["expectations"] if not verdict["held"]}
        at = (table["group"] == situation["group"]) & (table["situation"] == situation["situation"])
        stated = table.loc[at & (table["method"] == "sparse"), "not_held"].fillna("").item()
        assert {*filter(None, stated.split("; "))} == broken
        # Where no sample is answered there is nothing to expect.
        assert situation["expectations"] or table.loc[at & (table["method"] == "sparse"), "unanswered"].item() == 1


def test_page_opens_offline_and_says_what_is_not_held(run):
    page, record = (run / "report.html").read_text(), json.loads((run / "robustness.json").read_text())
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert page.count("data:image/png") == 6
    assert f"{record['held']} of {record['held'] + record['not_held']} expectations held" in page
    assert page.count('<span class="wrong">not held</span>') == record["not_held"]


def certain(mixtures, said=1.0) -> Prediction:
    """Say with certainty that all is in the first tissue."""
    proportions = np.zeros(mixtures.proportions.shape)
    proportions[:, 0] = 1
    low, error = 0.9 * proportions, np.full(proportions.shape, 1e-3)
    fits = {"misfit": np.ones(len(mixtures)), "misfit_limit": np.full(len(mixtures), 2.0)}
    return Prediction(proportions, said * proportions, low=low, high=proportions, error=error, limit=error, **fits)


def silent(mixtures) -> Prediction:
    """Give no numbers for any sample."""
    made = certain(mixtures)
    return Prediction(made.proportions, made.proportions, low=made.low, high=made.high, error=1 + made.proportions)


def not_held(method) -> set[tuple[str, str]]:
    reference = tiny_reference()
    nnls = partial(CONTROLS["nnls"], Context(reference, tiny_experiment(), "phase2"))
    found = measure(1, reference, RECIPE, {"sparse": method, "nnls": nnls}, 4)
    return {
        (situation["group"], verdict["quantity"])
        for situation in found
        for verdict in situation["expectations"]
        if not verdict["held"]
    }


def test_certain_nonsense_holds_nothing():
    broken = not_held(certain)
    for kind in ("regions", "shift", "foreign", "depth"):
        assert {(kind, name) for name in ("absent_excluded", "absent_said", "large_zero", "auc_minus_nnls")} <= broken
    assert {("composition", "mae_over_nnls"), ("foreign", "flagged"), ("nothing", "claimed")} <= broken


def test_a_method_that_never_answers_claims_nothing_but_is_not_held_for_answered():
    broken = not_held(silent)
    assert ("depth", "unanswered") in broken
    assert ("nothing", "claimed") not in broken
    assert not {quantity for _, quantity in broken} & {"absent_said", "absent_excluded", "large_zero"}


def test_a_situation_is_the_same_whatever_else_is_measured():
    reference = tiny_reference()
    nnls = partial(CONTROLS["nnls"], Context(reference, tiny_experiment(), "phase2"))
    one, two = (
        measure(1, reference, RECIPE, methods, 3)
        for methods in ({"sparse": nnls, "nnls": nnls}, {"sparse": nnls, "certain": certain, "nnls": nnls})
    )
    for first, second in zip(one, two, strict=True):
        assert first["methods"]["sparse"] == pytest.approx(second["methods"]["sparse"], nan_ok=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--mixtures": "0"}, "--mixtures: 0: expected at least 1"),
        ({"--checkpoint": "no.pt"}, "no.pt"),
    ],
)
def test_wrong_usage(inputs, tmp_path, monkeypatch, capsys, change, message):
    reference, checkpoint = inputs
    options = {"--config": str(TINY), "--reference": str(reference), "--checkpoint": str(checkpoint)}
    options |= {"--output": str(tmp_path / "out"), **change}
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["robustness", *(part for pair in options.items() for part in pair)])
    assert robustness.main() == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
