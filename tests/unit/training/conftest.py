"""What trainings of tests leave out where it is not what is tested."""

import pytest
from experiments import DUE, undrawn

from methmix.training.pictures import Pictures


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
