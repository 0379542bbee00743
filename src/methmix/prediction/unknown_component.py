"""One component that the reference lacks, estimated from the samples that do not fit it.

Only samples whose misfit exceeds its limit can have a proportion of it, so that it does not absorb what the other
samples have in common, such as one person's blood. As in MetDecode (Passemiers et al. 2024, Bioinformatics
40:btae522), two steps alternate: given its profile, the proportions of all components are a non-negative least
squares; given the proportions, the profile is a weighted least squares of the residuals of the tissues, kept between 0
and 1. Each is one pass over the samples. The model is then applied to each sample without the component.

Any profile with some of the tissues mixed into it explains the samples as well, with larger proportions. A small cost
of the proportion, relative to the distance between the known tissues, favours smaller ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import binom

from methmix import cli, nnls
from methmix.errors import InputError
from methmix.formats.store import CountsStore
from methmix.models.deconvolver import Deconvolver
from methmix.models.prediction import Array, Prediction
from methmix.prediction.presence_threshold import predict_at
from methmix.prediction.sample_results import UNKNOWN, Cohort, SampleResult, split

_FEWEST_SAMPLES = 3
# Proportion of samples without a foreign component that may exceed their limit: of drawn donors 1 %, of others more;
# required certainty that there are more.
_FALSE_POSITIVES, _CERTAINTY = 0.03, 0.99
_ROUNDS = 20
_BLOCK = 128
# Cost of a proportion of 1, relative to the mean square difference of a tissue from the best mixture of the others.
_COST = 0.02
# The first profile is what the residuals would be, if the component had this proportion.
_FIRST_PROPORTION = 0.05
# At least this much of a sample is left to the known tissues, when the model is applied to the rest.
_LEAST_LEFT = 0.05


def check_unknown(model: Deconvolver, tissues: Sequence[str]) -> None:
    """Check that the model estimates a goodness of fit, and has no tissue of the component's name."""
    if "misfit" not in model.estimates:
        hint = "use a sparse one with the backbone reference"
        raise InputError("--unknown: this model estimates no goodness of fit", hint)
    if UNKNOWN in tissues:
        raise InputError(f"--unknown: the model has a tissue {UNKNOWN} already", "leave --unknown out")


def add_unknown(
    cohort: Cohort, model: Deconvolver, poor_fits: CountsStore, predict: Callable[..., Prediction] | None = None
) -> None:
    """Estimate the proportion of an unknown component in the samples with a poor fit; all others have none.

    ``poor_fits`` has the methylation and depth of these samples, in their order. If they are too few, a note says so
    and nothing else changes. ``predict`` says how the other samples were predicted; None: by the model alone.
    """
    rows = [row for row, result in enumerate(cohort.results) if result.poor_fit]
    n = len(cohort.answered)
    fewest = max(_FEWEST_SAMPLES, int(binom.ppf(_CERTAINTY, n, _FALSE_POSITIVES)) + 1)
    if model.profiles is None or len(rows) < fewest:
        cohort.notes.append(
            f"no unknown component is estimated: {len(rows)} of {n} samples do not fit the reference, and fewer than "
            f"{fewest} may be chance or do not show what they have in common"
        )
        return
    proportions, profile = estimate(model.profiles.mean.cpu().double().numpy(), poor_fits)
    cohort.results = [replace(result, unknown=0.0) if result.prediction else result for result in cohort.results]
    rest = _rest(predict or partial(predict_at, model), poor_fits, proportions, profile)
    for row, proportion, of_rest in zip(rows, proportions.tolist(), rest, strict=True):
        cohort.results[row] = _beside(proportion, cohort.results[row], of_rest)
    cohort.notes.append(
        f"the unknown component is what the {len(rows)} samples that do not fit the reference have in common beyond "
        "its tissues; its proportion is approximate, all other samples have none, and no group's sum counts it. A "
        "missing tissue, a tumour and a shift between laboratories look the same and cannot be distinguished"
    )
    if len(rows) > n / 2:
        cohort.notes.append(
            f"as {len(rows)} of {n} samples do not fit the reference, a shift between laboratories (batch effect) is "
            "likelier than a foreign component in all of these"
        )


