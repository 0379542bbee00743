"""The samples sheet: its mistakes are named, and which sample of a file is meant; the section that names it."""

from pathlib import Path

import pandas as pd
import pytest
from experiments import ROOT

from methmix.config.load import check_experiment, load_experiment
from methmix.errors import InputError
from methmix.samples.sample_sheet import Sample, files_of_sheet, in_file, options, read_sheet, sheet_and_files


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sample\tfile\n", "has a header but no samples"),
        ("sample\tpath\nA\tx\n", "column file is missing; found sample, path"),
        ("sample\tfile\tday\nA\tx\t1\n", "unknown column 'day'"),
        ("sample\tfile\nA\tx\nB\ty\nA\tz\n", "line 4: duplicate sample A, first in line 2"),
        ("sample\tfile\nA\t\n", "line 2: file is empty"),
        ("sample\tfile\tdate\nA\tx\t31.1.2026\n", "line 2: invalid date: expected YYYY-MM-DD, found '31.1.2026'"),
        ("", "is empty"),
        ("sample\tfile\nA\tnowhere.tsv\n", "sample A: nowhere.tsv: there is no such file"),
    ],
)
def test_a_mistake_in_the_sheet_is_named(command, tmp_path, text, message):
    (tmp_path / "samples.tsv").write_text(text)
    code, said, output = command("--sheet", tmp_path / "samples.tsv")
    assert code == 2 and message in said
    assert not list(output.parent.glob("*"))


def test_rows_that_are_commented_out_are_left_out(tmp_path, caplog):
    sheet = tmp_path / "s.tsv"
    sheet.write_text("sample\tfile\n# of March\na\tx.tsv\n#b\tx.tsv\n\n")
    assert [sample.name for sample in read_sheet(sheet)] == ["a"]
    assert "lines that begin with # are left out: 2" in caplog.text


def test_a_file_beside_the_sheet_is_named(tmp_path):
    sheet = tmp_path / "s.tsv"
    sheet.write_text("sample\tfile\na\tx.cov\n")
    (tmp_path / "x.cov").touch()
    with pytest.raises(InputError, match=f"x.cov: there is no such file[\\s\\S]*or write {tmp_path}/x.cov"):
        files_of_sheet(sheet)


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


@pytest.mark.parametrize(
    ("sheet", "sizes"),
    [
        ("cfdna", {"Control": 93, "Breast": 41, "Colorectal": 35, "Ovarian": 13, "Cervical": 4}),
        ("gdna", {"WBC": 12, "Breast": 5, "Cervical": 6, "Colorectal": 6, "Ovarian": 3}),
        ("tissue", {"Lung": 1, "Pancreas": 1}),
    ],
)
def test_the_shipped_sheets_have_groups(sheet, sizes):
    samples = read_sheet(ROOT / "config" / f"samples_{sheet}.tsv")
    assert pd.Series([sample.group for sample in samples]).value_counts().to_dict() == sizes
    assert all(str(sample.file).startswith("METHMIX_DATA/") for sample in samples)


def settings(change, name="tiny"):
    content = load_experiment(ROOT / "config" / f"{name}.yaml").model_dump(mode="json")
    change(content)
    return check_experiment(content, Path("mine.yaml"))


def test_the_background_of_phase_3_is_the_default(tmp_path):
    plain = settings(lambda c: None)
    assert options(plain) == ["--pseudo-depth=30", "--background", "Blood"]
    assert options(settings(lambda c: c["prediction"].update(explain=False, one_depth=40))) == [
        *("--pseudo-depth=30", "--one-depth=40.0", "--background", "Blood", "--no-explain")
    ]
    assert options(settings(lambda c: c["prediction"].update(control_group="Control", unknown=True))) == [
        *("--pseudo-depth=30", "--control-group=Control", "--background", "Blood", "--unknown")
    ]
    restricted = {"zero_based": False, "modification": "5mC", "tissues": ["Blood", "Liver"], "exclude_regions": "x.bed"}
    assert options(settings(lambda c: c["prediction"].update(restricted))) == [
        *("--pseudo-depth=30", "--modification=5mC", "--exclude-regions=x.bed", "--no-zero-based"),
        *("--tissues", "Blood", "Liver", "--background", "Blood"),
    ]
    assert "--zero-based" in options(settings(lambda c: c["prediction"].update(zero_based=True)))
    with pytest.raises(InputError, match=r"prediction\.tissues: Blood is named twice"):
        settings(lambda c: c["prediction"].update(tissues=["Blood", "Blood"]))
    own = settings(lambda c: c["prediction"].update(control_group="Control", background=["Liver", "Lung"]))
    assert options(own)[-3:] == ["--background", "Liver", "Lung"]

    def without_phase3(content):
        content["prediction"].update(control_group="Control", checkpoint_phase="phase2")
        for phases in (content["mixtures"]["recipes"], content["arms"]):
            phases.pop("phase3")

    with pytest.raises(InputError, match=r"prediction\.background: with a control_group, expected names"):
        settings(without_phase3)


def test_public_data_of_a_sheet_is_found(tmp_path, monkeypatch):
    sheet = tmp_path / "samples.tsv"
    sheet.write_text("sample\tfile\nA\tMETHMIX_DATA/some/counts.tsv\n")
    monkeypatch.setenv("METHMIX_DATA", str(tmp_path))
    experiment = settings(lambda c: c["prediction"].update(samples=str(sheet)))
    with pytest.raises(InputError, match=r"sample A: .*some/counts.tsv: there is no such file"):
        files_of_sheet(sheet)
    (tmp_path / "some").mkdir()
    (tmp_path / "some/counts.tsv").touch()
    assert sheet_and_files(experiment, "mine.yaml") == [str(sheet), str(tmp_path / "some/counts.tsv")]
