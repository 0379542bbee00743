"""A panel of normals: what the controls of one laboratory look like, and what exceeds it.

A control is never in its own panel, nor is another sample of the same person: whatever is said of controls (thresholds,
specificity, intervals) rests on each being compared with all the others. A patient is compared with
all of them: a panel larger by one.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from methmix import cli
from methmix.normals.amount_calibration import AMOUNTS, AmountCalibration, calibrate
from methmix.normals.background import Background, choose_shrinkage, fit_background, without
from methmix.normals.excess import Excess, estimate_excess, together
from methmix.normals.specificity import SPECIFICITIES, Specificity, specificity_of, thresholds
from methmix.normals.spiked_controls import spiked, thinned
from methmix.rows import fractions

# With fewer controls no panel is made; with so many it already finds more than the model alone (docs/results.md).
FEWEST = 10
# Part of the regions in which a control of a panel has reads, at least.
FEWEST_REGIONS = 0.5
# Spiked controls of each tissue and amount.
_PER_CELL = 60
# Part of the spiked controls that are thinned, and to which mean depth at least.
_THINNED, _LEAST_DEPTH = 0.5, 10.0
# Part of the controls whose misfit is beyond the limit.
_MISFIT_SPECIFICITY = 0.99

# Robust standard deviations above the median from which on a control is unlike the others; of 93 real ones, none has
# more than 3.5.
_FAR = 6.0

Array = npt.NDArray[np.float64]
# Donors of tissues, by their places among those of interest, [n]: their methylation, [n, n_regions], and which part of
# them is that tissue, [n], the rest being as controls are.
DonorSource = Callable[[npt.NDArray[np.int64], np.random.Generator], tuple[Array, Array]]


class Controls(NamedTuple):
    """Counts of controls, [n_controls, n_regions] each, their names, and whose they are; empty where not known."""

    names: list[str]
    methylated: npt.NDArray[np.int64]
    depth: npt.NDArray[np.int64]
    patients: Sequence[str] = ()

    def chosen(self, rows: npt.NDArray[np.intp]) -> "Controls":
        """Choose some of them."""
        patients = [self.patients[row] for row in rows] if self.patients else ()
        return Controls([self.names[row] for row in rows], self.methylated[rows], self.depth[rows], patients)

    def of_person(self) -> list[list[int]]:
        """List for each control the controls of the same person, itself among them, by their places."""
        whose = [patient or row for row, patient in enumerate(self.patients or [""] * len(self.names))]
        return [[row for row, other in enumerate(whose) if other == own] for own in whose]

    def values(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Give methylation, NaN without reads, and depth, [n_controls, n_regions] each."""
        return fractions(self.methylated, self.depth), self.depth.astype(np.float32)

    def digests(self) -> list[str]:
        """Digest of the counts of each control, by which it is recognised."""
        return [counts_digest(*counts) for counts in zip(self.methylated, self.depth, strict=True)]


def counts_digest(methylated: npt.NDArray[Any], depth: npt.NDArray[Any]) -> str:
    """Digest the counts of one sample, [n_regions] each."""
    counts = np.stack([methylated, depth]).round().astype("<i8")
    return hashlib.sha256(counts.tobytes()).hexdigest()