def estimate(profiles: Array, samples: CountsStore) -> tuple[Array, Array]:
    """Estimate the proportion of the unknown component in samples with reads, [n], and its profile, [n_regions], 0-1.

    ``profiles`` are those of the tissues, [n_tissues, n_regions], without NaN.
    """
    cost = np.append(np.zeros(len(profiles)), _COST * _distance(profiles))
    proportions, unknown = _round(profiles, samples)
    for _ in cli.progress(range(_ROUNDS), "unknown component", _ROUNDS):
        proportions, unknown = _round(profiles, samples, unknown, cost)
    return proportions, unknown


def _round(
    profiles: Array, samples: CountsStore, unknown: Array | None = None, cost: Array | None = None
) -> tuple[Array, Array]:
    """Pass over the samples once: the proportions of the unknown component, and its profile from the residuals."""
    components = profiles if unknown is None else np.vstack([profiles, unknown])
    above, below = np.zeros(profiles.shape[1]), np.zeros(profiles.shape[1])
    proportions = []
    for methylation, depth in samples.blocks(_BLOCK):
        x = nnls.normalise(nnls.weighted_nnls(components, methylation, depth, cost))
        if unknown is None:
            # The tissues absorb the component: the residuals are how it differs from them.
            x = np.hstack([x * (1 - _FIRST_PROPORTION), np.full((len(x), 1), _FIRST_PROPORTION)])
        of_unknown = x[:, -1]
        above += of_unknown @ (depth * (np.nan_to_num(methylation) - x[:, :-1] @ profiles))
        below += of_unknown**2 @ depth
        proportions.append(of_unknown)
    profile = np.divide(above, below, out=np.full_like(above, 0.5), where=below > 0)
    return np.concatenate(proportions), profile.clip(0, 1)


def _distance(profiles: Array) -> float:
    """Compute the mean square difference of a tissue from the best mixture of the others, median over tissues."""
    gram = profiles @ profiles.T
    left = []
    for tissue in range(len(profiles)):
        others = np.delete(np.arange(len(profiles)), tissue)
        x = nnls.solve_normal_equations(gram[np.ix_(others, others)], gram[others, tissue])
        left.append(np.square(profiles[tissue] - x @ profiles[others]).mean())
    return float(np.median(left))


def _rest(
    predict: Callable[..., Prediction], samples: CountsStore, proportions: Array, profile: Array
) -> list[Prediction | None]:
    """Predict what the component leaves of each sample; None where its reads are too few."""
    predictions: list[Prediction | None] = []
    for methylation, depth in samples.blocks(_BLOCK):
        component = proportions[len(predictions) :][: len(depth), None]
        left = np.maximum(1 - component, _LEAST_LEFT)
        rest = ((methylation - component * profile) / left).clip(0, 1).astype(np.float32)
        reads = (depth * left).astype(np.float32)
        predictions += split(predict(rest, reads), reads)
    return predictions


def _beside(proportion: float, result: SampleResult, of_rest: Prediction | None) -> SampleResult:
    """Give a sample its proportion of the component, and scale the prediction of the rest to what it leaves."""
    assert result.prediction is not None  # for the type checker: without estimates there is no poor fit
    # What is left of a control of the panel is not recognised, and would be compared with a panel that it is in.
    of_panel = result.above_normals is not None and result.above_normals.crossfitted
    known = result.prediction if of_panel else of_rest or result.prediction
    scaled: dict[str, Any] = {
        name: None if getattr(known, name) is None else getattr(known, name) * (1 - proportion)
        for name in ("proportions", "low", "high", "limit")
    }
    beside = replace(result.prediction, presence_probability=known.presence_probability, **scaled)
    return replace(result, prediction=beside, unknown=proportion)
