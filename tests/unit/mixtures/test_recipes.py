"""True proportions: what each phase's recipe promises."""

import numpy as np
import pytest
from scipy import stats

from methmix.config.phases import BackgroundRecipe, DirichletRecipe, PairsRecipe
from methmix.errors import InputError
from methmix.mixtures.recipes import check_recipe, draw_any, draw_proportions, draw_pure

TISSUES = [f"T{i}" for i in range(9)] + ["Blood"]
PAIRS = PairsRecipe(kind="pairs", larger_shares=[0.5, 0.6, 0.7, 0.8])
DIRICHLET = DirichletRecipe(kind="dirichlet", n_tissues=[3, 4, 5], concentration=2.0)
BACKGROUND = BackgroundRecipe(
    kind="background",
    background="Blood",
    background_range=(0.6, 0.9),
    n_others=[2, 3, 4, 5, 6],
    smallest_share=0.001,
    concentration=0.5,
)
COMPOSITION = BACKGROUND.model_copy(
    update={"background": {"Blood": 0.7, "T3": 0.25, "T5": 0.05}, "background_concentration": 40.0}
)
RECIPES = {"pairs": PAIRS, "dirichlet": DIRICHLET, "background": BACKGROUND, "composition": COMPOSITION}
NUMBERS = {"pairs": {2}, "dirichlet": {3, 4, 5}, "background": {3, 4, 5, 6, 7}, "composition": {5, 6, 7, 8, 9}}
N = 20_000


@pytest.mark.parametrize("name", RECIPES)
def test_proportions_are_proportions(name, rng):
    drawn = draw_proportions(RECIPES[name], TISSUES, 3000, rng)
    assert drawn.shape == (3000, 10)
    np.testing.assert_allclose(drawn.sum(axis=1), 1, atol=1e-12)
    assert (drawn >= 0).all()
    number = (drawn > 0).sum(axis=1)
    # Absent is exactly 0; nobody who should be present is.
    assert set(number.tolist()) == NUMBERS[name]
    assert ((drawn == 0).sum(axis=1) == 10 - number).all()


