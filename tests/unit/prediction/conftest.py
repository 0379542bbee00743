"""A trained model, samples of plasma and the command, for all tests of predictions."""

import logging
import sys
from pathlib import Path

import numpy as np
import pytest
from experiments import PHASE3, counts_table, tiny_reference

from methmix import seeds
from methmix.mixtures.sampler import MixtureSampler
from methmix.models.prediction import Prediction
from methmix.prediction.__main__ import main
from methmix.prediction.sample_results import Cohort, SampleResult
from methmix.samples.sample_sheet import Sample


@pytest.fixture(scope="session")
def reference():
    return tiny_reference()


@pytest.fixture(scope="session")
def checkpoint(tiny_checkpoint):
    return tiny_checkpoint


@pytest.fixture(scope="session")
def plasma(reference):
    return MixtureSampler(reference, "test", PHASE3, [60]).sample(10, seeds.generator(6, "plasma"))


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


@pytest.fixture
def cohort():
    return make_cohort


def make_cohort(sizes, nnls=True, seed=1):
    """Make samples whose sums of tumour and liver are larger in cases; those of the model are often exactly 0."""
    rng = np.random.default_rng(seed)
    made = Cohort(["B", "T", "tumour", "liver"], 100)
    for group, n in sizes.items():
        for number in range(n):
            more = 0.1 * (group != "Control")
            of_nnls, of_model = rng.uniform(0.05, 0.2, 2) + more
            of_model = max(0, of_model - 0.12)
            shares = [np.array([0.6 - s / 2, 0.4 - s / 2, s / 4, 3 * s / 4]) for s in (of_model, of_nnls)]
            sample = Sample(f"{group}{number}", Path("x"), group=group)
            of_nnls = shares[1] if nnls else None
            made.results.append(SampleResult(sample, 100, 100, 30.0, Prediction(shares[0]), of_nnls))
    return made
