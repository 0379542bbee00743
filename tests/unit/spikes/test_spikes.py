"""Known amounts in controls of a small laboratory, by the command."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from experiments import PHASE3, ROOT, TINY, counts_table, tiny_reference

from methmix import seeds
from methmix.files.reference import write_reference
from methmix.mixtures.sampler import MixtureSampler
from methmix.normals.panel import Controls
from methmix.spikes.__main__ import main
from methmix.spikes.hardships import HARDSHIPS
from methmix.spikes.spike_methods import WITH_PANEL
from methmix.spikes.spike_scores import SPIKES

pytestmark = pytest.mark.slow

METHODS = {"sparse", WITH_PANEL, "nnls", "em", "qp_replicates"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_checkpoint):
    """Spike the controls of a laboratory once; gives the folder of the results."""
    work = tmp_path_factory.mktemp("spikes")
    reference, rng = tiny_reference(), seeds.generator(3, "spiked laboratory")
    write_reference(work / "reference.h5", reference)
    sampler = MixtureSampler(reference, "test", PHASE3, [60])
    columns = [reference.tissue_names.index(name) for name in PHASE3.composition]
    truth = np.zeros((22, len(reference.tissue_names)), dtype=np.float32)
    truth[:, columns] = rng.dirichlet(50 * np.array(list(PHASE3.composition.values())), len(truth))
    file = counts_table(reference, sampler.mix(truth, np.array([60.0]), rng), work / "counts.tsv")
    sheet = work / "sheet.tsv"
    sheet.write_text("sample\tfile\tgroup\n" + "".join(f"S{row}\t{file}\tControl\n" for row in range(len(truth))))
    prediction = {"samples": str(sheet), "control_group": "Control"}
    config = work / "experiment.yaml"
    config.write_text(yaml.safe_dump({"base": str(TINY), "prediction": prediction}))
    arguments = ["--config", config, "--reference", work / "reference.h5", "--checkpoint", tiny_checkpoint]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr("methmix.spikes.spike_suite.PANEL_SIZES", (10,))
        patch.setattr("sys.argv", ["spikes", *map(str, arguments), "--repeats", "1", "--output", str(work / "out")])
        assert main() == 0
    return work / "out"


@pytest.fixture(scope="module")
def record(folder):
    return json.loads((folder / "spikes.json").read_text())


def test_what_the_contract_names_is_there(record):
    assert record["spikes"] == list(SPIKES) and set(record["methods"]) == METHODS
    assert record["n_panel"] + record["n_spiked"] == 22 and set(record["by_tissue"]) == set(record["tissues"])
    for values in record["methods"].values():
        for key in ("called_95", "called_99", "mean_estimate", "coverage_90", "absent_each"):
            assert len(values[key]) == len(SPIKES), key
    assert not set(record["tissues"]) & set(PHASE3.composition)
    assert set(record["by_panel_size"]) == {"10"}


def test_more_of_a_tissue_is_found_more_often_and_estimated_higher(record):
    for name in ("sparse", WITH_PANEL, "nnls"):
        values = record["methods"][name]
        assert values["called_95"][-1] > values["called_95"][0] + 0.5
        assert values["mean_estimate"][-1] == pytest.approx(0.2, abs=0.08)
    assert record["methods"][WITH_PANEL]["absent_each"][0] < record["methods"]["nnls"]["absent_each"][0]


def test_rates_are_those_of_the_table(folder, record):
    table = pd.read_csv(folder / "spikes.csv")
    own = table[(table["method"] == "nnls") & table["depth"].isna()]
    rates = own.groupby("amount")["called_95"].mean()
    np.testing.assert_allclose(rates.loc[list(SPIKES)], record["methods"]["nnls"]["called_95"])
    ends = np.array(record["methods"]["nnls"]["called_95_ci95"])
    assert (ends[:, 0] <= rates.to_numpy()).all() and (rates.to_numpy() <= ends[:, 1]).all()
    thinned = table[table["depth"].notna()]
    assert thinned["depth"].unique().tolist() == [record["thinned"]["depth"]]


def test_fewer_regions_make_it_less_sure(record):
    rows = {(row["hardship"], row["method"], row["amount"]): row for row in record["hardships"]}
    whole, few = (rows[name, WITH_PANEL, 0.1] for name in ("as they are", "a tenth of the regions"))
    assert few["width"] > whole["width"]
    assert few["limit"] is None or few["limit"] > whole["limit"]
    assert rows["a tenth of the regions", WITH_PANEL, 0.0]["called_95"] <= 0.3


def test_the_page_has_every_section(folder):
    page = (folder / "report.html").read_text()
    for part in ("sparse with a panel of normals", "What real samples lack", "By tissue", "QP on replicates"):
        assert part in page
    assert page.count("<img") == 3 and "http://" not in page


def test_masking_and_another_batch_keep_counts_possible():
    rng = np.random.default_rng(0)
    depth = rng.poisson(20, (3, 400))
    samples = Controls(["a", "b", "c"], rng.binomial(depth, 0.4), depth)
    for change in HARDSHIPS.values():
        changed = change(samples, np.random.default_rng(1))
        assert ((changed.methylated >= 0) & (changed.methylated <= changed.depth)).all()
    few = HARDSHIPS["a tenth of the regions"](samples, np.random.default_rng(1))
    assert 0.06 < (few.depth > 0).mean() < 0.14
    captured = HARDSHIPS["a capture panel of a quarter"](samples, np.random.default_rng(1)).depth > 0
    assert 0.15 < captured.any(axis=0).mean() < 0.35
    assert (captured == (samples.depth > 0) & captured.any(axis=0)).all()


def test_without_a_control_group_there_is_nothing_to_spike(tmp_path, monkeypatch, capsys):
    write_reference(tmp_path / "reference.h5", tiny_reference())
    monkeypatch.chdir(ROOT)
    arguments = ["--config", TINY, "--reference", tmp_path / "reference.h5", "--checkpoint", "none.pt"]
    monkeypatch.setattr("sys.argv", ["spikes", *map(str, arguments), "--output", str(tmp_path / "out")])
    assert main() == 2
    assert "prediction.control_group: expected the group" in capsys.readouterr().err