@dataclass(frozen=True)
class Panel:
    """A panel of normals for one model.

    Parameters
    ----------
    background
        Distribution of the controls' methylation.
    shrinkage
        Of its covariance.
    tissues
        Tissues of interest: all of the model but those that the controls consist of.
    names, digests, depths
        Of the controls: name, digest of the counts, mean depth.
    crossfitted
        Of each control, compared with the others.
    calibration
        What amounts mean, by spiked controls.
    attributes
        Plain data: model, region set, genome, versions; ``background`` and ``background_composition``, the names of the
        tissues that controls consist of and their mean proportions; ``columns``, places of `tissues` in the model;
        maybe ``left_out``, names of controls that are in none of this.
    """

    background: Background
    shrinkage: float
    tissues: list[str]
    names: list[str]
    digests: list[str]
    depths: Array
    crossfitted: Excess
    calibration: AmountCalibration
    attributes: dict[str, Any]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def columns(self) -> list[int]:
        """Places of the tissues of interest among those of the model."""
        return list(self.attributes["columns"])

    @cached_property
    def thresholds(self) -> Array:
        """Thresholds of the scores, [n_specificities, n_tissues + 1], that of all tissues together last."""
        return thresholds(np.column_stack([self.crossfitted.scores.numpy(), self.crossfitted.total_score.numpy()]))

    @cached_property
    def specificities(self) -> list[Specificity]:
        """What the thresholds are worth."""
        return [specificity_of(stated, len(self)) for stated in SPECIFICITIES]

    @cached_property
    def misfit_limit(self) -> float:
        """Misfit that 1 % of controls exceed, as far as their number allows."""
        return float(thresholds(self.crossfitted.misfit.numpy()[:, None], [_MISFIT_SPECIFICITY])[0, 0])

    @property
    def usual_misfit(self) -> float:
        """Median misfit of the controls."""
        return float(self.crossfitted.misfit.median())

    @cached_property
    def odd_controls(self) -> list[str]:
        """Names of the controls that differ from the others as a tumour, or a sample of another tissue, would."""
        found = self.crossfitted
        beyond = _is_beyond(found.misfit.log().numpy(), 0.1) | _is_beyond(found.total_score.numpy(), 0.5)
        return [self.names[row] for row in np.flatnonzero(beyond)]

    @property
    def left_out(self) -> list[str]:
        """Names of the controls that were left out, as unlike the others."""
        return list(self.attributes.get("left_out", []))

    @property
    def words_of_left_out(self) -> str:
        """Say which controls were left out and why."""
        return (
            f"left out of the panel of normals, as unlike the other controls: {', '.join(self.left_out)}; a patient, "
            "another tissue, or prepared or counted otherwise? What controls have is taken for normal, and would not "
            "be found in patients. The stated specificity is that among the controls that are left"
        )

    def estimate(self, profiles: Tensor, methylation: Tensor, depth: Tensor) -> tuple[Excess, npt.NDArray[np.bool_]]:
        """Estimate what samples have above the controls, and which of them are controls of the panel.

        Parameters
        ----------
        profiles
            Of `tissues`, [n_tissues, n_regions].
        methylation, depth
            [n, n_regions]; methylation is NaN where depth is 0. A control is compared with the others.
        """
        device = profiles.device
        own = [counts_digest(*counts) for counts in zip(*counts_of(methylation, depth), strict=True)]
        places = {digest: row for row, digest in enumerate(self.digests)}
        values, reads = methylation.to(device, torch.float64), depth.to(device, torch.float64)
        found = estimate_excess(self.background.to(device), profiles.double(), values, reads)
        found = Excess(*(part.cpu() for part in found)).doubted(self.usual_misfit)
        rows = [row for row, digest in enumerate(own) if digest in places]
        for part, crossfitted in zip(found, self.crossfitted, strict=True):
            part[rows] = crossfitted[[places[own[row]] for row in rows]]
        return found, np.isin(np.arange(len(own)), rows)


def _is_beyond(values: Array, least: float) -> npt.NDArray[np.bool_]:
    """Find values far above the others; their robust standard deviation is ``least`` at least."""
    median = np.median(values)
    spread = max(least, 1.4826 * float(np.median(np.abs(values - median))))
    return np.asarray(values > median + _FAR * spread)


