"""Limit of detection: thresholds, sensitivities and limits against independent ones, dilution series, the page."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from experiments import ROOT
from pydantic import ValidationError
from scipy import stats
from sklearn.metrics import roc_curve

from methmix.config.experiment import Experiment
from methmix.config.load import load_experiment
from methmix.detection.__main__ import write_results
from methmix.detection.dilution import DilutionScores, dilution, score_dilutions, spiked_tissues, write_scores
from methmix.detection.limits import FALSE_POSITIVE_RATES, detection_table, limits_table, shown_limit, threshold, wilson
from methmix.detection.scorers import make_scorers, presence_score
from methmix.errors import InputError
from methmix.metrics import limit_of_detection
from methmix.models.prediction import Prediction
from methmix.reference.build import build_reference
from methmix.report import __main__ as report

SPIKES = np.array([0.001, 0.002, 0.005, 0.01, 0.02, 0.05])


def scores_of(spiked, blanks, validation=None, spikes=SPIKES) -> DilutionScores:
    """Make the scores of one arm and one tissue at one depth."""
    expand = lambda values: np.asarray(values)[None, None, None]  # noqa: E731
    both = {"test": expand(blanks), "validation": expand(blanks if validation is None else validation)}
    return DilutionScores(["sparse"], ["Liver"], np.array([10.0]), spikes, expand(spiked), both)


@pytest.fixture
def settings_of(settings):
    """Make detection settings with some keys changed."""

    def make(**changed):
        settings["detection"].update(changed)
        return Experiment.model_validate(settings).detection

    return make


# Thresholds and sensitivities


@pytest.mark.parametrize("rate", FALSE_POSITIVE_RATES)
@pytest.mark.parametrize("rounded", [None, 1], ids=["continuous", "with ties"])
def test_sensitivity_is_that_of_the_roc_curve(rng, rate, rounded):
    blanks, spiked = rng.normal(size=300), rng.normal(1.5, 1, size=200)
    if rounded is not None:
        blanks, spiked = blanks.round(rounded), spiked.round(rounded)
    false, true, _ = roc_curve(np.repeat([0, 1], [300, 200]), np.concatenate([blanks, spiked]), drop_intermediate=False)
    table = detection_table(scores_of(spiked[None], blanks, spikes=np.array([0.01])))
    chosen = table[(table["fpr"] == rate) & (table["spike"] == 0.01)]
    assert chosen["sensitivity"].item() == pytest.approx(true[false <= rate].max())


@pytest.mark.parametrize("rate", FALSE_POSITIVE_RATES)
def test_no_more_blanks_than_the_rate_are_called(rng, rate):
    for blanks in (rng.normal(size=(4, 250)), rng.integers(3, size=(4, 250)).astype(float), np.zeros((4, 250))):
        called = (blanks > threshold(blanks, rate)[:, None]).mean(axis=1)
        assert (called <= rate).all()
    distinct = np.arange(500.0)
    assert (distinct > threshold(distinct, rate)).mean() == rate


@pytest.mark.parametrize("rate", FALSE_POSITIVE_RATES)
def test_a_blind_score_finds_as_many_as_it_calls_falsely(rng, rate):
    scores = scores_of(rng.normal(size=(len(SPIKES), 20_000)), rng.normal(size=200_000))
    table = detection_table(scores)
    np.testing.assert_allclose(table.loc[table["fpr"] == rate, "sensitivity"], rate, rtol=0.25)
    assert np.isinf(limits_table(scores)["limit"]).all()


def test_blanks_of_other_donors_set_another_threshold(rng):
    blanks = rng.normal(size=5000)
    table = limits_table(scores_of(rng.normal(size=(6, 10)), blanks, blanks - 1))
    np.testing.assert_allclose(table["fpr_attained"], FALSE_POSITIVE_RATES)
    shifted = [stats.norm.sf(stats.norm.isf(rate) - 1) for rate in FALSE_POSITIVE_RATES]
    np.testing.assert_allclose(table["fpr_validation_threshold"], shifted, rtol=0.1)


@pytest.mark.parametrize("n", [1, 20, 500])
def test_interval_is_that_of_scipy(n):
    counts = np.array([0, 1, n // 2, n])
    low, high = wilson(counts / n, n)
    for row, count in enumerate(counts):
        expected = stats.binomtest(int(count), n).proportion_ci(method="wilson")
        assert (low[row], high[row]) == pytest.approx((expected.low, expected.high), abs=1e-12)


# Limits


def test_limit_of_a_score_whose_limit_is_known(rng):
    """The score is normal around 200 times the spike: 95 % exceed z(0.95) from a spike of 2 z(0.95) / 200 on."""
    spikes = np.geomspace(0.001, 0.05, 30)
    spiked = rng.normal(200 * spikes[:, None], 1, size=(30, 4000))
    table = limits_table(scores_of(spiked, rng.normal(size=20_000), spikes=spikes))
    for rate, found in zip(table["fpr"], table["limit"], strict=True):
        assert found == pytest.approx((stats.norm.isf(rate) + stats.norm.isf(0.05)) / 200, rel=0.04)


def test_limit_is_interpolated_on_a_logarithmic_scale():
    assert limit_of_detection(np.array([0.01, 0.04]), np.array([0.90, 1.00])) == pytest.approx(0.02)
    assert limit_of_detection(SPIKES, np.array([0.1, 0.3, 0.95, 1, 1, 1])) == pytest.approx(0.005)
    assert limit_of_detection(SPIKES, np.array([0.96, 1, 1, 1, 1, 1])) == 0.001
    assert np.isinf(limit_of_detection(SPIKES, np.array([0, 0, 0, 0, 0.5, 0.94])))


def test_a_chance_dip_is_smoothed():
    """A sensitivity of 1 and then 0.9 is read as 0.95 twice."""
    assert limit_of_detection(SPIKES, np.array([0, 0, 1.0, 0.9, 1, 1])) == pytest.approx(0.005)
    assert limit_of_detection(SPIKES, np.array([1.0, 0, 0, 0, 1, 1])) > 0.01


def test_limit_in_words():
    assert [shown_limit(value, SPIKES) for value in (np.inf, 0.001, 0.0123, 0.05)] == [
        "> 5 %",
        "<= 0.1 %",
        "1.2 %",
        "5 %",
    ]


def test_tables_have_a_row_for_everything(rng):
    shape = (2, 3, 2)
    blanks = {split: rng.normal(size=(*shape, 100)) for split in ("test", "validation")}
    spiked = rng.normal(size=(*shape, 6, 10))
    # One entry is set apart, to see that nothing is mixed up.
    spiked[1, 2, 0, 4] = 99
    scores = DilutionScores(["nnls", "sparse"], ["A", "B", "C"], np.array([10.0, 30.0]), SPIKES, spiked, blanks)
    table = detection_table(scores)
    assert list(table) == ["arm", "tissue", "depth", "spike", "fpr", "sensitivity", "low", "high"]
    assert len(table) == 2 * 3 * 2 * 7 * 2
    sure = table[table["sensitivity"] == 1]
    assert sure[["arm", "tissue", "depth", "spike"]].drop_duplicates().to_numpy().tolist() == [
        ["sparse", "C", 10.0, 0.02]
    ]
    assert (table.loc[table["spike"] == 0, "sensitivity"] <= table.loc[table["spike"] == 0, "fpr"]).all()
    assert len(limits_table(scores)) == 2 * 3 * 2 * 2


# Scores


def test_presence_orders_and_proportion_breaks_ties():
    probability = np.array([[0, 1e-30, 0.5, np.nextafter(np.float32(0.5), np.float32(1)), 1, 1]], dtype=float)
    proportions = np.array([[0.0, 0, 0.9, 0, 0.1, 0.2]])
    score = presence_score(Prediction(proportions, probability))
    assert np.isfinite(score).all()
    assert (np.diff(score[0]) > 0).all()
    assert (presence_score(Prediction(proportions, None)) == proportions).all()


# Dilution series


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


# Mistakes


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"background": {"Blood": 0.7, "Liver": 0.2}}, "background: the proportions sum to 0.9, expected 1"),
        ({"background": {}}, "background"),
        ({"spikes": [0.0, 0.1]}, "spikes.0"),
        ({"spikes": [0.1, 1.5]}, "spikes.1"),
        ({"spikes": [0.1, 0.1]}, "spikes: expected ascending values without repeats"),
        ({"depths": [100, 10]}, "depths: expected ascending values without repeats"),
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


# Figure and page


@pytest.fixture
def folder(tmp_path, settings, reference):
    """Write what ``python -m methmix.detection`` writes, of the controls alone."""
    experiment = Experiment.model_validate(settings)
    scores = score_dilutions(1, experiment.detection, reference, make_scorers(reference, []))
    write_results(tmp_path, experiment, experiment.detection, reference, scores)
    return tmp_path


def test_page_opens_offline_and_has_the_limits(folder, monkeypatch):
    monkeypatch.setattr("sys.argv", ["report", "detection", "--folder", str(folder)])
    assert report.main() == 0
    page = (folder / "detection.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    record = json.loads((folder / "detection.json").read_text())
    assert len(record["median_limits"]) == 2 * 2 * 2
    assert all(row["shown"].replace("<", "&lt;").replace(">", "&gt;") in page for row in record["median_limits"])
    assert (folder / "detection.png").stat().st_size > 10_000
    assert not list(folder.glob("*.part"))


@pytest.mark.parametrize("name", ["detection.json", "detection.csv", "limits.csv"])
def test_results_that_are_missing_or_damaged(folder, name, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["report", "detection", "--folder", str(folder)])
    (folder / name).write_text("")
    assert report.main() == 2
    assert "a file is damaged" in capsys.readouterr().err
    (folder / name).unlink()
    assert report.main() == 2
    assert f"{name}: there is no such file" in capsys.readouterr().err


def test_scores_can_be_read_again(tmp_path, rng):
    scores = scores_of(rng.normal(size=(6, 10)), rng.normal(size=100))
    write_scores(tmp_path / "scores.npz", scores)
    stored = np.load(tmp_path / "scores.npz", allow_pickle=False)
    np.testing.assert_array_equal(stored["spiked"], scores.spiked)
    assert stored["arms"].tolist() == ["sparse"]
    np.testing.assert_array_equal(stored["blanks_validation"], scores.blanks["validation"])
