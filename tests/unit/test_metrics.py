import numpy as np
import pytest

from methmix.metrics import limit_of_detection

SPIKES = np.array([0.001, 0.002, 0.005, 0.01, 0.02, 0.05])


def test_limit_is_interpolated_on_a_logarithmic_scale():
    assert limit_of_detection(np.array([0.01, 0.04]), np.array([0.90, 1.00])) == pytest.approx(0.02)
    assert limit_of_detection(SPIKES, np.array([0.1, 0.3, 0.95, 1, 1, 1])) == pytest.approx(0.005)
    assert limit_of_detection(SPIKES, np.array([0.96, 1, 1, 1, 1, 1])) == 0.001
    assert np.isinf(limit_of_detection(SPIKES, np.array([0, 0, 0, 0, 0.5, 0.94])))


def test_a_chance_dip_is_smoothed():
    """A sensitivity of 1 and then 0.9 is read as 0.95 twice."""
    assert limit_of_detection(SPIKES, np.array([0, 0, 1.0, 0.9, 1, 1])) == pytest.approx(0.005)
    assert limit_of_detection(SPIKES, np.array([1.0, 0, 0, 0, 1, 1])) > 0.01
