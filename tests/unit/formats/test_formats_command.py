"""The command that says what files are."""

import logging
import sys

import numpy as np
import pytest
import torch

from methmix.formats.__main__ import main
from methmix.training.checkpoint import save_checkpoint
from methmix.training.state import Checkpoint

COV = "".join(
    f"chr1\t{at}\t{at}\t{100 * (at % 3 == 0)}\t{5 * (at % 3 == 0)}\t{5 * (at % 3 > 0)}\n" for at in range(1, 3000, 7)
)


@pytest.fixture
def command(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["methmix.formats", *map(str, arguments)])
        return main(), capsys.readouterr().out

    yield run
    logging.getLogger().handlers.clear()


@pytest.fixture
def checkpoint(tmp_path):
    """What a checkpoint has of its regions; its model is not needed."""
    regions = {
        "chrom": ["chr1"] * 30,
        "start": torch.arange(30) * 100,
        "end": torch.arange(30) * 100 + 50,
        "mean_methylation": torch.linspace(0, 1, 30),
    }
    path = tmp_path / "c.pt"
    empty = {"arm": {}, "identity": {}, "model": {}, "optimiser": {}, "record": {"n_parameters": 0}}
    save_checkpoint(
        path, Checkpoint(seed=1, tissue_names=["A"], regions=regions, genome="hg38", reference_digest="", **empty)
    )
    return path


def test_a_file_is_described_with_and_without_a_model(tmp_path, command, checkpoint):
    path = tmp_path / "s.cov"
    path.write_text(COV)
    code, out = command(path)
    assert code == 0
    for words in ("coverage of Bismark", "separated by tabs; line 1", "429 lines", "hg19, hg38, hs1, mm10, mm39"):
        assert words in out
    code, out = command(path, "--checkpoint", checkpoint)
    assert code == 0
    assert "regions: 30 of 30 of the model, hg38" in out
    level = np.array(
        [np.mean([at % 3 == 0 for at in range(1, 3000, 7) if s <= at - 1 < s + 50]) for s in range(0, 3000, 100)]
    )
    weight = np.array([sum(s <= at - 1 < s + 50 for at in range(1, 3000, 7)) for s in range(0, 3000, 100)])
    cov = np.cov(level, np.linspace(0, 1, 30), aweights=weight)
    assert f"profile {cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]):.2f}" in out


def test_the_builds_that_a_file_can_be_of(tmp_path, command, checkpoint):
    path = tmp_path / "s.cov"
    path.write_text(COV + "chr1\t249239070\t249239070\t50\t1\t1\n")
    assert "it can be of hg19\n" in command(path)[1]
    code, out = command(path, "--checkpoint", checkpoint)
    assert code == 2 and "  refused: chr1:249239069 is behind the end" in out
    (tmp_path / "t.cov").write_text(COV.replace("chr1", "NC_000001.11"))
    assert "it can be of hg38\n" in command(tmp_path / "t.cov")[1]


def test_files_that_are_not_read_do_not_stop_the_others(tmp_path, command):
    (tmp_path / "a.bed").write_text("chr1\t5\t6\t0.5\t9\n")
    (tmp_path / "t.tsv").write_text("chr\tstart\tend\tx\ty\nchr1\t5\t9\t0.5\tNA\n")
    code, out = command(tmp_path / "a.bed", tmp_path / "none", tmp_path / "t.tsv")
    assert code == 2
    for words in ("modkit pileup --bedgraph", "there is no such file", "beta table", "samples: 2: x, y"):
        assert words in out


def test_what_is_no_checkpoint(tmp_path, command, capsys):
    (tmp_path / "c.pt").write_bytes(b"no")
    assert command(tmp_path / "x", "--checkpoint", tmp_path / "c.pt")[0] == 2
    assert command(tmp_path / "x", "--checkpoint", tmp_path / "none.pt")[0] == 2
