"""Donors drawn around the profiles of their tissues."""

from types import ModuleType

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from methmix.devices import staged
from methmix.mixtures import gpu
from methmix.mixtures.reads import normal_deviates
from methmix.reference.variation import DRAWN_FREEDOM, DRAWN_RANGE


def deviating(
    mean: Tensor,
    variance: Tensor,
    tissue: npt.NDArray[np.integer],
    size: npt.NDArray[np.float32],
    seeds: npt.NDArray[np.uint64],
) -> Tensor:
    """Draw donors that deviate from the means of their tissues on the logit scale.

    Parameters
    ----------
    mean, variance
        Mean methylation, 0-1, and its variance between donors, float32 [n_tissues, n_regions], on any device.
    tissue, size, seeds
        Of each donor: row of ``mean``, factor of its deviations, and seed, [n].

    Returns
    -------
    Tensor
        Methylation, float32 [n, n_regions], 0-1, on the same device. A donor is the same whichever others are drawn,
        but for rounding also on another device.
    """
    inputs = staged(mean.device, tissue.astype(np.int32), size, seeds.view(np.int64))
    kernels = None if mean.device.type == "cpu" else gpu.kernels(mean.device)
    if kernels is not None:
        return _in_kernel(kernels, mean, variance, *inputs)
    rows, sizes, _ = inputs
    m = mean.index_select(0, rows).clamp_(*DRAWN_RANGE)
    z = normal_deviates(seeds, m.shape[1], m.device)
    deviation = variance.index_select(0, rows).sqrt_().div_(m * (1 - m)).mul_(-sizes[:, None])
    # Odds of being unmethylated, times what the deviation changes them by.
    odds = m.reciprocal_().sub_(1).mul_(deviation.mul_(_heavy_tailed(z)).exp_())
    return odds.add_(1).reciprocal_()


def _in_kernel(
    kernels: ModuleType, mean: Tensor, variance: Tensor, tissue: Tensor, size: Tensor, seeds: Tensor
) -> Tensor:
    drawn = torch.empty(len(tissue), mean.shape[1], device=mean.device)
    kernels.deviate(mean, variance, tissue, size, seeds, DRAWN_RANGE, _TAILS, drawn)
    return drawn


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
