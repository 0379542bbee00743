import json
import re

import pytest

from methmix.config.experiment import Experiment
from methmix.detection.dilution import score_dilutions
from methmix.detection.measurement import write_results
from methmix.detection.scorers import make_scorers
from methmix.report import __main__ as report


@pytest.fixture
def folder(tmp_path, settings, reference):
    """Write what ``python -m methmix.detection`` writes, of the controls alone."""
    experiment = Experiment.model_validate(settings)
    scores = score_dilutions(1, experiment.detection, reference, make_scorers(reference, experiment, []))
    write_results(tmp_path, experiment, experiment.detection, reference, scores)
    return tmp_path


def test_page_opens_offline_and_has_the_limits(folder, monkeypatch):
    monkeypatch.setattr("sys.argv", ["report", "detection", "--folder", str(folder)])
    assert report.main() == 0
    page = (folder / "detection.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    record = json.loads((folder / "detection.json").read_text())
    assert len(record["median_limits"]) == 2 * 2 * 2
    assert all(row["shown"].replace("<", "&lt;").replace(">", "&gt;") in page for row in record["median_limits"])
    assert (folder / "detection.png").stat().st_size > 10_000
    assert not list(folder.glob("*.part"))


@pytest.mark.parametrize("name", ["detection.json", "detection.csv", "limits.csv"])
def test_results_that_are_missing_or_damaged(folder, name, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["report", "detection", "--folder", str(folder)])
    (folder / name).write_text("")
    assert report.main() == 2
    assert "the file is damaged" in capsys.readouterr().err
    (folder / name).unlink()
    assert report.main() == 2
    assert f"{name}: there is no such file" in capsys.readouterr().err
