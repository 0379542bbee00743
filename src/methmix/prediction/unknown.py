"""One component that the reference does not have, estimated from the samples that do not fit it.

Only samples whose misfit exceeds their limit can have a share of it; what other samples have in common, such as one
person's blood in all of them, is not mistaken for it. As MetDecode does (Passemiers et al. 2024, Bioinformatics
40:btae522): given its profile, the shares of all components are a non-negative least squares; given the shares, the
profile is a weighted least squares of what the tissues leave, kept between 0 and 1. The two take turns, in passes over
the samples. The model is then asked again about what the component leaves of each sample.

Any profile with some of the tissues mixed into it explains the samples as well, with larger shares. A small cost of
the share, relative to how far the known tissues are from each other, decides for smaller ones.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import binom

from methmix import cli, nnls
from methmix.errors import InputError
from methmix.models.deconvolver import Deconvolver
from methmix.models.prediction import predict
from methmix.prediction.results import UNKNOWN, Result, Run, results_of
from methmix.prediction.spool import Spool

Array = npt.NDArray[np.floating]

_FEWEST_SAMPLES = 3
# Share of samples that are flagged without anything foreign, and how sure it is to be that there are more.
_FLAGGED_ANYWAY, _SURE = 0.01, 0.99
_ROUNDS = 20
# What a share of 1 costs, relative to the mean square by which a tissue differs from what the others make of it.
_COST = 0.02
# Where to begin: what the tissues leave, as if the unknown were so large a share.
_FIRST_SHARE = 0.05
# So much of a sample is left to the known tissues at least, when the model is asked about them.
_LEAST_LEFT = 0.05


class Unknown(NamedTuple):
    """Share of the unknown component in each sample, [n]; its methylation, [n_regions], 0-1."""

    shares: npt.NDArray[np.float64]
    profile: npt.NDArray[np.float64]


def check_unknown(model: Deconvolver, tissues: Sequence[str]) -> None:
    """Check that a model can tell which samples do not fit.

    Raises
    ------
    InputError
        It cannot, or has a tissue of the component's name.
    """
    if "misfit" not in model.estimates:
        raise InputError(
            "--unknown: this model tells no goodness of fit", "use a sparse one with the backbone reference"
        )
    if UNKNOWN in tissues:
        raise InputError(f"--unknown: the model has a tissue {UNKNOWN} already", "leave --unknown out")


def add_unknown(run: Run, model: Deconvolver, flagged: Spool) -> None:
    """Give the samples that do not fit a share of an unknown component, and all others none.

    Parameters
    ----------
    run
        All samples; those that do not fit are replaced. If they are too few, a note says so and nothing else changes.
    model
        Which has predicted them.
    flagged
        Methylation and depth of those that do not fit, in their order.
    """
    rows = [row for row, result in enumerate(run.results) if result.does_not_fit]
    n = sum(result.proportions is not None for result in run.results)
    fewest = max(_FEWEST_SAMPLES, int(binom.ppf(_SURE, n, _FLAGGED_ANYWAY)) + 1)
    if len(rows) < fewest:
        run.notes.append(
            f"no unknown component is estimated: {len(rows)} of {n} samples do not fit the reference, and fewer than "
            f"{fewest} may be chance or do not tell what they have in common"
        )
        return
    assert model.profiles is not None  # for the type checker: see `check_unknown`
    found = estimate(model.profiles.mean.cpu().numpy(), flagged)
    run.unknown = True
    run.results = [result if result.proportions is None else replace(result, unknown=0.0) for result in run.results]
    start = 0
    for methylation, depth in flagged.blocks():
        shares = found.shares[start : start + len(depth), None]
        left = np.maximum(1 - shares, _LEAST_LEFT)
        rest = ((methylation - shares * found.profile) / left).clip(0, 1).astype(np.float32)
        reads = (depth * left).astype(np.float32)
        known = [run.results[row] for row in rows[start : start + len(depth)]]
        of_rest = results_of([result.sample for result in known], predict(model, rest, reads), reads, 0)
        for number, row in enumerate(rows[start : start + len(depth)]):
            run.results[row] = _beside(float(shares[number, 0]), known[number], of_rest[number])
        start += len(depth)
    run.notes.append(
        f"the unknown component is what the {len(rows)} samples that do not fit the reference have in common beyond "
        "its tissues; its share is a rough one, all other samples have none, and no group's sum counts it. A missing "
        "tissue, a tumour and a shift between laboratories look the same: what it is cannot be told from it"
    )
    if len(rows) > n / 2:
        run.notes.append(
            f"as {len(rows)} of {n} samples do not fit the reference, a shift between laboratories is likelier than "
            "something foreign in all of these"
        )


def estimate(profiles: Array, samples: Spool) -> Unknown:
    """Estimate the unknown component of samples that all may have some of it.

    Parameters
    ----------
    profiles
        Methylation of the tissues, [n_tissues, n_regions], without NaN.
    samples
        With reads each.
    """
    profiles = profiles.astype(np.float64)
    cost = np.append(np.zeros(len(profiles)), _COST * _distance(profiles))
    found = _round(profiles, samples)
    for _ in cli.progress(range(_ROUNDS), "unknown component", _ROUNDS):
        found = _round(profiles, samples, found.profile, cost)
    return found


def _round(profiles: Array, samples: Spool, unknown: Array | None = None, cost: Array | None = None) -> Unknown:
    """Go through the samples once: give the shares of the unknown component, and its profile from what they leave."""
    components = profiles if unknown is None else np.vstack([profiles, unknown])
    above, below = np.zeros(profiles.shape[1]), np.zeros(profiles.shape[1])
    shares = []
    for methylation, depth in samples.blocks():
        x = nnls.normalise(nnls.weighted_nnls(components, methylation, depth, cost))
        if unknown is None:
            # The tissues explain it as if it were theirs: what they leave is how the unknown one differs.
            x = np.hstack([x * (1 - _FIRST_SHARE), np.full((len(x), 1), _FIRST_SHARE)])
        of_unknown = x[:, -1]
        above += of_unknown @ (depth * (np.nan_to_num(methylation) - x[:, :-1] @ profiles))
        below += of_unknown**2 @ depth
        shares.append(of_unknown)
    profile = np.divide(above, below, out=np.full_like(above, 0.5), where=below > 0)
    return Unknown(np.concatenate(shares), profile.clip(0, 1))


def _distance(profiles: Array) -> float:
    """Tell by what mean square a tissue differs from what the others make of it, the median over tissues."""
    gram = profiles @ profiles.T
    left = []
    for tissue in range(len(profiles)):
        others = np.delete(np.arange(len(profiles)), tissue)
        x = nnls.solve_normal_equations(gram[np.ix_(others, others)], gram[others, tissue])
        left.append(np.square(profiles[tissue] - x @ profiles[others]).mean())
    return float(np.median(left))


def _beside(share: float, result: Result, of_rest: Result) -> Result:
    """Give a sample beside its unknown share: what is said of the rest of it, if the reads of that tell anything."""
    said = result if of_rest.proportions is None else of_rest
    scaled: dict[str, Any] = {
        name: None if getattr(said, name) is None else getattr(said, name) * (1 - share)
        for name in ("proportions", "low", "high", "limit")
    }
    return replace(result, unknown=share, probability=said.probability, **scaled)
