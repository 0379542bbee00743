"""Profiles estimated from donors, and training on donors that are not in the profiles."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pandas as pd
import pytest
import torch
from experiments import tiny_arm, tiny_experiment, tiny_mixtures, tiny_reference
from scipy import stats

from methmix import seeds
from methmix.files.reference import Reference, mean_of_observed
from methmix.mixtures.drawn_donors import draw_donors
from methmix.mixtures.sampler import MixtureBatch
from methmix.models.prediction import predict
from methmix.models.registry import build_model
from methmix.reference.admixture import Admixture
from methmix.reference.profiles import DonorSums, SpreadFunction, purified, training_donors, training_profiles
from methmix.reference.variation import DonorVariation
from methmix.tissue_profiles import Profiles
from methmix.training.batches import Episodes, _hide, _sizes, plan_donors, training_batches


def episodes_of(reference, purify, shrink=False):
    return Episodes(reference, training_donors(reference, purify), shrink)


EVERY_TISSUE = np.full((3, 8), 1 / 8, dtype=np.float32)


@pytest.fixture(scope="module")
def reference():
    return tiny_reference()


def test_profiles_are_the_means_of_the_training_donors(reference):
    profiles = training_profiles(reference, purify=False)
    assert profiles.mean.numpy() == pytest.approx(reference.complete_profiles("train"), abs=1e-6)
    assert (profiles.noise < profiles.spread + 0.05).all() and (profiles.noise > 0).any()


def test_spread_function_finds_the_variance_between_donors(rng):
    mean = rng.random((5, 20_000))
    donors = np.concatenate([m + 0.4 * m * (1 - m) * rng.standard_normal((4, len(m))) for m in mean]).clip(0, 1)
    depth = np.full(donors.shape, 40)
    observed = rng.binomial(depth, donors) / depth
    spread = SpreadFunction(observed, depth, [range(4 * t, 4 * t + 4) for t in range(5)])
    m = np.array([0.2, 0.5, 0.8])
    assert spread(torch.from_numpy(m)).numpy() == pytest.approx((0.4 * m * (1 - m)) ** 2, rel=0.15)


def test_without_replicates_the_spread_is_borrowed(reference):
    """Otherwise the profile of a single donor would be exact."""
    spread = SpreadFunction(reference.fractions, reference.depth, [[0], [1]])
    assert spread.borrowed and not training_donors(reference, purify=False).borrowed_spread
    m = np.array([0.1, 0.5, 0.9])
    assert spread(torch.from_numpy(m)).numpy() == pytest.approx(DonorVariation.shipped("healthy").variance(m), rel=0.2)
    single = DonorSums(reference.fractions, reference.depth, [[0], [1]]).all
    observed = torch.from_numpy((reference.depth[:2] > 0).all(axis=0))
    assert (single.noise >= single.spread)[:, observed].all() and (single.spread > 0).all()


def test_purified_donors_lose_what_they_have_of_other_tissues(rng):
    """Three donors of each of four tissues; one of them has a fifth of another tissue in it."""
    tissue_of = np.repeat(range(4), 3)
    base = rng.beta(4, 1, 4000)
    means = np.where(rng.random((4, 4000)) < 0.15, rng.random((4, 4000)), base)
    clean = (means[tissue_of] + 0.3 * (means * (1 - means))[tissue_of] * rng.standard_normal((12, 4000))).clip(0, 1)
    mixed = clean.copy()
    mixed[1] = 0.8 * clean[1] + 0.2 * clean[6]
    depth = rng.poisson(100, mixed.shape).astype(np.int32) + 1
    reference = Reference(
        rng.binomial(depth, mixed).astype(np.int32),
        depth,
        [f"donor-{row}" for row in range(12)],
        [f"tissue-{tissue}" for tissue in tissue_of],
        ["train"] * 12,
        pd.DataFrame({"chrom": "chr1", "start": range(4000), "end": range(1, 4001)}),
    )
    pure, admixture = purified(reference, [range(3 * tissue, 3 * tissue + 3) for tissue in range(4)])
    assert admixture == pytest.approx(0.2 / 12, abs=0.01)
    before, after = (np.abs(values[1] - clean[1]).mean() for values in (reference.fractions, pure))
    assert after < 0.9 * before  # what is left is the noise of the reads
    assert np.abs(pure[0] - clean[0]).mean() < 1.3 * np.abs(reference.fractions[0] - clean[0]).mean()


def test_the_donor_of_the_mixtures_is_not_in_the_profile(reference):
    episodes = episodes_of(reference, purify=False)
    tissues = reference.tissue_names
    of_real = 0
    for step in range(20):
        profiles, source = episodes.draw(seeds.generator(1, "test", step))
        mixed = source(EVERY_TISSUE, seeds.generator(2, "test", step), slice(None))
        donors, by_tissue = mixed.fractions.numpy(), mixed.weights @ mixed.composition
        assert donors.shape[1] == 600 and ((donors >= 0) & (donors <= 1) | np.isnan(donors)).all()
        np.testing.assert_allclose(mixed.weights.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(by_tissue.sum(axis=1), 1, atol=1e-5)
        for tissue, rows in enumerate(reference.pool("train").values()):
            used = [r for r in rows if any(np.array_equal(reference.fractions[r], d, equal_nan=True) for d in donors)]
            if used:
                of_real += 1
                rest = mean_of_observed(reference.fractions[[r for r in rows if r not in used]])
                known = ~np.isnan(rest)
                assert profiles.mean[tissue].numpy()[known] == pytest.approx(rest[known], abs=1e-6)
    assert 0.2 < of_real / (20 * len(tissues)) < 0.8


def test_an_episode_is_repeated_by_its_stream(reference):
    episodes = episodes_of(reference, purify=False)
    first, second = (episodes.draw(seeds.generator(1, "test", 3)) for _ in range(2))
    assert (first.profiles.mean == second.profiles.mean).all()
    whole, again = (e.donors(EVERY_TISSUE, seeds.generator(2, "test"), slice(None)) for e in (first, second))
    assert torch.equal(whole.fractions.nan_to_num(-1), again.fractions.nan_to_num(-1))
    # A rank that makes some of the mixtures draws the same donors for them.
    part = first.donors(EVERY_TISSUE, seeds.generator(2, "test"), slice(1, 2))
    mixed, of_part = (d.weights @ d.fractions.nan_to_num().numpy() for d in (whole, part))
    np.testing.assert_allclose(of_part, mixed[1:2], atol=1e-6)
    np.testing.assert_allclose(part.weights @ part.composition, (whole.weights @ whole.composition)[1:2], atol=1e-6)


def test_each_mixture_has_drawn_donors_of_its_own(reference):
    mixed = (
        episodes_of(reference, purify=False)
        .draw(seeds.generator(1, "test"))
        .donors(EVERY_TISSUE, seeds.generator(2, "test"), slice(None))
    )
    shared = mixed.weights.all(axis=0)
    assert 0 < shared.sum() < len(reference.tissue_names)
    assert (np.count_nonzero(mixed.weights[:, ~shared], axis=0) == 1).all()


def test_the_truth_of_a_drawn_donor_is_its_composition(reference):
    """Noiseless profiles and donors: the mixed methylation is the composition's mean profile."""
    episodes = episodes_of(reference, purify=True)
    silent = torch.zeros_like(episodes.profiles.mean)
    exact = Profiles(episodes.profiles.mean.clamp(0.01, 0.99), silent, silent)
    n = len(reference.tissue_names)
    any_other = (1 - np.eye(n)) / (n - 1)
    admixture = Admixture(np.full(n, 0.2), np.full(n, np.inf), any_other, 2, 0.4, True)
    plan = plan_donors(np.arange(4), admixture, None, seeds.generator(3, "test"))
    fractions, composition = torch.empty(4, len(silent[0])), admixture.composition(plan.tissue, plan.foreign)
    draw_donors(exact.mean, exact.spread, plan, fractions)
    assert (composition > 0).sum() > 4
    np.testing.assert_allclose(fractions.numpy(), composition @ exact.mean.numpy(), atol=1e-5)
    # Of a real donor the label is all that is known.
    labels = replace(admixture, is_there=False).composition(plan.tissue, plan.foreign)
    assert (labels == np.eye(n)[:4]).all()


