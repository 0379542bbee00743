"""Poisson counts from random bits, fast: tables and a transformed normal deviate instead of loops that reject.

- Of a mean below 30, an alias table (Walker 1977, ACM TOMS 3:253) of one of the means on a grid. Which of the two
  neighbours on the grid is drawn such that the mean is right; the variance is too large by at most 0.1 %.
- Above, a normal deviate, given the variance and the skewness of the Poisson distribution (Cornish and Fisher 1938,
  Rev. Inst. Int. Stat. 5:307) and rounded.

How close that is to SciPy's distribution is tested.
"""

import math
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from scipy import optimize, stats
from torch import Tensor

from methmix.devices import staged

# Means up to this are drawn from tables, of means whose square roots are 1/32 apart.
LARGEST_MEAN = 30.0
LARGEST_ROOT = math.sqrt(LARGEST_MEAN)
PER_ROOT = 32
# Counts from 64 on, at a mean of 30, are one in 10^7. A slot and its threshold share 32 bits.
SLOTS, SLOT_BITS, THRESHOLD_BITS = 64, 6, 26
# Bits that choose between two means of the grid, and between the quantiles of a normal deviate.
CHOICE_BITS, NORMAL_BITS = 16, 12
# Steps between two quantiles.
WITHIN = 1 << 32 - NORMAL_BITS
# Rounding adds the variance of a uniform number.
ROUNDING = 1 / 12


def counts(mean: Tensor, bits: Tensor, choice: Tensor) -> Tensor:
    """Draw Poisson counts.

    Parameters
    ----------
    mean
        float32, >= 0, any shape.
    bits, choice
        Independent random integers, int64, of 32 and of `CHOICE_BITS` bits; of the same shape.

    Returns
    -------
    Tensor
        float32, whole numbers.
    """
    aliases, _ = _tables(mean.device)
    place = mean.sqrt().clamp(max=LARGEST_ROOT) * PER_ROOT
    base = place.floor()
    # The chance of the upper neighbour is how far the mean is between the two.
    upper = choice * 2.0**-CHOICE_BITS < (place.square() - base.square()) / (2 * base + 1)
    slot = bits >> THRESHOLD_BITS
    word = aliases[((base.long() + upper) << SLOT_BITS) + slot]
    own = (bits & 2**THRESHOLD_BITS - 1) < word >> SLOT_BITS
    few = torch.where(own, slot, word & SLOTS - 1).float()
    deviate = deviates(bits)
    many = (mean + (mean - ROUNDING).clamp(min=0).sqrt() * deviate + (deviate.square() - 1) / 6 + 0.5).floor()
    return torch.where(mean >= LARGEST_MEAN, many, few)


def deviates(bits: Tensor) -> Tensor:
    """Turn random integers of 32 bits, int64, into normal deviates, float32: uniform between quantiles."""
    _, quantiles = _tables(bits.device)
    index = bits >> 32 - NORMAL_BITS
    low, high = quantiles[index], quantiles[index + 1]
    return torch.lerp(low, high, (bits & WITHIN - 1) / WITHIN)


@cache
def _tables(device: torch.device) -> tuple[Tensor, Tensor]:
    """Keep both tables on a device."""
    return torch.from_numpy(alias_tables().astype(np.int64)).to(device), torch.from_numpy(normal_quantiles()).to(device)


@cache
def table_words(device: torch.device) -> tuple[Tensor, Tensor]:
    """Keep both tables on a device as kernels read them: words of the alias tables, in int32, and quantiles."""
    words, quantiles = staged(device, alias_tables().view(np.int32), normal_quantiles())
    return words, quantiles


@cache
def alias_tables() -> npt.NDArray[np.uint32]:
    """Make the alias tables of all means on the grid, each with threshold and alias of its slots in one word."""
    roots = np.arange(int(LARGEST_ROOT * PER_ROOT) + 2) / PER_ROOT
    words = np.empty((len(roots), SLOTS), dtype=np.uint32)
    for row, mean in enumerate(roots**2):
        threshold, alias = _alias_table(stats.poisson(mean).pmf(np.arange(SLOTS)))
        scaled = np.minimum(np.round(threshold * 2**THRESHOLD_BITS), 2**THRESHOLD_BITS - 1).astype(np.uint32)
        words[row] = scaled << SLOT_BITS | alias
    return words.ravel()


def _alias_table(probability: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint32]]:
    """Divide a distribution over equally probable slots, each of which stands for itself or for its alias."""
    threshold = probability / probability.sum() * len(probability)
    alias = np.arange(len(probability), dtype=np.uint32)
    poor = [slot for slot, value in enumerate(threshold) if value < 1]
    rich = [slot for slot, value in enumerate(threshold) if value >= 1]
    while poor and rich:
        slot = poor.pop()
        alias[slot] = rich[-1]
        threshold[rich[-1]] -= 1 - threshold[slot]
        if threshold[rich[-1]] < 1:
            poor.append(rich.pop())
    return threshold, alias


@cache
def normal_quantiles() -> npt.NDArray[np.float32]:
    """Give normal quantiles, between which a deviate is uniform; the ends are such that its variance is 1."""
    inner = stats.norm.ppf(np.arange(1, 2**NORMAL_BITS) / 2**NORMAL_BITS)

    def quantiles(end: float) -> npt.NDArray[np.float64]:
        return np.concatenate([[-end], inner, [end]])

    def excess(end: float) -> float:
        edges = quantiles(end)
        return float(((edges[1:] ** 2 + edges[1:] * edges[:-1] + edges[:-1] ** 2) / 3).mean() - 1)

    return quantiles(optimize.brentq(excess, inner[-1], 6)).astype(np.float32)
