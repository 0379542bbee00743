import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from methmix.config.experiment import Experiment
from methmix.detection.measurement import measure
from methmix.detection.scorers import make_scorers
from methmix.files.mixtures import Mixtures
from methmix.mixtures.sampler import MixtureSampler
from methmix.report import __main__ as report


class Stating:
    """A model that states limits: the proportions of NNLS, called from 3 % on."""

    def __init__(self, nnls):
        self.cut, self._nnls = 0.03, nnls

    def __call__(self, mixtures):
        found = self._nnls(mixtures)
        limit = np.full(found.scores.shape, 0.1)
        limit[:, 1] = np.nan
        return found._replace(called=found.scores >= self.cut, limit=limit)


def measured(folder, settings, reference):
    """Write what ``python -m methmix.detection`` writes, of controls and a model of which only the limits matter."""
    experiment = Experiment.model_validate(settings)
    validation = MixtureSampler(reference, "validation", experiment.mixtures.recipes["phase2"], [30.0])
    batch = validation.sample(20, np.random.default_rng(1))
    reads = batch.methylation.numpy(), batch.depth.numpy()
    mixtures = Mixtures(*reads, batch.proportions, batch.label_proportions, [], reference.tissue_names, {})
    scorers = make_scorers(reference, experiment, [], mixtures)
    measure(folder, experiment, experiment.detection, reference, {"sparse": Stating(scorers["nnls"]), **scorers})
    return json.loads((folder / "detection.json").read_text())


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return tmp_path_factory.mktemp("measured") / "once"


@pytest.fixture
def folder(original, tmp_path, settings, reference):
    """Give a copy of a measurement, which is made once."""
    if not original.exists():
        measured(original, settings, reference)
    return shutil.copytree(original, tmp_path, dirs_exist_ok=True)


def test_page_opens_offline_and_has_the_limits(folder, monkeypatch):
    monkeypatch.setattr("sys.argv", ["report", "detection", "--folder", str(folder)])
    assert report.main() == 0
    page = (folder / "detection.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    record = json.loads((folder / "detection.json").read_text())
    # 3 arms, 2 depths, 5 thresholds.
    assert len(record["median_limits"]) == 3 * 2 * 5
    for row in record["median_limits"]:
        shown = row["shown"].replace("<", "&lt;").replace(">", "&gt;")
        assert shown in page or row["fpr_attained"] > 0.1
    assert (folder / "detection.png").stat().st_size > 10_000
    assert not list(folder.glob("*.part"))


def test_record_has_stated_limits_and_false_positives_of_each_donor(folder):
    record = json.loads((folder / "detection.json").read_text())
    rows = record["stated_limit"]
    assert {row["background"] for row in rows} == {"Blood", "balanced"}
    # The model knows no limit of the second tissue.
    unknown = {row["tissue"] for row in rows if row["limit"] is None}
    assert unknown == {"Colon"} and all(row["called"] is None for row in rows if row["tissue"] in unknown)
    assert all(0 <= row["called"] <= 1 for row in rows if row["limit"] is not None)
    of_sparse = [
        row["donor"]
        for row in record["false_positive_rate"]
        if (row["arm"], row["threshold"], row["depth"]) == ("sparse", "shipped", 10)
    ]
    assert of_sparse == list(range(1, 21))
    assert record["stated_limit_test_donors"] == []


@pytest.mark.slow
def test_real_donors_are_measured_beside_those_drawn_around_them(tmp_path, settings, reference, monkeypatch):
    settings["detection"]["depths"] = [30]
    real = replace(reference, attributes={**reference.attributes, "source": "counts"}, known_composition=None)
    record = measured(tmp_path, settings, real)
    assert set(record["donors"]) == {"drawn", "test"} and record["donors"]["drawn"] == 20
    assert record["stated_limit_test_donors"]
    assert {row["donors"] for row in record["median_limits"]} == {"drawn", "test"}
    assert set(record["background_donors"]["test"]) == {real.donors[row] for row in real.pool("test")["Blood"]}
    monkeypatch.setattr("sys.argv", ["report", "detection", "--folder", str(tmp_path)])
    assert report.main() == 0
    assert "the real test donors" in (tmp_path / "detection.html").read_text()


@pytest.mark.parametrize("name", ["detection.json", "detection.csv", "limits.csv"])
def test_results_that_are_missing_or_damaged(folder, name, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["report", "detection", "--folder", str(folder)])
    (folder / name).write_text("")
    assert report.main() == 2
    assert "damaged" in capsys.readouterr().err
    (folder / name).unlink()
    assert report.main() == 2
    assert f"{name}: there is no such file" in capsys.readouterr().err
