"""Intervals of proportions: quantiles that are learned, then shifted to their nominal coverage.

The ends are quantiles of the true proportion given that the tissue is present, as distances from the estimate in
standard errors of the least squares (quantile regression, Koenker and Bassett 1978, Econometrica 46:33). What donors
left out of the profiles teach is then shifted to what validation donors need (conformalised quantile regression,
Romano et al. 2019, NeurIPS). 0 belongs to an interval unless the tissue is surely present.
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
# Presence probability from which 0 does not belong to the interval: less than the lower tail is left for it.
SURE = 1 - _TAIL
# The directions in which the ends move when an interval becomes wider.
_OUTWARDS = (-1, 1, 1)


class Place(NamedTuple):
    """What intervals are placed by.

    ``hidden``: features, [batch, n_tissues, n_features]; ``centre``: proportion that a tissue has, or would have were
    it let through the gate; ``error``: its standard error; ``sure``: whether it is surely present. [batch, n_tissues].
    """

    hidden: Tensor
    centre: Tensor
    error: Tensor
    sure: Tensor


class ProportionIntervals(nn.Module):
    """Intervals of level `INTERVAL_LEVEL`, from ``n_features`` features of each tissue."""

    shift: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.quantiles = nn.Linear(n_features, len(QUANTILES))
        self.register_buffer("shift", torch.zeros(()))

    def ends(self, place: Place) -> Tensor:
        """Give the `QUANTILES` of the true proportions as learned, [batch, n_tissues, 3]."""
        return _at(place, self.quantiles(place.hidden))

    def forward(self, place: Place, proportions: Tensor) -> tuple[Tensor, Tensor]:
        """Give lower and upper ends, [batch, n_tissues] each; they hold the proportions themselves."""
        outwards = self.shift * torch.tensor(_OUTWARDS, device=place.error.device)
        lower, upper, alone = _at(place, self.quantiles(place.hidden) + outwards).unbind(dim=2)
        low = torch.where(place.sure, torch.minimum(lower, proportions), 0)
        high = torch.maximum(torch.where(place.sure, upper, alone), proportions)
        return low.clamp(min=0), high.clamp(max=1)

    def misses(self, place: Place, true: Tensor) -> Tensor:
        """Give by how many standard errors true proportions lie outside of their intervals as learned; < 0 inside."""
        found = (true - place.centre) / place.error
        low, high, alone = (found[:, :, None] - self.quantiles(place.hidden)).unbind(dim=2)
        return torch.where(place.sure, torch.maximum(-low, high), alone)

    def conform(self, misses: Tensor) -> None:
        """Set the shift with which the intervals would have held their level of these true proportions, [n]."""
        rank = min(math.ceil(INTERVAL_LEVEL * (len(misses) + 1)), len(misses))
        self.shift.fill_(misses.sort().values[rank - 1].item())


def _at(place: Place, distances: Tensor) -> Tensor:
    """Turn distances in standard errors, [batch, n_tissues, n], into proportions."""
    return place.centre[:, :, None] + place.error[:, :, None] * distances


def pinball_loss(predicted: Tensor, true: Tensor, quantile: float) -> Tensor:
    """Mean pinball loss over the entries that are present (true > 0), in units of their mean; [batch, n_tissues] both.

    It is lowest where ``predicted`` is the quantile, 0-1, of the true proportion.
    """
    there = true > 0
    error = true - predicted
    losses = torch.maximum(quantile * error, (quantile - 1) * error)
    return torch.where(there, losses, 0).sum() / total(torch.where(there, true, 0).sum())


def interval_loss(ends: Tensor, true: Tensor) -> Tensor:
    """Sum the pinball losses of the ends, [batch, n_tissues, 3]; ``true`` is [batch, n_tissues]."""
    parts = [pinball_loss(end, true, q) for end, q in zip(ends.unbind(dim=2), QUANTILES, strict=True)]
    return torch.stack(parts).sum()
