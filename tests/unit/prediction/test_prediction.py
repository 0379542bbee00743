"""From a checkpoint and a laboratory's files to a table, a record and a page."""

import json
import logging
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from experiments import (
    PHASE3,
    ROOT,
    counts_table,
    tiny_arm,
    tiny_experiment,
    tiny_mixtures,
    tiny_reference,
    trained,
    validation_of,
    without,
)
from scipy.optimize import nnls

from methmix import seeds
from methmix.errors import InputError
from methmix.files.reference import Reference, write_reference
from methmix.mixtures.sampler import MixtureSampler
from methmix.models.calibration import calibrate
from methmix.models.prediction import predict
from methmix.prediction import run as prediction_run
from methmix.prediction.__main__ import main
from methmix.prediction.figures import bars, courses
from methmix.prediction.output import COLUMNS
from methmix.prediction.results import Result, Run, shown
from methmix.prediction.sheet import Sample, in_file, read_sheet
from methmix.training.checkpoint import load_model
from methmix.training.loop import Trainer

N = 10


@pytest.fixture(scope="module")
def reference():
    return tiny_reference()


@pytest.fixture(scope="module")
def checkpoint(reference, tmp_path_factory):
    return trained(reference, tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def plasma(reference):
    return MixtureSampler(reference, "test", PHASE3, [60]).sample(N, seeds.generator(6, "plasma"))


@pytest.fixture
def counts(reference, plasma, tmp_path):
    return counts_table(reference, plasma, tmp_path / "counts.tsv")


@pytest.fixture
def command(checkpoint, tmp_path, monkeypatch, capsys):
    """Run the command line; gives exit code, stderr and the path of the table."""

    def run(*arguments, model=checkpoint, output=tmp_path / "out" / "predictions.csv"):
        given = ["--checkpoint", model, "--output", output, *arguments]
        monkeypatch.setattr(sys, "argv", ["methmix.prediction", *map(str, given)])
        code = main()
        return code, capsys.readouterr().err, output

    yield run
    # They write to what was captured of this test.
    logging.getLogger().handlers.clear()


def test_a_counts_table_becomes_a_table_a_record_and_a_page(command, counts, reference, checkpoint, plasma):
    code, _, output = command("--samples", counts)
    assert code == 0
    table = pd.read_csv(output)
    assert list(table.columns) == COLUMNS
    assert table["sample"].tolist() == np.repeat([f"S{i}" for i in range(N)], 8).tolist()
    assert table["tissue"].tolist() == reference.tissue_names * N
    assert table.groupby("sample")["proportion"].sum().to_numpy() == pytest.approx(1, abs=1e-6)
    assert (table["below_limit"] == (table["proportion"] == 0)).all() and table["below_limit"].any()
    assert (table["interval_low"] <= table["proportion"]).all() and (
        table["proportion"] <= table["interval_high"]
    ).all()
    # The same as the model says of the arrays themselves.
    model, _ = load_model(checkpoint)
    found = predict(model, plasma.methylation.numpy(), plasma.depth.numpy())
    assert table["proportion"].to_numpy() == pytest.approx(found.proportions.ravel(), abs=1e-5)
    assert table["limit_of_detection"].to_numpy() == pytest.approx(found.limit.ravel(), rel=1e-3)

    record = json.loads(output.with_suffix(".json").read_text())
    first = record["samples"][0]
    assert first["answered"] and first["flags"] == [] and first["fit"]["fits"] is True
    assert first["regions"] == {"model": 600, "found": 600, "observed": int((plasma.depth[0] > 0).sum())}
    assert first["proportions"]["Blood"]["proportion"] == pytest.approx(table["proportion"][0])
    assert record["statement"].startswith("For research use only") and "torch" in record["versions"]
    page = output.with_suffix(".html").read_text()
    assert "For research use only" in page and "(below" in page
    assert page.count("data:image/png") == 2 and 'src="http' not in page
    assert sorted(path.suffix for path in output.parent.iterdir()) == [".csv", ".html", ".json"]


def test_mixtures_of_the_contract_can_be_predicted(command, reference, tmp_path):
    mixtures = tiny_mixtures(reference, "test", tmp_path)
    code, _, output = command("--samples", tmp_path / "phase2_test_mixtures.h5")
    assert code == 0
    table = pd.read_csv(output)
    assert len(table) == len(mixtures) * 8 and table["sample"].iloc[0] == "Mixture_1"
    found = table["proportion"].to_numpy().reshape(mixtures.proportions.shape)
    assert np.abs(found - mixtures.proportions).mean() < 0.03


def test_blocks_make_no_difference(command, counts, monkeypatch, tmp_path):
    _, _, whole = command("--samples", counts)
    monkeypatch.setattr(prediction_run, "_BLOCK", 3)
    _, _, parts = command("--samples", counts, output=tmp_path / "parts.csv")
    assert pd.read_csv(parts)["proportion"].to_numpy() == pytest.approx(pd.read_csv(whole)["proportion"], abs=1e-6)


def sheet_of(tmp_path, *rows, header=("sample", "file", "patient", "date", "name_in_file")):
    path = tmp_path / "samples.tsv"
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in (header, *rows)))
    return path


