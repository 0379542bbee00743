"""Intervals of proportions: learned quantiles, made right for each class of proportion and depth.

Two ends are learned: the quantiles of the true proportion given that the tissue is present, as distances from the
estimate in standard errors of the least squares (quantile regression, Koenker and Bassett 1978, Econometrica 46:33).
They are right on average, not where it matters: a tissue of 2 % would be missed as often as all others together are
covered. So an interval is the range of all proportions that are not refuted (label-conditional conformal prediction,
Vovk 2012, ACML 25:475): a proportion is refuted if it lies further outside of the learned ends than 95 % of the
mixtures in which the tissue truly had a proportion of its class, at a like depth, did on that side.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from methmix.metrics import INTERVAL_LEVEL
from methmix.models.ranks import total

_TAIL = (1 - INTERVAL_LEVEL) / 2
# Of the two ends; together they leave out what the level does.
QUANTILES = (_TAIL, 1 - _TAIL)
# Classes of true proportions: exactly 0, then up to each of these.
CLASSES = (0.0, 0.001, 0.01, 0.05, 0.2, 0.5, 1.0)
# Mean depth, over all regions, at which mixtures are divided into strata.
STRATA = (20.0, 40.0, 75.0, 200.0)
# A class of a stratum with fewer mixtures is joined with the other strata.
_FEWEST = 60
# Learned ends are taken to be at least this far apart.
_NARROWEST = 2e-4
# Proportions refuted on each side, if fewer would leave ranges that cover more than their level.
_TAILS = (0.06, 0.07, 0.08, 0.09, 0.1, 0.12)


class Place(NamedTuple):
    """What intervals are placed by; [batch, n_tissues], ``hidden`` [batch, n_tissues, n_features].

    ``centre`` is the proportion that a tissue has, or would have if the gate admitted it; ``error`` its standard error.
    """

    hidden: Tensor
    centre: Tensor
    error: Tensor


def strata(depth: Tensor) -> Tensor:
    """Give the number of the stratum of each mixture by its depth, [batch, n_regions]; [batch]."""
    return torch.bucketize(depth.mean(dim=1), torch.tensor(STRATA, device=depth.device))


def classes(true: Tensor) -> Tensor:
    """Give the number of the class of each true proportion."""
    return torch.bucketize(true, torch.tensor(CLASSES, device=true.device)).clamp(max=len(CLASSES) - 1)


class ProportionIntervals(nn.Module):
    """Intervals of level `INTERVAL_LEVEL`, from ``n_features`` features of each tissue; 0 to 1 until calibrated."""

    outside: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.quantiles = nn.Linear(n_features, len(QUANTILES))
        # How far outside of the lower and of the upper end a proportion may be, in half-widths.
        self.register_buffer("outside", torch.full((2, len(STRATA) + 1, len(CLASSES)), torch.inf))

    @property
    def calibrated(self) -> bool:
        """Whether the intervals have been calibrated."""
        return bool(torch.isfinite(self.outside).any())

    def ends(self, place: Place) -> Tensor:
        """Compute the `QUANTILES` of the true proportions, [batch, n_tissues, 2], as learned."""
        distances: Tensor = self.quantiles(place.hidden)
        return place.centre[:, :, None] + place.error[:, :, None] * distances

    def forward(self, place: Place, proportions: Tensor, stratum: Tensor, widening: Tensor) -> tuple[Tensor, Tensor]:
        """Compute lower and upper ends, [batch, n_tissues] each; they enclose the proportions themselves.

        ``stratum`` and ``widening``, by how much a mixture's intervals are wider than calibrated, are [batch].
        """
        lower, upper = self.ends(place).unbind(dim=2)
        calibrated = self.outside[:, stratum, None, :]
        # Half-widths reach to the ends; those that are never reached are not widened beyond what can be counted.
        outside = calibrated + (widening[:, None, None] - 1) * (1 + calibrated).clamp(0.5, 1e3)
        low, high = _not_refuted(lower, upper, outside)
        return torch.minimum(low, proportions).clamp(min=0), torch.maximum(high, proportions).clamp(max=1)

    def conform(self, lower: Tensor, upper: Tensor, true: Tensor, stratum: Tensor) -> None:
        """Set how far outside of the learned ends a proportion is refuted, given those of some entries, [n] each.

        The range of what is not refuted is a little wider than the proportions that are not, since these need not be
        adjacent: in each class more are refuted, until the ranges cover `INTERVAL_LEVEL` of it.
        """
        of_class, width = classes(true), _half_width(lower, upper)
        distances = (lower - true) / width, (true - upper) / width
        # Of the entries' device, which need not be that of the model.
        outside = torch.empty(self.outside.shape, device=true.device)
        for row, column in itertools.product(range(len(STRATA) + 1), range(len(CLASSES))):
            own = (stratum == row) & (of_class == column)
            rests_on = own if own.sum() >= _FEWEST else of_class == column
            outside[:, row, column] = _conformal([distance[rests_on] for distance in distances], _TAIL)
        for row, column in itertools.product(range(len(STRATA) + 1), range(1, len(CLASSES))):
            # What is absent is refuted on one side only, and stays as it is.
            own = (stratum == row) & (of_class == column)
            for tail in _TAILS if own.sum() >= _FEWEST else ():
                before = outside[:, row, column].clone()
                outside[:, row, column] = _conformal([distance[own] for distance in distances], tail)
                low, high = _not_refuted(lower[own], upper[own], outside[:, row, None, :])
                if ((low <= true[own]) & (true[own] <= high)).double().mean() < INTERVAL_LEVEL:
                    outside[:, row, column] = before
                    break
        self.outside.copy_(outside)


def _not_refuted(lower: Tensor, upper: Tensor, outside: Tensor) -> tuple[Tensor, Tensor]:
    """Find the range of the proportions that are not refuted.

    ``lower`` and ``upper`` are the learned ends, of any shape, ``outside`` [2, (that shape,) n_classes].
    """
    width = _half_width(lower, upper)[..., None]
    lowest = torch.tensor((0.0, *CLASSES[:-1]), device=lower.device)
    left = torch.maximum(lower[..., None] - outside[0] * width, lowest)
    right = torch.minimum(upper[..., None] + outside[1] * width, torch.tensor(CLASSES, device=lower.device))
    # There is but one absent proportion, and no lower one.
    right[..., 0] = 0
    possible = left <= right
    low = torch.where(possible, left, torch.inf).amin(dim=-1)
    high = torch.where(possible, right, -torch.inf).amax(dim=-1)
    return low, high


def _half_width(lower: Tensor, upper: Tensor) -> Tensor:
    return ((upper - lower) / 2).clamp(min=_NARROWEST)


def _conformal(distances: Sequence[Tensor], tail: float) -> Tensor:
    """Find the distances, one a side, that a further entry exceeds with a probability of at most ``tail``.

    They are infinite with too few entries.
    """
    found = []
    for distance in distances:
        rank = math.ceil((1 - tail) * (len(distance) + 1))
        found.append(distance.sort().values[rank - 1].item() if rank <= len(distance) else math.inf)
    return torch.tensor(found)


def pinball_loss(predicted: Tensor, true: Tensor, quantile: float) -> Tensor:
    """Mean pinball loss over the entries that are present (true > 0), in units of their mean; [batch, n_tissues] both.

    It is lowest where ``predicted`` is the quantile, 0-1, of the true proportion.
    """
    present = true > 0
    error = true - predicted
    losses = torch.maximum(quantile * error, (quantile - 1) * error)
    return torch.where(present, losses, 0).sum() / total(torch.where(present, true, 0).sum())


def interval_loss(ends: Tensor, true: Tensor) -> Tensor:
    """Sum the pinball losses of the ends, [batch, n_tissues, 2]; ``true`` is [batch, n_tissues]."""
    parts = [pinball_loss(end, true, q) for end, q in zip(ends.unbind(dim=2), QUANTILES, strict=True)]
    return torch.stack(parts).sum()
