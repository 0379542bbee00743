"""Files as laboratories have them: the command of each case, as typed, does what its expected.txt says."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from experiments import ROOT
from forked_commands import Server

pytestmark = [pytest.mark.e2e, pytest.mark.data, pytest.mark.slow]

CASES = Path(os.environ.get("METHMIX_DATA") or ROOT / ".." / "shared" / "data").parent / "cases"
TRUTH = "00-truth"
# Of the table of 00-truth as other programs leave it, what cannot be repaired, and what the message says.
REFUSED = {
    "thousands": "thousands separators",
    "sci": "a spreadsheet has rounded it",
    "decimalcomma": "decimal comma",
}


class Typed(NamedTuple):
    """What the command of a case has said, and the folder that its files are in."""

    stdout: str
    stderr: str
    folder: Path

    def proportions(self, name: str) -> pd.Series:
        return pd.read_csv(self.folder / f"{name}.csv", index_col="tissue")["proportion"]


@pytest.fixture(scope="module")
def typed(server: Server) -> Callable[..., Typed]:
    """Run the command of a case, or another one, with a folder to write into; ``forked`` is faster."""

    def run(case: str, folder: Path, command: str | None = None, forked: bool = True) -> Typed:
        if not CASES.is_dir():
            pytest.skip(f"the cases are missing: {CASES}")
        python = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        ran_by = server.environment if forked else python
        environment = {**os.environ, **ran_by, "CASE": str(CASES / case), "OUT": str(folder)}
        script = command or (CASES / case / "cmd").read_text()
        done = subprocess.run(["bash", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert "Traceback" not in done.stderr
        return Typed(done.stdout, done.stderr, folder)

    return run


@pytest.fixture(scope="module")
def truth(once: Callable[[str, Callable[[Path], Path]], Path], typed) -> pd.Series:
    folder = once("case-truth", lambda folder: typed(TRUTH, folder).folder)
    return Typed("", "", folder).proportions("pred")


def test_the_sample_itself_is_blood_colon_and_cortex(truth):
    assert truth[truth > 0].round(3).to_dict() == {"Blood": 0.583, "Colon": 0.262, "Cortex": 0.154}


def test_cytosines_of_all_contexts_are_refused(typed, tmp_path):
    said = typed("05-bismark-CX", tmp_path)
    assert "has cytosines of other contexts than CpG" in said.stderr
    assert not list(tmp_path.iterdir())


def test_5hmc_counts_as_methylated_as_in_the_reference(typed, tmp_path, truth):
    said = typed("08-bedmethyl-5hmC", tmp_path)
    assert "5hmC is counted as methylated" in said.stderr
    pd.testing.assert_series_equal(said.proportions("pred"), truth)


def test_another_genome_build_is_refused(typed, tmp_path):
    said = typed("13-hg19-wgbs", tmp_path)
    assert said.stderr.count("is behind the end of the chromosome") == 2
    assert said.stderr.count("so long it is in hg19") == 2
    assert not list(tmp_path.iterdir())


def test_tables_of_spreadsheets_are_read_or_refused_for_what_is_wrong(typed, tmp_path, truth):
    said = typed("16-excel", tmp_path)
    codes = dict(line.rsplit(" ", 1) for line in said.stdout.splitlines())
    messages = {part.split("\n")[0].strip(): part for part in said.stderr.split("## ")[1:]}
    assert len(codes) == len(messages) == 17
    for file, code in codes.items():
        name = Path(file).stem
        assert code == ("2" if name in REFUSED else "0"), messages[file]
        if name in REFUSED:
            assert REFUSED[name] in messages[file] and f"{file}: line 2, column" in messages[file]
        else:
            pd.testing.assert_series_equal(said.proportions(name), truth)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_a_file_system_without_locks(typed, tmp_path):
    said = typed("19-hdf5-no-locks", tmp_path, forked=False)  # it loads a library into the process
    assert (tmp_path / "nolock.so").is_file()
    written, read = said.stdout.split("# read")
    assert written.split() == ["#", "write", "0", "0"]
    # The reference is read; that it is of other regions than the model is right.
    assert "is a model of another region set" in said.stderr and "truncated" not in said.stderr
    assert read.split()[-1] == "2"


def test_a_beta_file_of_another_set_of_cpgs_is_refused(typed, tmp_path):
    said = typed("21-beta-custom-grch38", tmp_path)
    assert said.stdout.split() == ["ucsc", "0", "noalt", "2"]
    assert "29,152,891 CpGs" in said.stderr and "29,401,795" in said.stderr
    same = f"python -m methmix.prediction --checkpoint $CASE/../model/m2.pt --samples $CASE/../{TRUTH}/S.tsv"
    counts = typed(TRUTH, tmp_path, f"{same} --output $OUT/counts.csv --genome hg38")
    pd.testing.assert_series_equal(said.proportions("ucsc"), counts.proportions("counts"))


def test_counts_that_contradict_the_percentage_are_refused(typed, tmp_path):
    said = typed("22-six-columns-meth-depth", tmp_path)
    assert said.stdout.split() == ["meth_depth", "2", "unmeth_meth", "2"]
    assert "the last column seems to be the number of all reads" in said.stderr
    assert "the two columns of reads seem to be swapped" in said.stderr
    assert not list(tmp_path.iterdir())
