"""What trainings of tests leave out where it is not what is tested."""

from typing import Any

import pytest
from experiments import DUE, undrawn

from methmix.training import loop
from methmix.training.pictures import Pictures

# What has been chosen of the least squares, by configuration and data: it takes longer than a small training.
CHOSEN: dict[tuple[str, ...], Any] = {}


@pytest.fixture(scope="module", autouse=True)
def one_choice():
    choose = loop.with_least_squares

    def once(arm, experiment, reference, *donors):
        given = arm.model_dump_json(), experiment.model_dump_json(), reference.content_digest
        if given not in CHOSEN:
            CHOSEN[given] = choose(arm, experiment, reference, *donors)
        return CHOSEN[given]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "with_least_squares", once)
        yield


@pytest.fixture(scope="module", autouse=True)
def no_pictures():
    with undrawn():
        yield


@pytest.fixture
def pictures(monkeypatch):
    """Draw them all the same."""
    monkeypatch.setattr(Pictures, "due", DUE)


@pytest.fixture(scope="module")
def short_calibration():
    """Calibrate on fewer mixtures: enough where the same values must come again, whatever they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("methmix.training.batches._CALIBRATION", 500)
        yield
