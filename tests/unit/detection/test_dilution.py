import re
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from methmix.config.experiment import Experiment
from methmix.detection.dilution import score_dilutions, write_scores
from methmix.detection.scorers import Evidence
from methmix.reference.unseen_donors import RealDonors, unseen_donors


@pytest.fixture
def settings_of(settings):
    """Make detection settings with some keys changed."""

    def make(**changed):
        settings["detection"].update(changed)
        return Experiment.model_validate(settings).detection

    return make


@pytest.fixture
def source(reference):
    return unseen_donors(reference, 1)["drawn"]


def scorer(score):
    """Make a scorer that calls what has a score above 0.05."""
    return lambda mixtures: Evidence(score(mixtures), score(mixtures) > 0.05, None)


def mean_methylation(mixtures):
    return np.nanmean(mixtures.methylation, axis=1, keepdims=True, dtype=float) + np.zeros(mixtures.proportions.shape)


def test_scores_are_filed_under_their_tissue_depth_and_spike(reference, source, settings_of):
    """A score that is the true proportion times the depth says where it came from, and that the truth is the spike."""
    settings = settings_of(n_spiked=30)
    truth = scorer(lambda m: m.proportions * m.depth.mean(axis=1, keepdims=True).round(-1))
    scores = score_dilutions(1, settings, reference, source, {"truth": truth})
    assert scores.tissues == [name for name in reference.tissue_names if name != "Blood"]
    assert scores.spiked.shape == (1, 5, 2, 2, 30)
    expected = np.array(settings.depths)[:, None] * np.array(settings.spikes)
    known = ~np.isnan(scores.spiked)
    # Where a background has as much of the tissue by itself, nothing is measured.
    assert 0.7 < known.mean() < 1
    np.testing.assert_allclose(
        scores.spiked[known], np.broadcast_to(expected[None, None, :, :, None], known.shape)[known], rtol=1e-4
    )
    np.testing.assert_array_equal(scores.spiked_called[known], scores.spiked[known] > 0.05)


def test_a_blank_has_exactly_none_of_the_tissue(reference, source, settings_of):
    """Backgrounds whose donor is admixed with a tissue are no blanks of it, whatever the label says."""
    scores = score_dilutions(1, settings_of(), reference, source, {"truth": scorer(lambda m: m.proportions)})
    for blanks in scores.blanks.values():
        assert blanks.shape == (1, 5, 2, 20, 20)
        assert (blanks[~np.isnan(blanks)] == 0).all()
        # Each donor is admixed with one of the five tissues.
        assert np.isnan(blanks).mean() == pytest.approx(0.2)


def test_a_block_does_not_depend_on_the_others(reference, source, settings_of):
    mean = {"mean": scorer(mean_methylation)}
    whole = score_dilutions(1, settings_of(n_spiked=60), reference, source, mean)
    part = score_dilutions(1, settings_of(n_spiked=50, spikes=[0.1], depths=[100]), reference, source, mean)
    np.testing.assert_array_equal(part.spiked[:, :, 0, 0], whole.spiked[:, :, 1, 1, :50])
    np.testing.assert_array_equal(part.blanks["background"][:, :, 0], whole.blanks["background"][:, :, 1])
    other = score_dilutions(2, settings_of(n_spiked=50, spikes=[0.1], depths=[100]), reference, source, mean)
    assert (other.spiked != part.spiked).any()
    # No two blocks, nor the blanks of two sets of backgrounds, are alike.
    values = np.concatenate([whole.spiked.ravel(), *(np.nanmean(b, axis=1).ravel() for b in whole.blanks.values())])
    values = values[~np.isnan(values)]
    assert len(np.unique(values)) == len(values)


def test_only_real_donors_of_test_and_validation_are_mixed(reference, settings_of):
    mean = {"mean": scorer(mean_methylation)}
    other = np.array(reference.split) != "test"
    changed = replace(reference, methylated=np.where(other[:, None], 0, reference.methylated))
    first, second = (score_dilutions(1, settings_of(), made, RealDonors(made), mean) for made in (reference, changed))
    np.testing.assert_array_equal(first.spiked, second.spiked)
    np.testing.assert_array_equal(first.blanks["background"], second.blanks["background"])
    blanks = second.blanks["other background"]
    assert (blanks[~np.isnan(blanks)] == 0).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"background": {"Blood": 0.7, "Liver": 0.2}},
            "background\n  Value error, the proportions sum to 0.9, expected 1",
        ),
        ({"background": {}}, "background"),
        ({"spikes": [0.0, 0.1]}, "spikes.0"),
        ({"spikes": [0.1, 1.5]}, "spikes.1"),
        ({"spikes": [0.1, 0.1]}, "spikes\n  Value error, expected ascending values without repeats"),
        ({"depths": [100, 10]}, "depths\n  Value error, expected ascending values without repeats"),
        ({"depths": [0]}, "depths.0"),
        ({"n_blank": 99}, "n_blank"),
        ({"n_background_donors": 19}, "n_background_donors"),
    ],
)
def test_settings_that_make_no_series_are_refused(settings_of, changed, message):
    with pytest.raises(ValidationError, match=re.escape(message)):
        settings_of(**changed)


def test_scores_can_be_read_again(tmp_path, reference, source, settings_of):
    scores = score_dilutions(1, settings_of(depths=[10]), reference, source, {"mean": scorer(mean_methylation)})
    write_scores(tmp_path / "scores.npz", {"drawn": scores})
    stored = np.load(tmp_path / "scores.npz", allow_pickle=False)
    np.testing.assert_array_equal(stored["drawn/spiked"], scores.spiked)
    assert stored["drawn/arms"].tolist() == ["mean"]
    np.testing.assert_array_equal(
        stored["drawn/blanks_called/other_background"], scores.blanks_called["other background"]
    )
