import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from experiments import ROOT
from pydantic import ValidationError

from methmix.config.experiment import Experiment
from methmix.config.load import load_experiment
from methmix.detection.dilution import DilutionScores, dilution, score_dilutions, spiked_tissues, write_scores
from methmix.errors import InputError
from methmix.reference.build import build_reference


@pytest.fixture
def settings_of(settings):
    """Make detection settings with some keys changed."""

    def make(**changed):
        settings["detection"].update(changed)
        return Experiment.model_validate(settings).detection

    return make


def test_proportions_are_exact():
    names = ["Blood", "Colon", "Liver", "Spleen"]
    background = {"Blood": 0.75, "Spleen": 0.25}
    np.testing.assert_array_equal(dilution(background, names, "Liver", 0.5), [0.375, 0, 0.5, 0.125])
    np.testing.assert_array_equal(dilution(background, names, None, 0.0), [0.75, 0, 0, 0.25])


def test_scorers_meet_what_was_asked_for(reference, settings_of):
    """Every block is of one depth and of one spike, and every mixture of the settings is drawn once."""
    settings = settings_of(n_spiked=60)
    seen = []

    def record(mixtures):
        seen.extend(zip(mixtures.depth.mean(axis=1).round(-1), map(tuple, mixtures.proportions), strict=True))
        return np.zeros(mixtures.proportions.shape)

    scores = score_dilutions(1, settings, reference, {"nnls": record})
    counts = pd.Series(seen).value_counts()
    assert scores.tissues == [name for name in reference.tissue_names if name != "Blood"]
    expected = {}
    for depth in settings.depths:
        expected[(depth, tuple(dilution(settings.background, reference.tissue_names, None, 0)))] = 2 * 100
        for tissue in scores.tissues:
            for spike in settings.spikes:
                expected[(depth, tuple(dilution(settings.background, reference.tissue_names, tissue, spike)))] = 60
    assert counts.to_dict() == expected


def test_scores_are_filed_under_their_tissue_depth_and_spike(reference, settings_of):
    """A score that is the true proportion times the depth says where it came from."""
    settings = settings_of()
    scores = score_dilutions(
        1, settings, reference, {"truth": lambda m: m.proportions * m.depth.mean(axis=1, keepdims=True).round(-1)}
    )
    expected = np.array(settings.depths)[:, None] * np.array(settings.spikes)
    np.testing.assert_allclose(scores.spiked, np.broadcast_to(expected[None, None, :, :, None], scores.spiked.shape))
    assert all((blanks == 0).all() for blanks in scores.blanks.values())


def test_a_block_does_not_depend_on_the_others(reference, settings_of):
    scorer = {
        "mean": lambda m: np.nanmean(m.methylation, axis=1, keepdims=True, dtype=float) + np.zeros(m.proportions.shape)
    }
    whole = score_dilutions(1, settings_of(n_spiked=60), reference, scorer)
    part = score_dilutions(1, settings_of(n_spiked=50, spikes=[0.1], depths=[100]), reference, scorer)
    np.testing.assert_array_equal(part.spiked[:, :, 0, 0], whole.spiked[:, :, 1, 1, :50])
    np.testing.assert_array_equal(part.blanks["test"][:, :, 0], whole.blanks["test"][:, :, 1])
    other = score_dilutions(2, settings_of(n_spiked=50, spikes=[0.1], depths=[100]), reference, scorer)
    assert (other.spiked != part.spiked).any()
    # No two blocks, nor the blanks of two splits, are alike.
    values = np.concatenate([whole.spiked.ravel(), *(b[:, 0].ravel() for b in whole.blanks.values())])
    assert len(np.unique(values)) == len(values)


def test_only_donors_of_the_split_are_mixed(reference, settings_of):
    """Scores of test mixtures stay the same when all other donors change, but for those of validation blanks."""
    scorer = {
        "mean": lambda m: np.nanmean(m.methylation, axis=1, keepdims=True, dtype=float) + np.zeros(m.proportions.shape)
    }
    other = np.array(reference.split) != "test"
    changed = replace(reference, methylated=np.where(other[:, None], 0, reference.methylated))
    first, second = (score_dilutions(1, settings_of(), made, scorer) for made in (reference, changed))
    np.testing.assert_array_equal(first.spiked, second.spiked)
    np.testing.assert_array_equal(first.blanks["test"], second.blanks["test"])
    assert (second.blanks["validation"] == 0).all()


def test_a_gap_of_the_background_donor_does_not_show_the_spike_pure(reference, settings_of):
    """In a region that no blood donor was observed in, there is nothing to see, whatever is spiked."""
    blood = np.array(reference.tissues) == "Blood"
    gap = np.arange(400) < 50
    unseen = blood[:, None] & gap
    made = replace(
        reference,
        methylated=np.where(unseen, 0, reference.methylated),
        depth=np.where(unseen, 0, reference.depth),
    )
    depths = []

    def record(mixtures):
        depths.append(mixtures.depth[:, gap].sum())
        return np.zeros(mixtures.proportions.shape)

    score_dilutions(1, settings_of(), made, {"nnls": record})
    assert sum(depths) == 0


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
    ],
)
def test_settings_that_make_no_series_are_refused(settings_of, changed, message):
    with pytest.raises(ValidationError, match=re.escape(message)):
        settings_of(**changed)


def test_background_that_the_reference_has_not():
    with pytest.raises(InputError, match="'Bloot' is not a tissue of the reference; it has Blood, Liver"):
        spiked_tissues({"Bloot": 1.0}, ["Blood", "Liver"])
    with pytest.raises(InputError, match="none is left to spike"):
        spiked_tissues({"Blood": 0.5, "Liver": 0.5}, ["Blood", "Liver"])


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "file", "n_spiked"),
    [
        ("metdecode", "metdecode/atlas_with_replicates.tsv.gz", 7),
        ("loyfer_uxm", "loyfer_uxm/Atlas.U250.l4.hg38.full.tsv.gz", 35),
    ],
)
def test_backgrounds_of_the_shipped_experiments_are_in_their_references(data_file, monkeypatch, name, file, n_spiked):
    monkeypatch.setenv("METHMIX_DATA", str(data_file(file).parents[1]))
    experiment = load_experiment(ROOT / "config" / f"{name}.yaml")
    tissues = build_reference(experiment).tissue_names
    assert len(spiked_tissues(experiment.detection.background, tissues)) == n_spiked


def test_scores_can_be_read_again(tmp_path, rng):
    blanks = {split: rng.normal(size=(1, 1, 1, 100)) for split in ("test", "validation")}
    spiked = rng.normal(size=(1, 1, 1, 2, 10))
    scores = DilutionScores(["sparse"], ["Liver"], np.array([10.0]), np.array([0.01, 0.02]), spiked, blanks)
    write_scores(tmp_path / "scores.npz", scores)
    stored = np.load(tmp_path / "scores.npz", allow_pickle=False)
    np.testing.assert_array_equal(stored["spiked"], scores.spiked)
    assert stored["arms"].tolist() == ["sparse"]
    np.testing.assert_array_equal(stored["blanks_validation"], scores.blanks["validation"])
