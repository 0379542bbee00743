"""From a checkpoint and the files of a laboratory to a table, a record and a report."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from experiments import (
    PHASE3,
    tiny_arm,
    tiny_experiment,
    tiny_mixtures,
    validation_of,
)
from scipy.optimize import nnls

from methmix import seeds
from methmix.files.reference import Reference, write_reference
from methmix.mixtures.sampler import MixtureSampler
from methmix.models.prediction import predict
from methmix.prediction.output import COLUMNS
from methmix.training.checkpoint import load_model
from methmix.training.loop import Trainer


def test_a_counts_table_becomes_a_table_a_record_and_a_page(command, counts, reference, checkpoint, plasma):
    code, _, output = command("--samples", counts)
    assert code == 0
    table = pd.read_csv(output)
    assert list(table.columns) == COLUMNS
    assert table["sample"].tolist() == np.repeat([f"S{i}" for i in range(10)], 8).tolist()
    assert table["tissue"].tolist() == reference.tissue_names * 10
    assert table.groupby("sample")["proportion"].sum().to_numpy() == pytest.approx(1, abs=1e-6)
    assert (table["below_limit"] == (table["proportion"] == 0)).all() and table["below_limit"].any()
    assert (table["interval_low"] <= table["proportion"]).all() and (
        table["proportion"] <= table["interval_high"]
    ).all()
    # The same as the model says of the arrays themselves.
    model, _ = load_model(checkpoint)
    found = predict(model, plasma.methylation.numpy(), plasma.depth.numpy())
    assert table["proportion"].to_numpy() == pytest.approx(found.proportions.ravel(), abs=1e-5)
    limits = np.where(found.limit < 1, found.limit, np.nan).ravel()
    assert table["limit_of_detection"].to_numpy() == pytest.approx(limits, rel=1e-3, nan_ok=True)
    assert np.isfinite(limits).any() and (table["verdict"] == "fits").all()

    record = json.loads(output.with_suffix(".json").read_text())
    first = record["samples"][0]
    assert first["answered"] and first["flags"] == [] and first["fit"]["fits"] is True
    assert first["fit"]["verdict"] == "fits" and 0 < first["fit"]["misfit"] < first["fit"]["misfit_limit"]
    assert first["fit"]["effect"] == pytest.approx(found.effect[0], rel=1e-3)
    assert record["presence_threshold"] == record["model"]["thresholds"]["presence"] == 0.7
    assert first["regions"] == {"model": 600, "found": 600, "observed": int((plasma.depth[0] > 0).sum())}
    assert first["proportions"]["Blood"]["proportion"] == pytest.approx(table["proportion"][0])
    assert record["statement"].startswith("For research use only") and "torch" in record["versions"]
    page = output.with_suffix(".html").read_text()
    assert "For research use only" in page and "0 (up to " in page
    assert page.count("data:image/png") == 2 and 'src="http' not in page
    names = ["predictions.csv", "predictions.html", "predictions.json"]
    names += ["predictions_general_stats_mqc.json", "predictions_mqc.json", "predictions_wide.csv"]
    assert sorted(path.name for path in output.parent.iterdir()) == names


def test_mixtures_of_the_contract_can_be_predicted(command, reference, tmp_path):
    mixtures = tiny_mixtures(reference, "test", tmp_path)
    code, _, output = command("--samples", tmp_path / "phase2_test_mixtures.h5")
    assert code == 0
    table = pd.read_csv(output)
    assert len(table) == len(mixtures) * 8 and table["sample"].iloc[0] == "Mixture_1"
    found = table["proportion"].to_numpy().reshape(mixtures.proportions.shape)
    assert np.abs(found - mixtures.proportions).mean() < 0.03


def test_a_sheet_chooses_names_and_orders(command, counts, sheet_of, tmp_path):
    sheet = sheet_of(
        ("late", counts, "Ann", "2026-03-01", "S4"),
        ("other", counts, "", "", "S7"),
        ("early", counts, "Ann", "2026-01-01", "S0"),
    )
    code, _, output = command("--sheet", sheet)
    assert code == 0
    table, _ = pd.read_csv(output, keep_default_na=False), command("--samples", counts, output=tmp_path / "all.csv")
    assert table["sample"].unique().tolist() == ["late", "other", "early"]
    assert table["patient"].unique().tolist() == ["Ann", ""]
    assert table["date"].unique().tolist() == ["2026-03-01", "", "2026-01-01"]
    every = pd.read_csv(tmp_path / "all.csv").set_index("sample")["proportion"]
    assert table.loc[table["sample"] == "late", "proportion"].astype(float).tolist() == pytest.approx(
        every["S4"].tolist()
    )
    assert output.with_suffix(".html").read_text().count("data:image/png") == 3


def test_groups_of_the_sheet_are_compared(command, counts, sheet_of, tmp_path):
    rows = [(f"s{row}", counts, f"S{row}", "Control" if row < 5 else "Breast") for row in range(8)]
    sheet = sheet_of(*rows, header=("sample", "file", "name_in_file", "group"))
    code, said, _ = command("--sheet", sheet, "--control-group", "Control")
    assert code == 2 and "--control-group: expected --background too" in said
    code, _, output = command("--sheet", sheet, "--control-group", "Control", "--background", "Blood")
    assert code == 0
    table = pd.read_csv(output)
    assert table.groupby("group")["sample"].nunique().to_dict() == {"Breast": 3, "Control": 5}
    of_interest = table[table["tissue"] != "Blood"].groupby("sample")["proportion"].sum()
    record = json.loads(output.with_suffix(".json").read_text())
    controls, breast = record["groups"]["groups"]
    assert controls["samples"] == ["s0", "s1", "s2", "s3", "s4"] and record["samples"][7]["group"] == "Breast"
    assert breast["sums"]["model"] == pytest.approx(of_interest[["s5", "s6", "s7"]].tolist())
    page = output.with_suffix(".html").read_text()
    assert page.count("data:image/png") == 3 and page.count("few: unreliable") == 2


def test_nnls_is_told_beside(command, counts, reference, plasma, checkpoint):
    _, _, output = command("--samples", counts)
    found = pd.read_csv(output)["nnls_proportion"].to_numpy().reshape(10, -1)
    assert found.sum(axis=1) == pytest.approx(1)
    profiles = load_model(checkpoint)[0].profiles.mean.double().numpy()
    for row in range(3):
        root = np.sqrt(plasma.depth.numpy()[row].astype(float))
        expected, _ = nnls((profiles * root).T, np.nan_to_num(plasma.methylation.numpy()[row]) * root)
        assert found[row] == pytest.approx(expected / expected.sum(), abs=1e-4)
    tissue = json.loads(output.with_suffix(".json").read_text())["samples"][0]["proportions"]["Blood"]
    assert tissue["nnls_proportion"] == pytest.approx(found[0][reference.tissue_names.index("Blood")])


def test_the_limit_of_detection_holds_on_fresh_mixtures_and_falls_with_depth(reference, checkpoint):
    model, _ = load_model(checkpoint)
    medians, called = [], []
    for depth in (10, 50, 200):
        batch = MixtureSampler(reference, "validation", PHASE3, [depth]).sample(500, seeds.generator(8, "fresh", depth))
        found = predict(model, batch.methylation.numpy(), batch.depth.numpy())
        above = (batch.proportions > 0) & (batch.proportions > found.limit)
        called.append(found.proportions[above] > 0)
        medians.append(np.median(found.limit))
    # At the lowest depth hardly any proportion is above its limit.
    assert len(np.concatenate(called)) > 400 and np.concatenate(called).mean() >= 0.93
    assert medians[0] > 1.2 * medians[1] > 1.2 * medians[2]


def test_calibration_says_what_it_rests_on(reference, checkpoint):
    model, found = load_model(checkpoint)
    rests_on = {name: value for name, value in found.best.items() if name.startswith("calibration/")}
    assert rests_on["calibration/n_mixtures"] >= 4000 and rests_on["calibration/n_there"] > 10_000
    assert rests_on["calibration/absent_called"] < 0.2
    # About 1 % of mixtures of other donors exceed the limit of the misfit.
    mixtures = validation_of(reference, 300)
    said = predict(model, mixtures.methylation[:], mixtures.depth[:])
    assert (said.misfit > said.misfit_limit).mean() <= 0.04


def test_goodness_of_fit_is_that_of_the_reconstruction(reference, checkpoint, plasma):
    model, _ = load_model(checkpoint)
    found = predict(model, plasma.methylation.numpy(), plasma.depth.numpy())
    rebuilt = found.proportions @ model.profiles.mean.double().numpy()
    expected = np.sqrt(np.nanmean((plasma.methylation.numpy() - rebuilt) ** 2, axis=1))
    assert found.rmse == pytest.approx(expected, rel=1e-4)


def test_a_reference_of_other_tissues_is_refused(command, counts, reference, tmp_path):
    other = [tissue.replace("Liver", "Spleen") for tissue in reference.tissues]
    write_reference(
        tmp_path / "other.h5",
        Reference(
            *(reference.methylated, reference.depth, reference.donors, other),
            *(reference.split, reference.regions, reference.attributes),
        ),
    )
    code, said, _ = command("--samples", counts, "--reference", tmp_path / "other.h5")
    assert code == 2 and "only in the model: Liver; only in the data: Spleen" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected --samples FILE ... or --sheet FILE"),
        (["--samples", "a", "--sheet", "b"], "and not both"),
        (["--samples", "a", "--pseudo-depth", "0"], "--pseudo-depth: expected at least 1"),
        (["--samples", "nowhere.tsv"], "nowhere.tsv: there is no such file"),
        (["--samples", "a", "--output", "out.json"], "expected a name that ends in .csv"),
    ],
)
def test_wrong_usage(command, arguments, message):
    code, said, _ = command(*arguments)
    assert code == 2 and message in said


def test_a_model_without_depth_names_what_it_does_not_estimate(command, counts, reference, tmp_path):
    mixtures = tiny_mixtures(reference, "validation", tmp_path)
    trainer = Trainer(tiny_arm("sparse"), tiny_experiment(), reference, mixtures, tmp_path / "mlp", torch.device("cpu"))
    trainer.run()
    code, _, output = command("--samples", counts, model=trainer.best_checkpoint)
    assert code == 0
    table = pd.read_csv(output)
    for column in ("limit_of_detection", "interval_low", "nnls_proportion"):
        assert table[column].isna().all()
    assert table.groupby("sample")["proportion"].sum().to_numpy() == pytest.approx(1, abs=1e-6)
    record = json.loads(output.with_suffix(".json").read_text())
    assert "does not use the depth of a sample" in record["notes"][0]
    assert "0 (limit not known)" in output.with_suffix(".html").read_text()


@pytest.mark.parametrize("output", ["s.csv", "s.x.csv", "other/../s.csv"])
def test_no_input_is_overwritten(command, counts, output, tmp_path):
    """The table itself, what stands beside it, and the same file by another path."""
    (tmp_path / "other").mkdir()
    named = counts.rename(tmp_path / {"s.x.csv": "s.x.json"}.get(output, "s.csv"))
    content = named.read_bytes()
    code, said, _ = command("--samples", named, output=tmp_path / output)
    assert code == 2 and "is an input" in said and "would be overwritten" in said
    assert named.read_bytes() == content and not list(tmp_path.glob("*.html"))


def test_an_output_that_is_a_folder_is_refused_before_anything_is_written(command, counts, tmp_path):
    (tmp_path / "out.html").mkdir()
    code, said, _ = command("--samples", counts, output=tmp_path / "out.csv")
    assert code == 2 and "out.html: is a folder" in said and not list(tmp_path.glob("out.*s*"))