def test_donors_of_a_real_reference_are_more_varied_in_training_than_in_calibration(reference):
    """What is stated rests on donors as estimated, of simulated references what is learned does too."""
    real = replace(reference, known_composition=None)

    def spread(of, varied):
        donors = episodes_of(of, purify=False).draw(seeds.generator(1, "test"), varied).donors
        mixed = donors(EVERY_TISSUE, seeds.generator(2, "test"), slice(None))
        own = ~mixed.weights.all(axis=0)
        return float(mixed.fractions[torch.from_numpy(own)].var(dim=1).mean())

    assert spread(reference, varied=True) == spread(reference, varied=False)
    assert spread(real, varied=True) != spread(real, varied=False)
    sizes = _sizes(20_000, (0.5, 3.0), np.random.default_rng(1))
    assert 0.5 <= sizes.min() < 0.51 and 2.99 < sizes.max() <= 3
    assert np.log(sizes).mean() == pytest.approx(np.log(1.5) / 2, abs=0.02)


def test_untrained_backbone_is_least_squares(reference, tmp_path):
    """Before any training a tissue's proportion is its least-squares proportion: there is no correction yet."""
    mixtures = tiny_mixtures(reference, "validation", tmp_path)
    arm = tiny_arm("sparse", **{"model.backbone": "reference", "model.presence_threshold": 0.2})
    episodes = episodes_of(reference, purify=False)
    model = build_model(arm, torch.from_numpy(reference.complete_profiles("train")), 0, episodes.profiles)
    found = predict(model, mixtures.methylation, mixtures.depth)
    assert np.abs(found.proportions - mixtures.proportions).mean() < 0.03
    assert found.proportions.sum(axis=1) == pytest.approx(1)


