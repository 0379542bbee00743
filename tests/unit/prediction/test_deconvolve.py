"""Samples of many files, block by block: what is refused, flagged or left without numbers."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from experiments import PHASE3, counts_table, without

from methmix import seeds
from methmix.mixtures.sampler import MixtureSampler
from methmix.prediction import deconvolve
from methmix.prediction.output import CALLED, COLUMNS
from methmix.samples import aligned
from methmix.training.checkpoint import load_checkpoint, save_checkpoint

pytestmark = pytest.mark.slow


def test_blocks_make_no_difference(command, counts, monkeypatch, tmp_path):
    _, _, whole = command("--samples", counts)
    monkeypatch.setattr(aligned, "_BLOCK", 3)
    _, _, parts = command("--samples", counts, output=tmp_path / "parts.csv")
    assert pd.read_csv(parts)["proportion"].to_numpy() == pytest.approx(pd.read_csv(whole)["proportion"], abs=2e-4)


def test_a_tissue_that_the_reference_lacks_is_flagged(command, reference, lacking_checkpoint, tmp_path):
    lacking = without(reference, "Liver")
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
        code, _, output = command("--samples", path, model=lacking_checkpoint)
        assert code == 0
        record = json.loads(output.with_suffix(".json").read_text())
        flags = [sample["flags"] for sample in record["samples"]]
        flagged[share] = np.mean(
            [any("poor fit" in flag or "does not resemble" in flag for flag in of_sample) for of_sample in flags]
        )
    # The limit allows for donors that differ more than those of the test do: it is no more sensitive than that.
    assert flagged[0.0] <= 0.1 and flagged[0.3] >= 0.25


def test_too_few_reads_give_no_numbers(command, reference, plasma, tmp_path):
    silent = replace(plasma, depth=plasma.depth.clone())
    silent.depth[3] = 0
    silent.depth[3, 7] = 1
    path = counts_table(reference, silent, tmp_path / "counts.tsv")
    code, _, output = command("--samples", path)
    assert code == 0
    table = pd.read_csv(output)
    rows = table["sample"] == "S3"
    of_any = ["flags", "regions_observed"]
    estimates = [name for name in COLUMNS[2:-2] if name not in of_any + CALLED]
    assert table.loc[rows, estimates].isna().all().all() and table.loc[rows, of_any].notna().all().all()
    # Without a panel of normals nothing is called, and at a limit of 1 or more there is none.
    assert table[CALLED].isna().all().all()
    assert table.loc[~rows, estimates].drop(columns="limit_of_detection").notna().all().all()
    # Only calls are explained.
    explained = table.loc[~rows, COLUMNS[-2:]].notna()
    assert (explained.sum(axis=1) % 2 == 0).all() and explained.any().all()
    sample = json.loads(output.with_suffix(".json").read_text())["samples"][3]
    assert sample["answered"] is False and sample["proportions"] == {}
    assert sample["flags"] == ["too few reads (1 of 600 regions observed)"]
    assert "No estimates are given" in output.with_suffix(".html").read_text()


def test_if_no_sample_has_enough_reads_nothing_is_written(command, reference, plasma, tmp_path):
    silent = replace(plasma, depth=torch.zeros_like(plasma.depth))
    silent.depth[:, 7] = 1
    code, said, output = command("--samples", counts_table(reference, silent, tmp_path / "counts.tsv"))
    assert code == 2
    assert "no sample has enough reads; S0, for example, has reads in 1 of 600 regions" in said
    assert not output.parent.exists()


def test_two_files_with_the_same_sample(command, counts, reference, plasma, sheet_of, tmp_path):
    again = counts_table(reference, plasma, tmp_path / "again.tsv", rows=[2])
    code, said, _ = command("--samples", counts, again)
    assert code == 2 and "sample S2 is in" in said and "--sheet" in said
    sheet = sheet_of(("first", counts, "", "", "S2"), ("second", again, "", "", ""))
    code, _, output = command("--sheet", sheet)
    table = pd.read_csv(output)
    assert code == 0
    assert table["proportion"][:8].tolist() == pytest.approx(table["proportion"][8:].tolist(), abs=1e-6)


@pytest.fixture
def of_hg38(checkpoint, tmp_path):
    known = load_checkpoint(checkpoint)
    save_checkpoint(tmp_path / "hg38.pt", replace(known, genome="hg38"))
    return tmp_path / "hg38.pt"


@pytest.fixture
def no_reading(monkeypatch):
    def read(*_, **__):
        raise AssertionError("a file was read")

    monkeypatch.setattr(deconvolve, "open_samples", read)


@pytest.mark.parametrize("build", ["hg19", "GRCh37", "mm10"])
def test_another_genome_is_refused_before_anything_is_read(command, counts, of_hg38, no_reading, build):
    code, said, output = command("--samples", *[counts] * 50, "--genome", build, model=of_hg38)
    assert code == 2 and f"the samples are of genome {build}, the model is of hg38" in said
    assert not list(output.parent.glob("*"))


@pytest.mark.parametrize("build", ["hg38", "GRCh38"])
def test_the_same_genome_is_read_under_either_name(command, counts, of_hg38, build):
    assert command("--samples", counts, "--genome", build, model=of_hg38)[0] == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "last.tsv: there is no such file"),
        ("", "last.tsv: is empty"),
        ("a b\n", "last.tsv: is of no known format"),
    ],
)
def test_a_bad_file_is_refused_before_the_others_are_read(command, counts, no_reading, tmp_path, content, message):
    if content is not None:
        (tmp_path / "last.tsv").write_text(content)
    code, said, output = command("--samples", *[counts] * 50, tmp_path / "last.tsv")
    assert code == 2 and message in said
    assert not list(output.parent.glob("*"))
