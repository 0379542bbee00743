"""Stated limits are checked on mixtures that hold exactly what was stated."""

import numpy as np
import pytest

from methmix.config.experiment import Experiment
from methmix.detection.scorers import Evidence
from methmix.detection.stated_limits import BALANCED, COLUMNS, check_stated_limits
from methmix.reference.unseen_donors import unseen_donors


@pytest.fixture
def check(settings, reference):
    """Check the limits of a scorer on the small experiment, at one depth."""
    settings["detection"]["depths"] = [30]

    def run(scorer, name="sparse"):
        source = unseen_donors(reference, 1)["drawn"]
        detection = Experiment.model_validate(settings).detection
        return check_stated_limits(1, detection, reference, source, {name: scorer})

    return run


def stating(limit, threshold):
    """Make an arm that knows the truth, states a limit and calls from a threshold on."""

    def scorer(mixtures):
        true = mixtures.proportions.astype(float)
        return Evidence(true, true >= threshold - 1e-6, np.broadcast_to(limit, true.shape).astype(float))

    return scorer


def test_limits_that_are_kept_and_that_are_not(check):
    kept, broken = check(stating(0.1, 0.1)), check(stating(0.1, 0.11))
    assert list(kept) == COLUMNS
    assert set(kept["background"]) == {"Blood", BALANCED}
    # Every tissue but the background's, and in balanced mixtures every tissue.
    assert kept.groupby("background", sort=False).size().to_dict() == {"Blood": 5, BALANCED: 6}
    assert (kept["limit"] == 0.1).all() and (kept["called"] == 1).all() and (kept["known"] == 1).all()
    assert (broken["called"] == 0).all()
    assert (kept["n"] > 0).all() and (kept["n"] <= 20).all()


def test_limit_that_is_not_known_and_one_that_no_mixture_can_have(check):
    unknown = check(stating(np.nan, 0.1))
    assert unknown["limit"].isna().all() and unknown["called"].isna().all()
    assert (unknown["n"] == 0).all() and (unknown["known"] == 0).all()
    assert (check(stating(1.5, 0.1))["n"] == 0).all()


def test_a_limit_of_some_samples_only(check):
    def scorer(mixtures):
        evidence = stating(0.1, 0.1)(mixtures)
        limit = evidence.limit.copy()
        limit[::2] = np.nan
        return evidence._replace(limit=limit)

    table = check(scorer)
    assert (table["known"] == 0.5).all() and (table["limit"] == 0.1).all() and (table["n"] <= 10).all()


def test_false_positives_are_of_samples_without_any_of_the_tissue(check):
    assert (check(stating(0.1, 0.001))["false_positive_rate"] == 0).all()
    always = check(stating(0.1, -1))
    assert (always["false_positive_rate"] == 1).all()


def test_an_arm_that_states_none_has_no_row(check):
    silent = check(lambda mixtures: stating(0.1, 0.1)(mixtures)._replace(limit=None), "nnls")
    assert silent.empty and list(silent) == COLUMNS
