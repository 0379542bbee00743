"""What the workflow takes from the section ``prediction`` of a configuration."""

from pathlib import Path

import pytest
from experiments import ROOT

from methmix.config.load import check_experiment, load_experiment
from methmix.errors import InputError
from methmix.prediction.prediction_section import options, sheet_and_files
from methmix.prediction.sample_sheet import files_of_sheet


def settings(change, name="tiny"):
    content = load_experiment(ROOT / "config" / f"{name}.yaml").model_dump(mode="json")
    change(content)
    return check_experiment(content, Path("mine.yaml"))


def test_the_background_of_phase_3_is_the_default(tmp_path):
    plain = settings(lambda c: None)
    assert options(plain) == ["--pseudo-depth=30"]
    assert options(settings(lambda c: c["prediction"].update(control_group="Control", unknown=True))) == [
        *("--pseudo-depth=30", "--control-group=Control", "--background", "Blood", "--unknown")
    ]
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
