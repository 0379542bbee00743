"""ProportionIntervals of proportions: quantiles that are learned, then shifted to their nominal coverage.

The ends are quantiles of the true proportion given that the tissue is present, as distances from the estimate in
standard errors of the least squares (quantile regression, Koenker and Bassett 1978, Econometrica 46:33). What is
learned on donors left out of the profiles is then shifted to what validation donors need (conformalised quantile
regression, Romano et al. 2019, NeurIPS). An interval contains 0 unless the tissue is certainly present.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from methmix.metrics import INTERVAL_LEVEL
from methmix.models.ranks import total

_TAIL = (1 - INTERVAL_LEVEL) / 2
# An interval goes from the first to the second of these quantiles, or from 0 to the third.
QUANTILES = (_TAIL, 1 - _TAIL, INTERVAL_LEVEL)
# Presence probability from which the interval excludes 0: less than the lower tail is left for it.
CERTAIN = 1 - _TAIL
# The directions in which the ends move when an interval becomes wider.
_OUTWARDS = (-1, 1, 1)


class Place(NamedTuple):
    """What intervals are placed by; [batch, n_tissues], ``hidden`` [batch, n_tissues, n_features].

    ``centre`` is the proportion that a tissue has, or would have if the gate admitted it; ``error`` its standard error.
    """

    hidden: Tensor
    centre: Tensor
    error: Tensor
    certain: Tensor


class ProportionIntervals(nn.Module):
    """ProportionIntervals of level `INTERVAL_LEVEL`, from ``n_features`` features of each tissue."""

    shift: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.quantiles = nn.Linear(n_features, len(QUANTILES))
        self.register_buffer("shift", torch.zeros(()))

    def ends(self, place: Place, outwards: Tensor | float = 0.0) -> Tensor:
        """Compute the `QUANTILES` of the true proportions, [batch, n_tissues, 3], uncalibrated if not shifted."""
        distances: Tensor = self.quantiles(place.hidden) + outwards
        return place.centre[:, :, None] + place.error[:, :, None] * distances

    def forward(self, place: Place, proportions: Tensor) -> tuple[Tensor, Tensor]:
        """Compute lower and upper ends, [batch, n_tissues] each; they enclose the proportions themselves."""
        outwards = self.shift * torch.tensor(_OUTWARDS, device=place.error.device)
        lower, upper, alone = self.ends(place, outwards).unbind(dim=2)
        low = torch.where(place.certain, torch.minimum(lower, proportions), 0)
        high = torch.maximum(torch.where(place.certain, upper, alone), proportions)
        return low.clamp(min=0), high.clamp(max=1)

    def misses(self, place: Place, true: Tensor) -> Tensor:
        """Compute by how many standard errors true proportions lie outside of the uncalibrated intervals."""
        found = (true - place.centre) / place.error
        low, high, alone = (found[:, :, None] - self.quantiles(place.hidden)).unbind(dim=2)
        return torch.where(place.certain, torch.maximum(-low, high), alone)

    def conform(self, misses: Tensor) -> None:
        """Set the shift with which the intervals would have had their nominal coverage, given the `misses`, [n]."""
        rank = min(math.ceil(INTERVAL_LEVEL * (len(misses) + 1)), len(misses))
        self.shift.fill_(misses.sort().values[rank - 1].item())


def pinball_loss(predicted: Tensor, true: Tensor, quantile: float) -> Tensor:
    """Mean pinball loss over the entries that are present (true > 0), in units of their mean; [batch, n_tissues] both.

    It is lowest where ``predicted`` is the quantile, 0-1, of the true proportion.
    """
    present = true > 0
    error = true - predicted
    losses = torch.maximum(quantile * error, (quantile - 1) * error)
    return torch.where(present, losses, 0).sum() / total(torch.where(present, true, 0).sum())


def interval_loss(ends: Tensor, true: Tensor) -> Tensor:
    """Sum the pinball losses of the ends, [batch, n_tissues, 3]; ``true`` is [batch, n_tissues]."""
    parts = [pinball_loss(end, true, q) for end, q in zip(ends.unbind(dim=2), QUANTILES, strict=True)]
    return torch.stack(parts).sum()
