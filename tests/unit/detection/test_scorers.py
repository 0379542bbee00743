import numpy as np
from experiments import tiny_experiment, tiny_mixtures, tiny_reference

from methmix.arms import names
from methmix.detection.scorers import Scorer, make_scorers, presence_score
from methmix.evaluation.controls import Context, em
from methmix.evaluation.estimates import estimate
from methmix.metrics import PRESENT
from methmix.models.prediction import Prediction


def test_presence_orders_and_proportion_breaks_ties():
    probability = np.array([[0, 1e-30, 0.5, np.nextafter(np.float32(0.5), np.float32(1)), 1, 1]], dtype=float)
    proportions = np.array([[0.0, 0, 0.9, 0, 0.1, 0.2]])
    score = presence_score(Prediction(proportions, probability))
    assert np.isfinite(score).all()
    assert (np.diff(score[0]) > 0).all()
    assert (presence_score(Prediction(proportions, None)) == proportions).all()


def test_controls_of_the_registry_are_scored_without_a_cut_and_called_with_it(tmp_path):
    reference, experiment = tiny_reference(), tiny_experiment()
    mixtures, validation = (tiny_mixtures(reference, split, tmp_path) for split in ("test", "validation"))
    scorers = make_scorers(reference, experiment, [], validation)
    assert list(scorers) == names("control", detection=True)
    context = Context(reference, experiment, "phase2")
    uncut = em(context, mixtures).proportions
    found = scorers["em"](mixtures)
    assert np.array_equal(found.scores, uncut)
    # The very cut of a comparison.
    chosen = estimate("em", context, validation, mixtures).choices["cut"]
    assert np.array_equal(found.called, uncut >= chosen)
    assert found.limit is None
    plain = scorers["nnls"](mixtures)
    assert np.array_equal(plain.called, plain.scores >= PRESENT)


def test_a_gate_calls_what_it_gives_mass_and_unknown_limits_are_no_numbers():
    predicted = Prediction(
        np.array([[0.004, 0.996, 0]]), np.array([[0.6, 1, 0.1]]), limit=np.array([[np.inf, 0.2, 0.1]])
    )
    found = Scorer(lambda _: predicted)(None)
    assert found.called.tolist() == [[True, True, False]]
    np.testing.assert_array_equal(found.limit, [[np.nan, 0.2, 0.1]])