@pytest.mark.parametrize("name", RECIPES)
def test_same_seed_same_proportions(name):
    drawn = [draw_proportions(RECIPES[name], TISSUES, 50, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


def test_pairs_have_each_ratio_both_ways(rng):
    drawn = draw_proportions(PAIRS, ["A", "B"], N, rng)
    values, counts = np.unique(drawn[:, 0].round(6), return_counts=True)
    np.testing.assert_allclose(values, [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    expected = N * np.array([1, 1, 1, 2, 1, 1, 1]) / 8
    assert stats.chisquare(counts, expected).pvalue > 1e-4


def test_pairs_use_all_tissues_alike(rng):
    drawn = draw_proportions(PAIRS, TISSUES, N, rng)
    assert stats.chisquare((drawn > 0).sum(axis=0)).pvalue > 1e-4
    # Every ordered pair is there, so that no tissue is always the larger one.
    larger = drawn.argmax(axis=1)[drawn.max(axis=1) > 0.5]
    smaller = np.where(drawn > 0, drawn, 2).argmin(axis=1)[drawn.max(axis=1) > 0.5]
    assert len(set(zip(larger.tolist(), smaller.tolist(), strict=True))) == 90


def test_numbers_of_tissues_are_alike(rng):
    number = (draw_proportions(DIRICHLET, TISSUES, N, rng) > 0).sum(axis=1)
    assert stats.chisquare(np.bincount(number)[3:]).pvalue > 1e-4


@pytest.mark.parametrize("number", [3, 4, 5])
@pytest.mark.parametrize("concentration", [0.5, 2.0])
def test_dirichlet_moments(number, concentration, rng):
    recipe = DirichletRecipe(kind="dirichlet", n_tissues=[number], concentration=concentration)
    drawn = draw_proportions(recipe, TISSUES, N, rng)
    shares = drawn[drawn > 0].reshape(N, number)
    expected = stats.dirichlet(np.full(number, concentration))
    np.testing.assert_allclose(shares.mean(axis=0), expected.mean(), atol=0.01)
    np.testing.assert_allclose(shares.var(axis=0), expected.var(), rtol=0.06)
    # A share of a Dirichlet distribution has a Beta distribution.
    marginal = stats.beta(concentration, (number - 1) * concentration)
    assert stats.kstest(shares[:, 0], marginal.cdf).pvalue > 1e-4


def test_tissues_are_chosen_alike(rng):
    present = draw_proportions(DIRICHLET, TISSUES, N, rng) > 0
    assert stats.chisquare(present.sum(axis=0)).pvalue > 1e-3
    together = np.corrcoef(present.T)[np.triu_indices(10, 1)]
    # Choosing some of ten makes any two a little less likely together, all pairs alike.
    assert together.std() < 0.02


def test_background_range(rng):
    drawn = draw_proportions(BACKGROUND, TISSUES, N, rng)
    background = drawn[:, TISSUES.index("Blood")]
    assert stats.kstest(background, stats.uniform(0.6, 0.3).cdf).pvalue > 1e-4
    others = np.delete(drawn, TISSUES.index("Blood"), axis=1)
    assert stats.chisquare(np.bincount((others > 0).sum(axis=1))[2:]).pvalue > 1e-4
    assert stats.chisquare((others > 0).sum(axis=0)).pvalue > 1e-4


@pytest.mark.parametrize("smallest", [0.0, 0.001, 0.03])
def test_beyond_the_smallest_share_the_others_are_dirichlet(smallest, rng):
    recipe = BACKGROUND.model_copy(update={"n_others": [3], "smallest_share": smallest})
    drawn = np.delete(draw_proportions(recipe, TISSUES, N, rng), TISSUES.index("Blood"), axis=1)
    shares = drawn[drawn > 0].reshape(N, 3)
    assert shares.min() >= smallest
    shares -= smallest
    shares /= shares.sum(axis=1, keepdims=True)
    expected = stats.dirichlet(np.full(3, 0.5))
    np.testing.assert_allclose(shares.mean(axis=0), expected.mean(), atol=0.01)
    np.testing.assert_allclose(shares.var(axis=0), expected.var(), rtol=0.06)


def test_a_background_of_several_tissues_varies_around_its_composition(rng):
    drawn = draw_proportions(COMPOSITION, TISSUES, N, rng)
    background = [TISSUES.index(name) for name in ("Blood", "T3", "T5")]
    total = drawn[:, background].sum(axis=1)
    assert stats.kstest(total, stats.uniform(0.6, 0.3).cdf).pvalue > 1e-4
    within = drawn[:, background] / total[:, None]
    expected = stats.dirichlet(40 * np.array([0.7, 0.25, 0.05]))
    np.testing.assert_allclose(within.mean(axis=0), [0.7, 0.25, 0.05], atol=0.003)
    np.testing.assert_allclose(within.var(axis=0), expected.var(), rtol=0.06)
    others = np.delete(drawn, background, axis=1) > 0
    assert set(others.sum(axis=1).tolist()) == {2, 3, 4, 5, 6}
    assert stats.chisquare(others.sum(axis=0)).pvalue > 1e-4


def test_traces_are_a_good_part_of_the_others(rng):
    others = np.delete(draw_proportions(BACKGROUND, TISSUES, N, rng), TISSUES.index("Blood"), axis=1)
    shares = others[others > 0]
    assert 0.2 < (shares < 0.01).mean() < 0.35
    assert (shares < 0.002).mean() > 0.05


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pairs", "two tissues, the larger of which has 50, 60, 70 or 80 %"),
        ("dirichlet", "3, 4 or 5 tissues with Dirichlet(2) proportions"),
        ("background", "60 to 90 % Blood and 2, 3, 4, 5 or 6 other tissues, each at least 0.1 %"),
        (
            "composition",
            "60 to 90 % background (Blood 70 %, T3 25 %, T5 5 %) "
            "and 2, 3, 4, 5 or 6 other tissues, each at least 0.1 %",
        ),
    ],
)
def test_words(name, words):
    assert RECIPES[name].words == words


def test_tiny_concentration_loses_no_tissue(rng):
    recipe = DirichletRecipe(kind="dirichlet", n_tissues=[4], concentration=0.001)
    drawn = draw_proportions(recipe, TISSUES, 500, rng)
    assert np.isfinite(drawn).all()
    assert ((drawn > 0).sum(axis=1) == 4).all()


def test_pure_mixtures(rng):
    drawn = draw_pure(4, 2000, rng)
    assert set(drawn.ravel().tolist()) == {0.0, 1.0}
    np.testing.assert_array_equal(drawn.sum(axis=1), 1)
    assert stats.chisquare(drawn.sum(axis=0)).pvalue > 1e-4


@pytest.mark.parametrize("n_tissues", [1, 2, 10, 40])
def test_mixtures_of_any_kind_are_of_one_tissue_to_all(n_tissues, rng):
    drawn = draw_any(n_tissues, N, rng)
    assert drawn.shape == (N, n_tissues)
    np.testing.assert_allclose(drawn.sum(axis=1), 1, atol=1e-12)
    assert (drawn >= 0).all()
    # A log-uniform number of tissues, and a Poisson one of further tissues with traces.
    k = np.arange(1, n_tissues + 1)
    expected = np.zeros(n_tissues)
    for number, share in zip(k, np.log1p(1 / k) / np.log(n_tissues + 1), strict=True):
        traces = stats.poisson(1.5).pmf(k - number)
        traces[-1] = stats.poisson(1.5).sf(n_tissues - number - 1)
        expected += N * share * traces
    found = np.bincount((drawn > 0).sum(axis=1), minlength=n_tissues + 1)
    assert found[0] == 0 and found[1] > 0 and found[n_tissues] > 0
    if n_tissues > 1:
        assert stats.chisquare(found[1:], expected).pvalue > 1e-4
        # Tissues are chosen alike; that those of one mixture exclude each other makes the counts vary less.
        assert stats.chisquare((drawn > 0).sum(axis=0)).pvalue > 1e-4


def test_half_of_the_mixtures_of_any_kind_have_a_background(rng):
    """Of 40 tissues, those of 20 and more have a tissue with half only by a background, or rarely by chance."""
    drawn = draw_any(40, N, rng)
    largest = np.sort(drawn, axis=1)[(drawn > 0).sum(axis=1) >= 20, ::-1]
    dominated = largest[:, 0] > 0.45
    assert len(largest) > 2000 and 0.42 < dominated.mean() < 0.58
    assert largest[dominated, 0].max() > 0.93 and np.median(largest[~dominated, 0]) < 0.2
    # The background is any of the tissues.
    assert stats.chisquare(np.bincount(drawn[drawn.max(axis=1) > 0.6].argmax(axis=1), minlength=40)).pvalue > 1e-4


def test_mixtures_of_any_kind_have_traces(rng):
    """A mixture of one tissue has traces of a Poisson number of others, log-uniform from 0.1 to 5 %."""
    drawn = draw_any(40, N, rng)
    # Nearly all of one tissue, with hardly another one that is not a trace.
    one = drawn[(drawn.max(axis=1) > 0.8) & (np.sort(drawn, axis=1)[:, -2] < 0.04)]
    number = (one > 0).sum(axis=1) - 1
    assert {0, 1, 2, 3, 4} <= set(number.tolist())
    traces = np.sort(one[number == 1], axis=1)[:, -2]
    assert len(traces) > 500 and (traces < 0.001).mean() < 0.08
    alike = stats.loguniform(0.001, 0.04)
    assert stats.kstest(traces[traces >= 0.001], alike.cdf).statistic < 0.08


def test_same_seed_same_mixtures_of_any_kind():
    drawn = [draw_any(10, 50, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


@pytest.mark.parametrize(
    ("recipe", "n", "fragment"),
    [
        (PAIRS, 1, "up to 2 tissues, the reference has 1"),
        (DIRICHLET, 4, "up to 5 tissues, the reference has 4"),
        (BACKGROUND, 6, "up to 7 tissues, the reference has 6"),
        (COMPOSITION, 8, "up to 9 tissues, the reference has 8"),
    ],
    ids=list(RECIPES),
)
def test_too_few_tissues(recipe, n, fragment):
    names = sorted(TISSUES, key=lambda name: name not in ("Blood", "T3", "T5"))
    check_recipe(recipe, names[: n + 1])
    with pytest.raises(InputError, match=fragment):
        check_recipe(recipe, names[:n])


def test_background_that_is_no_tissue():
    with pytest.raises(InputError, match="background 'Blood' is not a tissue of the reference; it has T0, T1"):
        check_recipe(BACKGROUND, TISSUES[:-1])
    with pytest.raises(InputError, match="background 'T5' is not a tissue"):
        check_recipe(COMPOSITION, [name for name in TISSUES if name != "T5"])
