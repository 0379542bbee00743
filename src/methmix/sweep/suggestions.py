"""Points that a sampler of Optuna suggests: at random, or from the results of all earlier generations."""

from typing import Any

import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from methmix import seeds
from methmix.config.section import Setting
from methmix.config.sweep import BayesianSearch, Range, SampledSearch
from methmix.errors import InputError
from methmix.sweep.points import Point, SweptArm

_Choices = Range | list[Setting]
# More digits of a setting than these make no difference to a training.
_DIGITS = 3
# A space of few points may have no new ones left.
_MOST_ASKED_PER_POINT = 20


def suggest(swept: SweptArm, generation: int, earlier: list[Point], results: pd.DataFrame) -> list[Point]:
    """Suggest the points of a generation (1, 2, ...): the same for the same experiment, settings and results.

    Parameters
    ----------
    swept
        The arm and how its points are sampled.
    generation
        Which one.
    earlier
        The points of all earlier generations.
    results
        Index: the names of these points and of the shipped one. Columns: ``mae``, which is minimised, and
        ``spurious_per_mixture``, which is not to exceed that of the shipped point. Not read without earlier points.

    Returns
    -------
    list of Point
        As many new points as a generation has; fewer if the space has no more.
    """
    search = swept.sweep.search
    if not isinstance(search, SampledSearch):
        raise TypeError(f"{search.kind}: its points are not sampled")
    space = {key: _distribution(choices, swept.values(swept.shipped)[key]) for key, choices in search.ranges.items()}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=_sampler(search, seeds.integer(swept.experiment.seed, "sweep", generation)))
    reached = {str(name): row for name, row in results.to_dict("index").items()}
    for point in earlier:
        result, values = reached[point.name], swept.values(point)
        excess = result["spurious_per_mixture"] - reached[swept.shipped.name]["spurious_per_mixture"]
        trial = optuna.trial.create_trial(
            params={key: _parameter(search.ranges[key], value) for key, value in values.items()},
            distributions=space,
            value=float(result["mae"]),
            constraints={"false positives": float(excess)},
        )
        study.add_trial(trial)
    known = {swept.shipped.name, *(point.name for point in earlier)}
    found: dict[str, Point] = {}
    impossible: InputError | None = None
    for _ in range(_MOST_ASKED_PER_POINT * search.points_per_generation):
        if len(found) == search.points_per_generation:
            break
        drawn = study.ask(space).params
        try:
            point = swept.point({key: _setting(search.ranges[key], value) for key, value in drawn.items()})
        except InputError as error:
            # Keys that must fit each other, such as a batch size that divides an epoch: another one is asked for.
            impossible = error
            continue
        if point.name not in known:
            found[point.name] = point
    if impossible and not found:
        raise impossible
    return [*found.values()]


def _sampler(search: SampledSearch, seed: int) -> optuna.samplers.BaseSampler:
    # Optuna takes seeds of 32 bits.
    seed %= 2**32
    if isinstance(search, BayesianSearch):
        # Points of a generation are suggested before any of them has a result (constant_liar).
        startup = search.points_per_generation
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup, multivariate=True, constant_liar=True)
    return optuna.samplers.RandomSampler(seed=seed)


def _distribution(choices: _Choices, shipped: Any) -> BaseDistribution:
    if not isinstance(choices, Range):
        # By position: a choice may be a list, which Optuna cannot store.
        return CategoricalDistribution(range(len(choices)))
    low, high = choices.low, choices.high
    if isinstance(low, int) and isinstance(high, int) and not isinstance(shipped, float):
        return IntDistribution(low, high, log=choices.log)
    return FloatDistribution(float(low), float(high), log=choices.log)


def _parameter(choices: _Choices, value: Any) -> Any:
    return value if isinstance(choices, Range) else choices.index(value)


def _setting(choices: _Choices, parameter: Any) -> Setting:
    if not isinstance(choices, Range):
        return choices[int(parameter)]
    if isinstance(parameter, int):
        return parameter
    rounded = float(f"{parameter:.{_DIGITS}g}")
    return float(min(max(rounded, choices.low), choices.high))
