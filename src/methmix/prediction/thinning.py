"""Samples at one depth, so that groups that were sequenced to different depths can be compared."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from methmix import cli, seeds
from methmix.errors import InputError
from methmix.formats.samples import SampleBlock
from methmix.formats.store import CountsStore
from methmix.normals.panel import FEWEST, FEWEST_REGIONS, Controls, Panel
from methmix.normals.spiked_controls import thinned
from methmix.prediction.sample_results import Cohort, SampleResult
from methmix.rows import blocks, fractions

# Proportion of the samples that reach the depth, if none is asked for.
_REACHED = 0.9
_BLOCK = 128

Values = npt.NDArray[Any]
Predict = Callable[..., list[SampleResult]]


def check_one_depth(asked: float | None, control_group: str | None) -> None:
    """Check, before anything is predicted, the depth that was asked for."""
    if asked is not None and control_group is None:
        raise InputError("--one-depth: there are no groups to compare at one depth", "give a --control-group")
    if asked is not None and not 1 <= asked < np.inf:
        raise InputError(f"--one-depth: expected a mean depth of at least 1, found {asked:g}")


def thin(methylation: Values, depth: Values, kept: float, rng: np.random.Generator) -> tuple[Values, Values]:
    """Keep each read with probability ``kept``; methylation, NaN without reads, and depth, float32 [n_regions] each."""
    n = np.rint(depth).astype(np.int64)
    of_methylated = np.rint(np.nan_to_num(methylation) * depth).astype(np.int64).clip(0, n)
    methylated, left = thinned(of_methylated, n, np.array(kept), rng)
    return fractions(methylated, left), left.astype(np.float32)


def depth_of_most(mean_depths: Sequence[float]) -> float:
    """Choose the depth that 90 % of samples reach, a whole number, at least 1."""
    return max(1.0, float(np.floor(np.quantile(mean_depths, 1 - _REACHED))))


def predict_thinned(
    cohort: Cohort, counts: CountsStore, predict: Predict, options: Namespace, seed: int,
    make_panel: Callable[[Controls], Panel] | None = None,
) -> None:  # fmt: skip
    """Predict the samples of groups again, thinned to one mean depth of their observed regions; sets it in the cohort.

    A sample of less depth is used as it is. Each sample has a random stream of its own, so that it does not depend on
    the others. ``counts`` has the methylation and depth of the samples of ``cohort``, in their order; of ``options``,
    ``one_depth`` is the depth that is asked for. With ``make_panel``, the thinned samples of ``control_group`` are the
    panel of normals; with too few of these there is no comparison at one depth.
    """
    rows = [row for row, result in enumerate(cohort.results) if result.sample.group]
    of_groups = [result.mean_depth for result, _ in cohort.answered if result.sample.group]
    if not of_groups:
        cohort.thinned = [cohort.results[row] for row in rows]
        return
    left_out = cohort.panel.left_out if cohort.panel else []
    controls = [
        row for row in rows
        if cohort.results[row].sample.group == options.control_group
        and cohort.results[row].sample.name not in left_out
        and cohort.results[row].regions_observed >= FEWEST_REGIONS * cohort.n_regions
    ]  # fmt: skip
    if make_panel and len(controls) < FEWEST:
        cohort.notes.append(
            f"groups are not compared at one depth: that needs a panel of at least {FEWEST} controls at that depth, "
            f"and the control group has {len(controls)}"
        )
        return
    cohort.one_depth = depth_of_most(of_groups) if options.one_depth is None else options.one_depth

    def at_depth(row: int) -> tuple[Values, Values]:
        own = counts.read(slice(row, row + 1))
        return _at(cohort.one_depth or 1.0, cohort.results[row], own[0][0], own[1][0], seed)

    panel = make_panel(_controls(cohort, controls, at_depth)) if make_panel else None
    parts = blocks(len(rows), _BLOCK)
    for part in cli.progress(parts, "samples at one depth, blocks", len(parts)):
        methylation, depth = (np.stack(column) for column in zip(*map(at_depth, rows[part]), strict=True))
        samples = [cohort.results[row].sample for row in rows[part]]
        block = SampleBlock([sample.name for sample in samples], methylation, depth)
        cohort.thinned += predict(block, samples, cohort.n_regions, panel=panel)


def _controls(cohort: Cohort, rows: list[int], at_depth: Callable[[int], tuple[Values, Values]]) -> Controls:
    pairs = [at_depth(row) for row in rows]
    methylated = [np.rint(np.nan_to_num(m) * d).astype(np.int64) for m, d in pairs]
    samples = [cohort.results[row].sample for row in rows]
    names, patients = [sample.name for sample in samples], [sample.patient for sample in samples]
    return Controls(names, np.stack(methylated), np.stack([np.rint(d).astype(np.int64) for _, d in pairs]), patients)


def _at(target: float, result: SampleResult, methylation: Values, depth: Values, seed: int) -> tuple[Values, Values]:
    if result.mean_depth <= target:
        return methylation, depth
    return thin(methylation, depth, target / result.mean_depth, seeds.generator(seed, "one-depth", result.sample.name))