def whole_mixtures(n, n_regions):
    """Mixtures of which some regions are not observed anyway."""
    rng = np.random.default_rng(7)
    depth = torch.from_numpy(rng.poisson(3, (n, n_regions)).astype(np.float32))
    methylation = torch.from_numpy(rng.random((n, n_regions)).astype(np.float32)).masked_fill_(depth == 0, torch.nan)
    return MixtureBatch(methylation, depth, *[np.empty(0)] * 4)


def hidden(n, fraction, rows, n_regions=500, seed=3):
    drawn = whole_mixtures(n, n_regions)
    part = MixtureBatch(drawn.methylation[rows].clone(), drawn.depth[rows].clone(), *[np.empty(0)] * 4)
    _hide(part, n, fraction, rows, np.random.default_rng(seed))
    return part


def test_some_mixtures_are_left_with_a_part_of_their_regions():
    drawn, n_regions = whole_mixtures(400, 4000), 4000
    part = hidden(400, 0.25, slice(None), n_regions)
    assert torch.equal(part.methylation.isnan(), part.depth == 0)
    # Where a region stays, it is what it was.
    stays = part.depth > 0
    assert torch.equal(part.depth[stays], drawn.depth[stays])
    assert torch.equal(part.methylation[stays], drawn.methylation[stays])
    kept = (stays.sum(dim=1) / (drawn.depth > 0).sum(dim=1)).numpy()
    assert 70 < (kept < 1).sum() < 130
    less = kept[kept < 1]
    # At least a twentieth, but for the chance of each region; as often less than a tenth as more than a half.
    assert less.min() > 0.05 - 4 * (0.05 * 0.95 / n_regions) ** 0.5
    assert stats.kstest(np.log(less) / np.log(0.05), "uniform").pvalue > 1e-4
    assert np.corrcoef(stays[kept < 0.5].numpy())[0, 1] < 0.2


def test_what_is_hidden_is_the_same_whichever_rows_are_made():
    whole = hidden(20, 0.5, slice(None))
    assert 2 < ((whole.depth > 0).float().mean(dim=1) < 0.7).sum() < 18
    for rows in (slice(0, 7), slice(7, 20), slice(4, 5)):
        part = hidden(20, 0.5, rows)
        assert torch.equal(part.depth, whole.depth[rows])
        assert torch.equal(part.methylation.nan_to_num(-1), whole.methylation[rows].nan_to_num(-1))
    assert not torch.equal(hidden(20, 0.5, slice(None), seed=4).depth, whole.depth)


@pytest.fixture(scope="module")
def arm_batches(reference):
    def make(**overrides):
        arm = tiny_arm("sparse", **{"model.backbone": "reference", **overrides})
        return training_batches(
            arm, tiny_experiment(), reference, training_donors(reference, True), torch.device("cpu")
        )

    return make


def test_mixtures_to_calibrate_on_are_repeated_and_are_not_those_of_the_training(reference, arm_batches):
    batches, episodes = arm_batches(), episodes_of(reference, purify=True)
    first, again = (list(islice(batches.calibration(episodes), 3)) for _ in range(2))
    for one, two in zip(first, again, strict=True):
        for mine, other in zip(one[:3], two[:3], strict=True):
            assert torch.equal(mine.nan_to_num(-1), other.nan_to_num(-1))
        assert torch.equal(one.profiles.mean, two.profiles.mean)
    every = [*first, *(batches.batch(step) for step in range(3))]
    assert len({row.numpy().tobytes() for batch in every for row in batch.methylation}) == 6 * 50
    assert len({batch.profiles.mean.numpy().tobytes() for batch in every}) == 6


def test_profiles_are_made_for_a_model_that_has_some(arm_batches):
    assert arm_batches().batch(0).profiles is not None
    assert arm_batches(**{"model.backbone": "mlp"}).batch(0).profiles is None


def test_mixtures_to_calibrate_on_are_many_of_any_kind_whatever_the_arm_is_trained_on(reference, arm_batches):
    """Of an arm that has no episodes, and asks for no mixture of any kind and for no part of the regions."""
    plain = {"training.any_fraction": 0.0, "training.partial_fraction": 0.0, "training.pure_fraction": 0.0}
    batches = arm_batches(**plain, **{"training.leave_donors_out": False, "training.batch_size": 200})
    assert batches.batch(0).profiles is None and (batches.batch(0).depth > 0).float().mean(dim=1).min() > 0.7
    found = list(batches.calibration(episodes_of(reference, purify=True)))
    assert len(found) == 20 and all(len(batch.depth) == 200 for batch in found)
    observed = torch.cat([(batch.depth > 0).float().mean(dim=1) for batch in found])
    assert 0.1 < (observed < 0.7).float().mean() < 0.2 and observed.min() < 0.1
    # By the recipe three to five tissues are large: seldom does one have most, which of any kind it often does.
    most = torch.cat([(batch.proportions > 0.8).any(dim=1) for batch in found]).float().mean()
    assert (batches.batch(0).proportions > 0.8).any(dim=1).float().mean() < 0.08 < 0.15 < most
    for batch in found:
        np.testing.assert_allclose(batch.proportions.sum(dim=1).numpy(), 1, atol=1e-5)
        assert torch.equal(batch.methylation.isnan(), batch.depth == 0)
        assert batch.profiles is not None
