"""True proportions of a mixture, drawn by the recipe of its phase."""

import numpy as np
import numpy.typing as npt

from methmix.config.phases import BackgroundRecipe, DirichletRecipe, PairsRecipe, Recipe
from methmix.errors import InputError

Proportions = npt.NDArray[np.float64]

_CONCENTRATIONS = (0.5, 2.0, 20.0)


def check_recipe(recipe: Recipe, tissue_names: list[str]) -> None:
    """Refuse a recipe that needs more tissues, or others in its background, than these."""
    match recipe:
        case PairsRecipe():
            needed = 2
        case DirichletRecipe():
            needed = max(recipe.n_tissues)
        case BackgroundRecipe():
            needed = len(recipe.composition) + max(recipe.n_others)
            for name in recipe.composition:
                if name not in tissue_names:
                    raise InputError(
                        f"mixtures.recipes: background {name!r} is not a tissue of the reference; "
                        f"it has {', '.join(tissue_names)}",
                        "set background in that recipe to a tissue of the reference",
                    )
    if needed > len(tissue_names):
        raise InputError(
            f"mixtures.recipes: mixtures need up to {needed} tissues, the reference has {len(tissue_names)}",
            "lower n_tissues or n_others in that recipe",
        )


def draw_proportions(recipe: Recipe, tissue_names: list[str], n: int, rng: np.random.Generator) -> Proportions:
    """Draw the true proportions of ``n`` mixtures.

    The background has the proportion b, uniform in its range; its tissues, of composition c, have b times
    Dirichlet(background_concentration c), whose mean is b c. The k other tissues have ``s + (1 - b - k s) d`` each,
    where s is ``smallest_share`` and d is symmetric Dirichlet(concentration).

    Returns
    -------
    ndarray
        Shape [n, n_tissues]; rows sum to 1, absent tissues are exactly 0.
    """
    n_tissues = len(tissue_names)
    match recipe:
        case PairsRecipe():
            larger = rng.choice(recipe.larger_shares, n)
            drawn = np.stack([larger, 1 - larger], axis=1)
            return _scatter(drawn, _choose(np.full(n, 2), np.arange(n_tissues), rng), n_tissues)
        case DirichletRecipe():
            number = rng.choice(recipe.n_tissues, n)
            drawn = _dirichlet(number, recipe.concentration, rng)
            return _scatter(drawn, _choose(number, np.arange(n_tissues), rng), n_tissues)
        case BackgroundRecipe():
            background = [tissue_names.index(name) for name in recipe.composition]
            others = np.delete(np.arange(n_tissues), background)
            number = rng.choice(recipe.n_others, n)
            total = rng.uniform(*recipe.background_range, n)
            beyond = 1 - total - number * recipe.smallest_share
            drawn = _dirichlet(number, recipe.concentration, rng) * beyond[:, None]
            drawn[np.arange(drawn.shape[1]) < number[:, None]] += recipe.smallest_share
            proportions = _scatter(drawn, _choose(number, others, rng), n_tissues)
            alpha = recipe.background_concentration * np.array(list(recipe.composition.values()))
            proportions[:, background] = total[:, None] * rng.dirichlet(alpha, n)
            return proportions


def draw_pure(n_tissues: int, n: int, rng: np.random.Generator) -> Proportions:
    """Draw ``n`` mixtures of one tissue each; shape [n, n_tissues]."""
    return np.eye(n_tissues)[rng.integers(n_tissues, size=n)]


def draw_any(n_tissues: int, n: int, rng: np.random.Generator) -> Proportions:
    """Draw mixtures of any kind: of one tissue to all of them, alike or dominated by one, with traces of others.

    The number of tissues is log-uniform, their proportions are symmetric Dirichlet; half of the mixtures have a
    background of 50 to 98 %, and each has traces of some further tissues, log-uniform between 0.1 and 5 %. Shape [n,
    n_tissues].
    """
    if not n:
        return np.empty((0, n_tissues))
    number = np.minimum(np.exp(rng.uniform(0, np.log(n_tissues + 1), n)).astype(int), n_tissues)
    concentration = rng.choice(_CONCENTRATIONS, n)
    weights = np.maximum(rng.gamma(np.repeat(concentration[:, None], n_tissues, axis=1)), np.finfo(float).tiny)
    weights[np.arange(n_tissues) >= number[:, None]] = 0
    proportions = weights / weights.sum(axis=1, keepdims=True)
    background = np.where(rng.random(n) < 0.5, rng.uniform(0.5, 0.98, n), 0)
    proportions *= (1 - background)[:, None]
    proportions[:, 0] += background
    traces = np.exp(rng.uniform(np.log(0.001), np.log(0.05), (n, n_tissues)))
    first = np.arange(n_tissues) - np.maximum(number, 1)[:, None]
    traces[(first < 0) | (first >= rng.poisson(1.5, n)[:, None])] = 0
    proportions = proportions * (1 - traces.sum(axis=1, keepdims=True)).clip(0.1) + traces
    proportions /= proportions.sum(axis=1, keepdims=True)
    return _scatter(proportions, np.argsort(rng.random((n, n_tissues)), axis=1), n_tissues)


def _dirichlet(number: npt.NDArray[np.integer], concentration: float, rng: np.random.Generator) -> Proportions:
    """Draw symmetric Dirichlet proportions; row i has number[i] entries and then zeros."""
    weights = rng.gamma(concentration, size=(len(number), int(number.max())))
    # A gamma of small shape can underflow to 0, which would silently remove a tissue.
    weights = np.maximum(weights, np.finfo(float).tiny)
    weights[np.arange(weights.shape[1]) >= number[:, None]] = 0
    drawn: Proportions = weights / weights.sum(axis=1, keepdims=True)
    return drawn


def _choose(
    number: npt.NDArray[np.integer], tissues: npt.NDArray[np.integer], rng: np.random.Generator
) -> npt.NDArray[np.integer]:
    """Choose distinct tissues for each mixture; shape [n, max(number)]."""
    order = np.argsort(rng.random((len(number), len(tissues))), axis=1)
    chosen: npt.NDArray[np.integer] = tissues[order[:, : int(number.max())]]
    return chosen


def _scatter(drawn: Proportions, chosen: npt.NDArray[np.integer], n_tissues: int) -> Proportions:
    proportions = np.zeros((len(drawn), n_tissues))
    np.put_along_axis(proportions, chosen, drawn, axis=1)
    return proportions
