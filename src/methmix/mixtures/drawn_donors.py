"""Donors drawn around the profiles of their tissues."""

from types import ModuleType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from methmix.devices import staged
from methmix.mixtures import gpu, kernel
from methmix.mixtures.poisson import normal_quantiles
from methmix.mixtures.reads import entries, normal_deviates
from methmix.reference.variation import DRAWN_FREEDOM, DRAWN_RANGE


class DonorPlan(NamedTuple):
    """What differs between drawn donors, of which there are n.

    ``tissue`` is the row of the profiles that a donor is drawn around, ``size`` the factor of its deviations, [n];
    ``foreign`` its proportions of other tissues, float32 [n, n_tissues]; ``seeds``, [n], decide the deviations.
    """

    tissue: npt.NDArray[np.integer]
    size: npt.NDArray[np.float32]
    foreign: npt.NDArray[np.float32]
    seeds: npt.NDArray[np.uint64]

    def at(self, rows: slice | npt.NDArray[np.bool_]) -> "DonorPlan":
        """Select donors."""
        return DonorPlan(self.tissue[rows], self.size[rows], self.foreign[rows], self.seeds[rows])


def draw_donors(mean: Tensor, variance: Tensor, plan: DonorPlan, drawn: Tensor) -> None:
    """Draw donors that deviate from the means of their tissues on the logit scale, and hold some of other tissues.

    Parameters
    ----------
    mean, variance
        Mean methylation, 0-1, and its variance between donors, float32 [n_tissues, n_regions], on any device.
    drawn
        What is filled with their methylation, float32 [n, n_regions], 0-1, on the same device. A donor is the same
        whichever others are drawn, but for rounding also on another device.
    """
    device = mean.device
    if device.type == "cpu":
        _in_loops(mean, variance, plan, drawn)
        return
    if kernels := gpu.kernels(device):
        _in_kernel(kernels, mean, variance, plan, drawn)
    else:
        _in_tensors(mean, variance, plan, drawn)
    (foreign,) = staged(device, plan.foreign)
    drawn.mul_(1 - foreign.sum(dim=1, keepdim=True)).addmm_(foreign, mean)


def _logits(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the odds of being unmethylated, and the standard deviation of the logit between donors."""
    m = mean.clamp(*DRAWN_RANGE)
    return 1 / m - 1, variance.sqrt() / (m * (1 - m))


def _in_loops(mean: Tensor, variance: Tensor, plan: DonorPlan, drawn: Tensor) -> None:
    profiles = [part.numpy() for part in (mean, *_logits(mean, variance))]
    tails = tuple(map(np.float32, _TAILS))

    def draw(rows: slice) -> None:
        own = plan.at(rows)
        kernel.deviate(
            *(*profiles, own.tissue, own.size, *entries(own.foreign), own.seeds),
            *(tails, normal_quantiles(), drawn.numpy()[rows]),
        )

    kernel.in_threads(len(drawn), draw)


def _in_kernel(kernels: ModuleType, mean: Tensor, variance: Tensor, plan: DonorPlan, drawn: Tensor) -> None:
    """Draw the deviations alone."""
    inputs = staged(mean.device, plan.tissue.astype(np.int32), plan.size, plan.seeds.view(np.int64))
    kernels.deviate(mean, variance, *inputs, DRAWN_RANGE, _TAILS, drawn)


def _in_tensors(mean: Tensor, variance: Tensor, plan: DonorPlan, drawn: Tensor) -> None:
    """Draw the deviations alone."""
    rows, sizes = staged(mean.device, plan.tissue.astype(np.int32), plan.size)
    odds, deviation = (part.index_select(0, rows) for part in _logits(mean, variance))
    z = normal_deviates(plan.seeds, mean.shape[1], mean.device)
    change = deviation.mul_(-sizes[:, None]).mul_(_heavy_tailed(z)).exp_()
    torch.reciprocal(odds.mul_(change).add_(1), out=drawn)


def _heavy_tailed(z: Tensor) -> Tensor:
    """Turn normal deviates into ones of variance 1 with the tails of Student's t.

    Cornish-Fisher expansion to the second order (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5).
    """
    square = z.square()
    return (square * _TAILS[2]).add_(_TAILS[1]).mul_(square).add_(_TAILS[0]).mul_(z)


def _tails() -> tuple[float, float, float]:
    n = DRAWN_FREEDOM
    a, b, c = 1 + 1 / (4 * n) + 1 / (32 * n**2), 1 / (4 * n) + 1 / (6 * n**2), 5 / (96 * n**2)
    # By the moments of a normal deviate: 1, 3, 15, 105, 945.
    deviation = (a * a + 6 * a * b + 15 * (b * b + 2 * a * c) + 210 * b * c + 945 * c * c) ** 0.5
    return a / deviation, b / deviation, c / deviation


_TAILS = _tails()
