"""``python -m methmix.reference``: outputs, exit codes and messages."""

import json
import sys

import pandas as pd
import pytest

from methmix.config.experiment import Experiment
from methmix.errors import InputError
from methmix.files.reference import read_reference
from methmix.reference import __main__ as command
from methmix.reference import fit_variation
from methmix.reference.build import build_reference
from methmix.reference.download import content_sha256
from methmix.reference.inputs import data_file as find_data_file


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command; gives exit code and what it wrote to stderr."""

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["reference", *map(str, arguments)])
        code = command.main()
        shown = capsys.readouterr()
        assert shown.out == ""
        return code, shown.err

    return call


@pytest.mark.parametrize("words", [[], ["build"], ["report"], ["fit-variation"], ["download"]])
def test_help(words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["reference", *words, "--help"])
    with pytest.raises(SystemExit) as caught:
        command.main()
    assert caught.value.code == 0
    assert "--verbose" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["destroy"], ["build"], ["build", "--config", "a.yaml", "--outptu", "b"]])
def test_wrong_usage(words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["reference", *words])
    with pytest.raises(SystemExit) as caught:
        command.main()
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_build_and_report(run, settings, write_yaml, tmp_path, reference):
    config, output = write_yaml(settings), tmp_path / "results" / "reference.h5"
    code, shown = run("build", "--config", config, "--output", output)
    assert code == 0
    assert "24 donors of 6 tissues, 400 regions" in shown
    assert "no real sample is in this reference" in shown
    assert read_reference(output).digest == reference.digest
    first = output.read_bytes()
    run("build", "--config", config, "--output", output)
    assert output.read_bytes() == first
    assert run("report", "--reference", output, "--output", tmp_path / "report" / "page.html")[0] == 0
    assert (tmp_path / "report" / "donors.csv").is_file()


def test_bad_configuration(run, settings, write_yaml, tmp_path):
    settings["reference"]["source"] = "counts"
    code, shown = run("build", "--config", write_yaml(settings), "--output", tmp_path / "reference.h5")
    assert code == 2
    assert "missing key reference.file" in shown
    assert "Traceback" not in shown
    assert not (tmp_path / "reference.h5").exists()


@pytest.mark.parametrize("where", ["before", "after"])
def test_verbose_shows_the_traceback(run, tmp_path, where):
    arguments = ["report", "--reference", tmp_path / "absent.h5", "--output", tmp_path / "page.html"]
    code, shown = run(*(["--verbose", *arguments] if where == "before" else [*arguments, "--verbose"]))
    assert code == 2
    assert "Traceback" in shown
    assert shown.rstrip().endswith("it is made by python -m methmix.reference build")


def test_results_directory_that_is_not_writable(run, settings, write_yaml, tmp_path):
    (tmp_path / "results").write_text("in the way")
    code, shown = run("build", "--config", write_yaml(settings), "--output", tmp_path / "results" / "reference.h5")
    assert code == 2
    assert f"error: {tmp_path / 'results'}: cannot write here" in shown
    assert "Traceback" not in shown


def test_fit_variation(run, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(fit_variation, "_REDRAWS", 2)
    monkeypatch.setattr(fit_variation, "_ITERATIONS", 1)
    settings["reference"]["n_regions"] = 2000
    drawn = build_reference(Experiment.model_validate(settings))
    columns = {"CHROM": drawn.regions["chrom"], "START": drawn.regions["start"], "END": drawn.regions["end"]}
    for row, donor in enumerate(drawn.donors):
        columns |= {f"{donor}_METH": drawn.methylated[row], f"{donor}_DEPTH": drawn.depth[row]}
    table = tmp_path / "counts.tsv"
    pd.DataFrame(columns).to_csv(table, sep="\t", index=False)
    output = tmp_path / "variation.json"
    code, _ = run("fit-variation", "--counts", table, "--seed", 4, "--output", output)
    assert code == 0
    made = json.loads(output.read_text())
    assert made["command"] == (f"python -m methmix.reference fit-variation --counts {table} --seed 4 --output {output}")
    assert made["input"] == {"name": "counts.tsv", "sha256_uncompressed": content_sha256(table)}
    assert made["parameters"]["healthy"]["scale"] > 0


def test_fit_variation_of_a_bad_table(run, tmp_path):
    table = tmp_path / "counts.tsv"
    table.write_text("CHROM\tSTART\tEND\tA-1_METH\tA-1_DEPTH\nchr1\t1\t5\t9\t8\n")
    code, shown = run("fit-variation", "--counts", table, "--output", tmp_path / "variation.json")
    assert code == 2
    assert "line 2, A-1: 9 methylated of 8 reads" in shown
    assert not (tmp_path / "variation.json").exists()


def test_download_without_a_server(run, tmp_path):
    code, shown = run("download", "--base-url", "http://127.0.0.1:9", "--output", tmp_path / "data")
    assert code == 1
    assert "cannot be fetched" in shown
    assert "set METHMIX_DATA" in shown
    assert "Traceback" not in shown
    code, shown = run("download", "--base-url", "nowhere", "--output", tmp_path / "data")
    assert code == 2


def test_data_files_are_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("METHMIX_DATA", raising=False)
    with pytest.raises(InputError) as caught:
        find_data_file("METHMIX_DATA/metdecode/table.tsv")
    assert "data/metdecode/table.tsv: there is no such file" in str(caught.value)
    assert "snakemake download" in str(caught.value)
    for folder in ("data", "elsewhere"):
        (tmp_path / folder / "metdecode").mkdir(parents=True)
        (tmp_path / folder / "metdecode" / "table.tsv").write_text("")
    assert str(find_data_file("METHMIX_DATA/metdecode/table.tsv")) == "data/metdecode/table.tsv"
    monkeypatch.setenv("METHMIX_DATA", str(tmp_path / "elsewhere"))
    assert find_data_file("METHMIX_DATA/metdecode/table.tsv") == tmp_path / "elsewhere/metdecode/table.tsv"
    # The variable, where it is set, is the only place: another file of that name would be a surprise.
    monkeypatch.setenv("METHMIX_DATA", str(tmp_path / "empty"))
    with pytest.raises(InputError, match=r"empty/metdecode/table\.tsv"):
        find_data_file("METHMIX_DATA/metdecode/table.tsv")
    with pytest.raises(InputError, match="relative to the working directory"):
        find_data_file("absent.tsv")