def test_a_sheet_chooses_names_and_orders(command, counts, tmp_path):
    sheet = sheet_of(
        tmp_path,
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


def test_groups_of_the_sheet_are_compared(command, counts, tmp_path):
    rows = [(f"s{row}", counts, f"S{row}", "Control" if row < 5 else "Breast") for row in range(8)]
    sheet = sheet_of(tmp_path, *rows, header=("sample", "file", "name_in_file", "group"))
    code, said, _ = command("--sheet", sheet, "--control-group", "Control")
    assert code == 2 and "--control-group and --background: expected both or neither" in said
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
    assert page.count("data:image/png") == 3 and page.count("few samples: the intervals are unreliable") == 1


def test_nnls_is_told_beside(command, counts, reference, plasma, checkpoint):
    _, _, output = command("--samples", counts)
    found = pd.read_csv(output)["nnls_proportion"].to_numpy().reshape(N, -1)
    assert found.sum(axis=1) == pytest.approx(1)
    profiles = load_model(checkpoint)[0].backbone.mean.double().numpy()
    for row in range(3):
        root = np.sqrt(plasma.depth.numpy()[row].astype(float))
        expected, _ = nnls((profiles * root).T, np.nan_to_num(plasma.methylation.numpy()[row]) * root)
        assert found[row] == pytest.approx(expected / expected.sum(), abs=1e-4)
    tissue = json.loads(output.with_suffix(".json").read_text())["samples"][0]["proportions"]["Blood"]
    assert tissue["nnls_proportion"] == pytest.approx(found[0][reference.tissue_names.index("Blood")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sample\tfile\n", "has a header but no samples"),
        ("sample\tpath\nA\tx\n", "column file is missing; found sample, path"),
        ("sample\tfile\tday\nA\tx\t1\n", "unknown column 'day'"),
        ("sample\tfile\nA\tx\nB\ty\nA\tz\n", "line 4: sample A is there already, line 2"),
        ("sample\tfile\nA\t\n", "line 2: file is empty"),
        ("sample\tfile\tdate\nA\tx\t31.1.2026\n", "line 2: date: expected YYYY-MM-DD, found '31.1.2026'"),
        ("", "is not a readable table"),
        ("sample\tfile\nA\tnowhere.tsv\n", "sample A: nowhere.tsv: there is no such file"),
    ],
)
def test_a_mistake_in_the_sheet_is_named(command, tmp_path, text, message):
    (tmp_path / "samples.tsv").write_text(text)
    code, said, output = command("--sheet", tmp_path / "samples.tsv")
    assert code == 2 and message in said
    assert not list(output.parent.glob("*"))


def test_which_sample_of_a_file_is_meant(tmp_path):
    file = tmp_path / "a.tsv"
    assert in_file([Sample("x", file)], file, ["only"])["only"].name == "x"
    assert list(in_file([Sample("b", file), Sample("x", file, name_in_file="a")], file, ["a", "b"])) == ["b", "a"]
    with pytest.raises(InputError, match="has no sample 'x'; it has a, b"):
        in_file([Sample("x", file)], file, ["a", "b"])
    with pytest.raises(InputError, match="x and y of the sheet are both its 'a'"):
        in_file([Sample(name, file, name_in_file="a") for name in "xy"], file, ["a", "b"])


def test_the_shipped_sheet_is_one():
    assert len(read_sheet(ROOT / "config" / "samples.tsv")) >= 3


def test_the_limit_of_detection_holds_on_fresh_mixtures_and_falls_with_depth(reference, checkpoint):
    model, _ = load_model(checkpoint)
    medians = []
    for depth in (10, 50, 200):
        batch = MixtureSampler(reference, "validation", PHASE3, [depth]).sample(500, seeds.generator(8, "fresh", depth))
        found = predict(model, batch.methylation.numpy(), batch.depth.numpy())
        above = (batch.proportions > 0) & (batch.proportions > found.limit)
        assert above.sum() > 400
        assert (found.proportions[above] > 0).mean() >= 0.93
        medians.append(np.median(found.limit))
    assert medians[0] > 1.2 * medians[1] > 1.2 * medians[2]


def test_calibration_says_what_it_rests_on(reference, checkpoint):
    model, found = load_model(checkpoint)
    mixtures = validation_of(reference, 300)
    rests = calibrate(model, mixtures.methylation, mixtures.depth, mixtures.proportions)
    assert rests["calibration/n_mixtures"] == 300
    assert 0 < rests["calibration/n_there_not_called"] < rests["calibration/n_there"]
    assert "calibration/n_there" in found.best
    # About 1 % of the mixtures that it was set on exceed it.
    mixtures = validation_of(reference, 300)
    said = predict(model, mixtures.methylation, mixtures.depth)
    assert (said.misfit > said.misfit_limit).mean() == pytest.approx(0.01, abs=0.01)


def test_goodness_of_fit_is_that_of_the_reconstruction(reference, checkpoint, plasma):
    model, _ = load_model(checkpoint)
    found = predict(model, plasma.methylation.numpy(), plasma.depth.numpy())
    rebuilt = found.proportions @ model.backbone.mean.double().numpy()
    expected = np.sqrt(np.nanmean((plasma.methylation.numpy() - rebuilt) ** 2, axis=1))
    assert found.rmse == pytest.approx(expected, rel=1e-4)


def test_a_tissue_that_the_reference_lacks_is_flagged(command, reference, tmp_path):
    lacking = without(reference, "Liver")
    model = trained(lacking, tmp_path / "lacking")
    flagged = {}
    rng = np.random.default_rng(4)
    drawn = MixtureSampler(lacking, "test", PHASE3, [200]).sample(30, seeds.generator(4, "drawn"))
    depth = drawn.depth.numpy().astype(int)
    liver = np.nan_to_num(reference.fractions[reference.tissues.index("Liver")], nan=0.5)
    known = np.nan_to_num(lacking.fractions[[rows[0] for rows in lacking.pool("test").values()]], nan=0.5)
    for share in (0.0, 0.3):
        expected = (1 - share) * drawn.proportions @ known + share * liver
        reads = rng.binomial(depth, expected.clip(0, 1))
        batch = replace(drawn, methylation=torch.from_numpy((reads / np.maximum(depth, 1)).astype(np.float32)))
        path = counts_table(lacking, batch, tmp_path / "counts.tsv", range(30))
        code, _, output = command("--samples", path, model=model)
        assert code == 0
        record = json.loads(output.with_suffix(".json").read_text())
        flags = [sample["flags"] for sample in record["samples"]]
        flagged[share] = np.mean(["contains something that the reference does not" in of_sample for of_sample in flags])
    assert flagged[0.0] <= 0.1 and flagged[0.3] >= 0.5


def test_too_few_reads_give_no_numbers(command, reference, plasma, tmp_path):
    silent = replace(plasma, depth=plasma.depth.clone())
    silent.depth[3] = 0
    silent.depth[3, 7] = 1
    path = counts_table(reference, silent, tmp_path / "counts.tsv")
    code, _, output = command("--samples", path)
    assert code == 0
    table = pd.read_csv(output)
    rows = table["sample"] == "S3"
    assert table.loc[rows, COLUMNS[2:]].isna().all().all() and table.loc[~rows, COLUMNS[2:]].notna().all().all()
    sample = json.loads(output.with_suffix(".json").read_text())["samples"][3]
    assert sample["answered"] is False and sample["proportions"] == {}
    assert sample["flags"] == ["too few reads to say anything (1 of 600 regions observed)"]
    assert "No numbers are given" in output.with_suffix(".html").read_text()


def test_if_no_sample_has_enough_reads_nothing_is_written(command, reference, plasma, tmp_path):
    silent = replace(plasma, depth=torch.zeros_like(plasma.depth))
    silent.depth[:, 7] = 1
    code, said, output = command("--samples", counts_table(reference, silent, tmp_path / "counts.tsv"))
    assert code == 2
    assert "no sample has enough reads to say anything; S0, for example, has reads in 1 of 600 regions" in said
    assert list(output.parent.iterdir()) == []


def test_two_files_with_the_same_sample(command, counts, reference, plasma, tmp_path):
    again = counts_table(reference, plasma, tmp_path / "again.tsv", rows=[2])
    code, said, _ = command("--samples", counts, again)
    assert code == 2 and "sample S2 is in" in said and "--sheet" in said
    sheet = sheet_of(tmp_path, ("first", counts, "", "", "S2"), ("second", again, "", "", ""))
    code, _, output = command("--sheet", sheet)
    table = pd.read_csv(output)
    assert code == 0
    assert table["proportion"][:8].tolist() == pytest.approx(table["proportion"][8:].tolist(), abs=1e-6)


def test_the_card_describes_the_model(checkpoint, reference, tmp_path, monkeypatch, capsys):
    write_reference(tmp_path / "reference.h5", reference)
    for more in ([], ["--reference", str(tmp_path / "reference.h5")]):
        monkeypatch.setattr(sys, "argv", ["methmix.prediction", "--checkpoint", str(checkpoint), "--describe", *more])
        assert main() == 0
        told = capsys.readouterr().out
        for line in (
            "methmix sparse model, phase3, backbone reference",
            "For research use only, not for diagnosis.",
            f"Blood ({len(reference.pool('train')['Blood'])} train,",
            "600 of none (simulated)",
            "seed 1, commit ",
            "It knows 8 tissues",
        ):
            assert line in told
        assert "detection_ratio: not known" not in told


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


def test_a_model_without_depth_says_what_it_cannot(command, counts, reference, tmp_path):
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
    assert "does not know how deep" in record["notes"][0]
    assert "0 (limit not known)" in output.with_suffix(".html").read_text()


def test_words_of_a_proportion():
    assert [shown(p, limit) for p, limit in ((0.0, 0.012), (0.0, None), (0.0, np.nan), (0.034, 0.1), (0.751, 0.1))] == [
        *("0 (below 1.2 %)", "0 (limit not known)", "0 (limit not known)", "3.4 %", "75.1 %")
    ]


def test_more_samples_and_tissues_than_colours():
    rng = np.random.default_rng(1)
    tissues = [f"T{i}" for i in range(40)]
    run = Run(tissues, 100, [Result(Sample(f"S{i}", ROOT), 1, 1, 1.0, rng.dirichlet(np.ones(40))) for i in range(50)])
    drawn = bars(run).axes[0]
    assert len(drawn.get_yticklabels()) == 40
    ends = sorted(bar.get_x() + bar.get_width() for bar in drawn.patches)
    assert ends[-40:] == pytest.approx([1] * 40)
    assert courses(run) is None
