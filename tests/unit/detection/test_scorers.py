import numpy as np
from experiments import tiny_experiment, tiny_mixtures, tiny_reference

from methmix.arms import names
from methmix.detection.scorers import make_scorers, presence_score
from methmix.evaluation.controls import Context, em
from methmix.models.prediction import Prediction


def test_presence_orders_and_proportion_breaks_ties():
    probability = np.array([[0, 1e-30, 0.5, np.nextafter(np.float32(0.5), np.float32(1)), 1, 1]], dtype=float)
    proportions = np.array([[0.0, 0, 0.9, 0, 0.1, 0.2]])
    score = presence_score(Prediction(proportions, probability))
    assert np.isfinite(score).all()
    assert (np.diff(score[0]) > 0).all()
    assert (presence_score(Prediction(proportions, None)) == proportions).all()


def test_controls_of_the_registry_are_scored_without_a_cut(tmp_path):
    reference = tiny_reference()
    mixtures = tiny_mixtures(reference, "test", tmp_path)
    scorers = make_scorers(reference, tiny_experiment(), [])
    assert list(scorers) == names("control", detection=True)
    uncut = em(Context(reference, tiny_experiment(), "phase2"), mixtures).proportions
    assert np.array_equal(scorers["em"](mixtures), uncut)
