import numpy as np
import pytest
from experiments import tiny_experiment

from methmix.robustness.expectations import Expectation, expected
from methmix.robustness.situations import all_situations

SITUATIONS = all_situations(tiny_experiment().mixtures.recipes["phase2"], 22)


def quantities(kind, name) -> set[str]:
    (situation,) = (own for own in SITUATIONS if (own.kind, own.name) == (kind, name))
    return {expectation.quantity for expectation in expected(situation)}


@pytest.mark.parametrize(
    ("value", "held"), [(0.005, True), (0.02, True), (0.004, False), (0.021, False), (np.inf, False)]
)
def test_a_value_is_held_against_both_ends(value, held):
    verdict = Expectation("flagged", low=0.005, high=0.02).judge(value)
    assert verdict == {"quantity": "flagged", "low": 0.005, "high": 0.02, "value": value, "held": held}


def test_what_cannot_be_measured_is_not_judged():
    assert Expectation("auc_minus_nnls", low=0).judge(np.nan) is None


def test_every_situation_has_an_expectation():
    always = {"absent_excluded", "absent_said", "large_zero", "auc_minus_nnls"}
    for situation in SITUATIONS:
        found = {expectation.quantity for expectation in expected(situation)}
        assert found == {"claimed"} if situation.kind == "nothing" else always <= found


def test_expectations_of_their_own():
    assert "mae_over_nnls" in quantities("composition", "all tissues, depth 4")
    assert "mae_over_nnls" not in quantities("composition", "20 tissues, depth 4")
    assert {"flagged", "unanswered"} <= quantities("foreign", "0 %, depth 30")
    assert "flagged" not in quantities("foreign", "10 %, depth 30")
    assert "flagged" in quantities("foreign", "10 %, depth 100")
    assert "unanswered" in quantities("depth", "depth 10") and "unanswered" not in quantities("depth", "depth 3")
    assert "flagged" in quantities("composition", "1 tissue, depth 4")
    assert "flagged" not in quantities("shift", "low rank 0.3")
