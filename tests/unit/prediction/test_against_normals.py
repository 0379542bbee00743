"""Prediction beside a panel of normals, by the command: made by itself, handed on, refused."""

import json

import numpy as np
import pandas as pd
import pytest
from experiments import PHASE3, counts_table

from methmix import seeds
from methmix.mixtures.sampler import MixtureSampler
from methmix.normals.__main__ import main as make_normals
from methmix.normals.panel_file import read_panel

N_CONTROLS, N_CASES = 14, 4


@pytest.fixture(scope="module")
def background():
    return list(PHASE3.composition)


@pytest.fixture(scope="module")
def laboratory(reference, background, tmp_path_factory):
    """Write samples of one laboratory, controls of blood alone and cases with 30 % of one tissue, and their sheet."""
    folder = tmp_path_factory.mktemp("laboratory")
    rng = seeds.generator(3, "laboratory")
    sampler = MixtureSampler(reference, "test", PHASE3, [60])
    columns = [reference.tissue_names.index(name) for name in background]
    truth = np.zeros((N_CONTROLS + N_CASES, len(reference.tissue_names)), dtype=np.float32)
    truth[:, columns] = rng.dirichlet(50 * np.array(list(PHASE3.composition.values())), len(truth))
    foreign = next(place for place in range(truth.shape[1]) if place not in columns)
    truth[N_CONTROLS:] *= 0.7
    truth[N_CONTROLS:, foreign] = 0.3
    file = counts_table(reference, sampler.mix(truth, np.array([60.0]), rng), folder / "counts.tsv")
    groups = ["Control"] * N_CONTROLS + ["Case"] * N_CASES
    sheet = folder / "sheet.tsv"
    rows = [f"S{row}\t{file}\t{group}\n" for row, group in enumerate(groups)]
    sheet.write_text("sample\tfile\tgroup\n" + "".join(rows))
    return sheet, reference.tissue_names[foreign]


@pytest.fixture(scope="module")
def predicted(laboratory, checkpoint, background, tmp_path_factory):
    """Predict once with the panel that a control group makes by itself."""
    from methmix.prediction.__main__ import main

    output = tmp_path_factory.mktemp("predicted") / "predictions.csv"
    arguments = ["--checkpoint", checkpoint, "--sheet", laboratory[0], "--control-group", "Control", "--output", output]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["methmix.prediction", *map(str, arguments), "--background", *background])
        assert main() == 0
    return output


def test_the_control_group_makes_a_panel_by_itself(predicted, background):
    record = json.loads(predicted.with_suffix(".json").read_text())
    panel = read_panel(predicted.with_name("predictions_normals.h5"))
    assert record["normals"]["n_controls"] == N_CONTROLS and record["normals"]["background"] == background
    assert record["normals"]["digest"] == panel.attributes["digest"]
    of_controls = [own["above_normals"]["crossfitted"] for own in record["samples"]]
    assert of_controls == [True] * N_CONTROLS + [False] * N_CASES


def test_what_is_called_has_its_amount_and_what_is_not_is_exactly_0(predicted, laboratory, background):
    table = pd.read_csv(predicted)
    np.testing.assert_allclose(table.groupby("sample")["proportion"].sum(), 1, atol=1e-6)
    assert (table["interval_low"] <= table["proportion"]).all()
    assert (table["proportion"] <= table["interval_high"]).all()
    of_interest = table[~table["tissue"].isin(background)]
    assert (of_interest.loc[of_interest["called_95"].astype(bool), "proportion"] > 0).all()
    assert (of_interest.loc[~of_interest["called_95"].astype(bool), "proportion"] == 0).all()
    assert of_interest["called_95"].sum() >= of_interest["called_99"].sum()
    cases = of_interest[(of_interest["group"] == "Case") & (of_interest["tissue"] == laboratory[1])]
    assert cases["called_95"].astype(bool).all() and cases["proportion"].between(0.15, 0.4).all()
    controls = of_interest[of_interest["group"] == "Control"]
    assert controls.groupby("sample")["proportion"].sum().mean() < 0.03


def test_a_panel_is_made_and_handed_on(predicted, laboratory, checkpoint, background, command, tmp_path, monkeypatch):
    panel = tmp_path / "normals.h5"
    arguments = ["--samples", laboratory[0], "--control-group", "Control", "--checkpoint", checkpoint]
    monkeypatch.setattr(
        "sys.argv", ["methmix.normals", *map(str, arguments), "--output", str(panel), "--background", *background]
    )
    assert make_normals() == 0
    code, _, output = command("--sheet", laboratory[0], "--normals", panel)
    assert code == 0
    columns = ["sample", "tissue", "proportion", "presence_probability", "interval_high", "called_95"]
    pd.testing.assert_frame_equal(pd.read_csv(output)[columns], pd.read_csv(predicted)[columns])


def test_without_a_panel(laboratory, command, background):
    code, _, output = command("--sheet", laboratory[0], "--normals", "none", "--control-group", "Control",
                              "--background", *background)  # fmt: skip
    assert code == 0 and json.loads(output.with_suffix(".json").read_text())["normals"] is None
    assert pd.read_csv(output)["called_95"].isna().all()
    assert not output.with_name("predictions_normals.h5").exists()


@pytest.mark.parametrize(("arguments", "message"), [
    (["--normals", "controls"], "--normals controls: names no controls"),
    (["--normals", "nowhere.h5"], "nowhere.h5: there is no such file"),
])  # fmt: skip
def test_what_is_no_panel_is_refused(laboratory, command, arguments, message):
    code, error, output = command("--sheet", laboratory[0], *arguments)
    assert code == 2 and message in error and not output.exists()


def test_too_few_controls_are_no_panel(laboratory, command, background, tmp_path):
    lines = laboratory[0].read_text().splitlines(keepends=True)
    few = tmp_path / "few.tsv"
    few.write_text("".join(lines[:1] + lines[1:6] + lines[-N_CASES:]))
    groups = ["--control-group", "Control", "--background", *background]
    code, error, output = command("--sheet", few, *groups, "--normals", "controls")
    assert code == 2 and "expected at least 10 controls, found 5" in error
    code, _, output = command("--sheet", few, *groups)
    assert code == 0 and json.loads(output.with_suffix(".json").read_text())["normals"] is None