def counts_of(methylation: Tensor, depth: Tensor) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Recover the counts from methylation (NaN without reads) and depth, [n, n_regions]."""
    reads = depth.cpu().double().round()
    methylated = (methylation.cpu().double().nan_to_num() * reads).round()
    return methylated.long().numpy(), reads.long().numpy()


def make_panel(
    controls: Controls, profiles: Tensor, tissues: list[str], donors: DonorSource, prior: float,
    rng: np.random.Generator, attributes: dict[str, Any],
) -> Panel:  # fmt: skip
    """Make a panel of at least `FEWEST` controls.

    Parameters
    ----------
    profiles
        Of the tissues of interest, [n_tissues, n_regions], 0-1.
    donors
        Gives donors of these tissues, as new ones may be.
    prior
        Probability that a tissue is present before anything is known of a sample, 0-1.
    rng
        Draws the spiked controls.
    """
    methylation, depth = _fractions(controls.methylated, controls.depth, profiles.device)
    of_person = controls.of_person()
    shrinkage = choose_shrinkage(methylation, depth, of_person)
    spikes = _plan(len(controls.names), len(profiles), rng)
    left_out, estimates = [], []
    for row in cli.progress(range(len(depth)), "panel of normals, controls", len(depth)):
        background = without(methylation, depth, of_person[row], shrinkage)
        left_out.append(_estimated(background, profiles, methylation[row : row + 1], depth[row : row + 1]))
        counts = _spiked(controls, donors, row, spikes[spikes[:, 0] == row], rng)
        estimates.append(_estimated(background, profiles, *_fractions(*counts, profiles.device)))
    crossfitted, found = together(left_out), together(estimates)
    usual_misfit = float(crossfitted.misfit.median())
    crossfitted, found = crossfitted.doubted(usual_misfit), found.doubted(usual_misfit)
    limits = thresholds(crossfitted.scores.numpy())[0]
    _, tissue, amount = spikes.T
    calibration = calibrate(tissue, amount, found.amounts.numpy(), found.error.numpy(), limits, prior)
    background = fit_background(methylation, depth, shrinkage).to(torch.device("cpu"))
    mean_depth = controls.depth.sum(axis=1) / np.maximum((controls.depth > 0).sum(axis=1), 1)
    return Panel(
        background, shrinkage, tissues, controls.names, controls.digests(), mean_depth, crossfitted, calibration,
        attributes,
    )  # fmt: skip


def _estimated(background: Background, profiles: Tensor, methylation: Tensor, depth: Tensor) -> Excess:
    found = estimate_excess(background, profiles.double(), methylation, depth)
    return Excess(*(values.cpu() for values in found))


def _fractions(
    methylated: npt.NDArray[np.int64], depth: npt.NDArray[np.int64], device: torch.device
) -> tuple[Tensor, Tensor]:
    values = np.divide(methylated, depth, out=np.zeros(depth.shape), where=depth > 0)
    return torch.from_numpy(values).to(device), torch.from_numpy(depth.astype(np.float64)).to(device)


def _plan(n_controls: int, n_tissues: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """List control, tissue and place of the amount of each spiked control, [n, 3], in the order of the controls.

    Of amount 0 there is every control, at least twice.
    """
    blanks = np.repeat(np.arange(n_controls), max(2, -(-4 * _PER_CELL // n_controls)))
    cells = np.repeat(np.indices((n_tissues, len(AMOUNTS) - 1)).reshape(2, -1).T, _PER_CELL, axis=0)
    present = np.column_stack([rng.integers(n_controls, size=len(cells)), cells[:, 0], cells[:, 1] + 1])
    plan = np.concatenate([np.column_stack([blanks, np.zeros((len(blanks), 2), dtype=int)]), present])
    return plan[np.argsort(plan[:, 0], kind="stable")]


def _spiked(
    controls: Controls, donors: DonorSource, row: int, spikes: npt.NDArray[np.int64], rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Spike donors into a control as planned, and thin a part of what is made; [n, n_regions] each."""
    _, tissue, amount = spikes.T
    own, reads = (np.repeat(part[row : row + 1], len(spikes), axis=0) for part in (controls.methylated, controls.depth))
    methylation, purity = donors(tissue, rng)
    methylated, depth = spiked(own, reads, np.array(AMOUNTS)[amount] * purity, methylation, rng)
    deepest = max(controls.depth[row].mean(), _LEAST_DEPTH)
    kept = (_LEAST_DEPTH / deepest) ** (rng.random(len(spikes)) * (rng.random(len(spikes)) < _THINNED))
    return thinned(methylated, depth, kept[:, None], rng)
