import numpy as np
import pytest
from experiments import ROOT

from methmix.config.load import load_experiment
from methmix.detection.backgrounds import (
    Spiker,
    balanced_backgrounds,
    same_background,
    spike_weight,
    spiked_tissues,
    take_donors,
)
from methmix.errors import InputError
from methmix.reference.build import build_reference
from methmix.reference.unseen_donors import RealDonors, unseen_donors


@pytest.fixture
def source(reference):
    return unseen_donors(reference, 5)["drawn"]


def test_weight_gives_the_target_and_nothing_where_it_cannot():
    target, spiked, background = (
        np.array([0.05, 0.05, 0.05, 0.7]),
        np.array([1, 0.8, 0.9, 0.6]),
        np.array([0, 0.01, 0.05, 0]),
    )
    weight = spike_weight(target, spiked, background)
    np.testing.assert_allclose(weight[:2] * spiked[:2] + (1 - weight[:2]) * background[:2], 0.05)
    # The background has as much already; the donor has too little.
    assert np.isnan(weight[2:]).all()


def test_true_proportion_of_a_mixture_is_the_spike_whatever_the_donors_hold(reference, source):
    names = reference.tissue_names
    liver = names.index("Liver")
    backgrounds = same_background(source, names, {"Blood": 0.7, "Kidney": 0.3}, "background", 20)
    chosen = np.arange(30) % 20
    donors = take_donors(source, [liver] * 30, "spiked", list(range(30)))
    assert (donors.composition[:, liver] < 1).any()
    weight = spike_weight(np.full(30, 0.2), donors.composition[:, liver], backgrounds.composition[chosen, liver])
    mixtures = Spiker(reference).mix(backgrounds, chosen, 30, np.random.default_rng(1), donors, weight)
    np.testing.assert_allclose(mixtures.proportions[:, liver], 0.2, rtol=1e-5)
    np.testing.assert_allclose(mixtures.proportions.sum(axis=1), 1, rtol=1e-5)
    expected = (1 - weight)[:, None] * backgrounds.composition[chosen] + weight[:, None] * donors.composition
    np.testing.assert_allclose(mixtures.proportions, expected, atol=1e-6)
    # What is seen is what the donors are mixed of, with reads of the depth.
    methylation = backgrounds.weights[chosen] @ backgrounds.donors.methylation
    methylation = (1 - weight)[:, None] * methylation + weight[:, None] * donors.methylation
    assert np.nanmean(mixtures.methylation - methylation, dtype=float) == pytest.approx(0, abs=0.005)
    assert mixtures.depth.mean() == pytest.approx(30, rel=0.05)


def test_every_background_has_donors_of_its_own(reference, source):
    names = reference.tissue_names
    backgrounds = same_background(source, names, {"Blood": 0.7, "Kidney": 0.3}, "background", 20)
    assert len(backgrounds) == 20
    assert len(np.unique(backgrounds.donors.methylation, axis=0)) == 40
    assert ((backgrounds.weights > 0).sum(axis=0) == 1).all()
    others = same_background(source, names, {"Blood": 0.7, "Kidney": 0.3}, "other background", 20)
    both = np.concatenate([backgrounds.donors.methylation, others.donors.methylation])
    assert len(np.unique(both, axis=0)) == 80


def test_balanced_backgrounds_have_three_tissues(reference, source):
    balanced = balanced_backgrounds(source, len(reference.tissue_names), 20, 5)
    np.testing.assert_allclose(balanced.composition.sum(axis=1), 1)
    assert ((balanced.weights > 0).sum(axis=1) == 3).all()
    assert balanced_backgrounds(source, 2, 20, 5).composition.shape == (20, 6)


def test_there_are_no_more_backgrounds_than_real_donors(reference):
    real = RealDonors(reference)
    n = max(len(reference.pool("test")[name]) for name in ("Blood", "Kidney"))
    assert len(same_background(real, reference.tissue_names, {"Blood": 0.5, "Kidney": 0.5}, "background", 20)) == n


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
