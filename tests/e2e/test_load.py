"""Many samples, many mixtures and many regions, each within a stated memory; METHMIX_LOAD=full for the full sizes.

    METHMIX_LOAD=full python -m pytest -s tests/e2e/test_load.py

prints what was measured. That 200 points of a sweep are planned within 10 s is in tests/workflow/test_workflow.py.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
import yaml
from experiments import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(3600)]


class Load(NamedTuple):
    """How much, and the most memory of each step, MB."""

    samples: int
    mixtures: int
    regions: int
    predicting: int
    evaluating: int
    reading: int
    training: int


LOADS = {
    "ci": Load(300, 1000, 50_000, 1000, 1000, 1000, 1500),
    "full": Load(2000, 10_000, 500_000, 2000, 3000, 3000, 6000),
}
LOAD = LOADS[os.environ.get("METHMIX_LOAD", "ci")]
SHORT = {"training.epochs": 1, "training.mixtures_per_epoch": 100, "training.batch_size": 25}


class Runs:
    """Runs commands in a folder, and keeps their peak memory."""

    def __init__(self, folder: Path, reference: dict[str, object], mixtures: dict[str, object]) -> None:
        self.folder = folder
        experiment = {"base": str(ROOT / "config/tiny.yaml"), "name": "load", "overrides": SHORT}
        experiment |= {"reference": reference, "mixtures": mixtures, "evaluation": {"n_bootstrap": 100}}
        (folder / "load.yaml").write_text(yaml.safe_dump(experiment))
        self.reference, self.results = folder / "reference.h5", folder / "results"

    def __call__(self, module: str, *arguments: object) -> int:
        """Run a command; gives its peak memory, MB."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        command = [sys.executable, "-m", f"methmix.{module}", *map(str, arguments)]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found = re.search(r"finished in (.+), peak memory ([\d,]+) MiB", done.stderr.splitlines()[-1])
        assert found, done.stderr
        sys.stdout.write(f"\n{LOAD}: {module}: {found[1]}, {found[2]} MiB")
        return int(found[2].replace(",", ""))

    def made(self, split: str) -> Path:
        path = self.folder / f"{split}.h5"
        given = ("--config", "load.yaml", "--reference", self.reference, "--phase", "phase2", "--split", split)
        self("mixtures", *given, "--output", path)
        return path

    def trained(self, validation: Path, arm: str = "sparse", *settings: str) -> tuple[Path, int]:
        given = ("--config", ROOT / f"config/phase2_{arm}.yaml", "--experiment", "load.yaml")
        given += ("--reference", self.reference, "--validation", validation, "--output", self.folder / "run")
        used = self("training", *given, *(f"--set={setting}" for setting in settings))
        return self.folder / "run/checkpoints/checkpoint_best.pt", used


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A model of 5,000 regions and many mixtures; gives the runs, the checkpoint and the mixtures."""
    mixtures = {"n_train_preview": LOAD.samples, "n_validation": 100, "n_test": LOAD.mixtures}
    runs = Runs(tmp_path_factory.mktemp("many"), {"n_regions": 5000}, mixtures)
    runs("reference", "build", "--config", "load.yaml", "--output", runs.reference)
    validation, test = runs.made("validation"), runs.made("test")
    return runs, runs.trained(validation)[0], validation, test


@pytest.mark.parametrize("arm", ["sparse", "nnls_cut"])
def test_mixtures_are_evaluated(many, arm):
    runs, checkpoint, validation, test = many
    output = runs.folder / arm
    given = ["--config", "load.yaml", "--arm", arm, "--reference", runs.reference, "--validation", validation]
    given += ["--test", test, "--output", output]
    used = runs("evaluation", *given, *(["--checkpoint", checkpoint] if arm == "sparse" else []))
    assert used < LOAD.evaluating
    assert pd.read_csv(output / "predictions.csv")["mixture_id"].nunique() == LOAD.mixtures


def test_samples_are_predicted(many):
    runs, checkpoint, *_ = many
    some, output = runs.made("train"), runs.folder / "predictions.csv"
    given = ("--checkpoint", checkpoint, "--reference", runs.reference, "--samples", some, "--output", output)
    assert runs("prediction", *given) < LOAD.predicting
    table = pd.read_csv(output)
    assert table["sample"].nunique() == LOAD.samples
    assert (table.groupby("sample")["proportion"].sum() - 1).abs().max() < 1e-6


def test_regions_are_read_trained_and_predicted(tmp_path):
    runs = Runs(tmp_path, {"n_regions": LOAD.regions}, {"n_validation": 20, "n_test": 20})
    used = runs("reference", "build", "--config", "load.yaml", "--output", runs.reference)
    assert used < LOAD.reading
    validation, test = runs.made("validation"), runs.made("test")
    checkpoint, used = runs.trained(validation, "multitissue", "model.hidden_sizes=[8]")
    assert used < LOAD.training
    output = tmp_path / "predictions.csv"
    given = ("--checkpoint", checkpoint, "--reference", runs.reference, "--samples", test, "--output", output)
    assert runs("prediction", *given) < LOAD.training
    assert pd.read_csv(output)["regions_observed"].max() > 0.5 * LOAD.regions
