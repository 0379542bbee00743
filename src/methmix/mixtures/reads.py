"""Mixed methylation, and the reads that a sequencer would give.

The methylated and the other reads of a region are independent Poisson counts, of means ``depth x methylation`` and
``depth x (1 - methylation)``: their sum, the depth, is then Poisson, and given it the methylated ones are binomial.
Random numbers are a hash of the mixture's seed and the region's number (SplitMix64; Steele et al. 2014, OOPSLA), so
that a mixture has the same reads in whatever batch, block, thread or process it is drawn.
"""

from types import ModuleType

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from methmix.devices import staged
from methmix.mixtures import gpu, kernel
from methmix.mixtures.poisson import CHOICE_BITS, alias_tables, counts, deviates, normal_quantiles

# Fraction of a mixture that must be observed in a region: with less, a gap of its main donor would expose the
# methylation of a trace undiluted.
LEAST_KNOWN = 0.5
_Weights = npt.NDArray[np.float32]
_Numbers = npt.NDArray[np.floating]
_Rows = npt.NDArray[np.integer]
_Seeds = npt.NDArray[np.uint64]
# As signed 64-bit integers, which wrap around as unsigned ones do.
_GOLDEN, _FIRST, _SECOND = (
    int(np.uint64(constant).astype(np.int64))
    for constant in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


def draw_mixtures(
    weights: _Weights, fractions: Tensor, mean_depth: _Numbers, coverage: Tensor, seeds: _Seeds
) -> tuple[Tensor, Tensor]:
    """Mix donors and sample reads.

    Parameters
    ----------
    weights
        Proportion of each donor in each mixture, float32 [n, n_donors]; rows sum to 1.
    fractions
        Methylation of each donor, float32 [n_donors, n_regions], 0-1, NaN where not observed; on any device.
    mean_depth, seeds
        Mean reads per region, and seed, of each mixture, [n].
    coverage
        Relative coverage of each region, float32 [n_regions], mean 1; on the same device.

    Returns
    -------
    methylation, depth
        As observed: float32 [n, n_regions] each, methylation NaN where depth is 0. They are the same on a CPU and on a
        GPU with Triton; without it, a mean that is rounded otherwise gives one entry in 10,000 another count.
    """
    if fractions.device.type == "cpu":
        return _in_loops(weights, fractions, mean_depth, coverage, seeds)
    kernels = gpu.kernels(fractions.device)
    if kernels is None:
        return in_tensors(weights, fractions, mean_depth, coverage, seeds)
    return _in_kernel(kernels, weights, fractions, mean_depth, coverage, seeds)


def mix(weights: Tensor, fractions: Tensor) -> Tensor:
    """Average fractions [n_donors, n_regions] with weights [n, n_donors], over the donors that were observed.

    The result is [n, n_regions], 0-1, and NaN where less than half of a mixture was observed.
    """
    missing = torch.isnan(fractions)
    known = weights @ (~missing).to(weights.dtype)
    # Rounding leaves a little more than 1.
    mixed = (weights @ torch.nan_to_num(fractions)).div_(known).clamp_(max=1)
    return mixed.masked_fill_(known < LEAST_KNOWN, torch.nan)


def in_tensors(
    weights: _Weights, fractions: Tensor, mean_depth: _Numbers, coverage: Tensor, seeds: _Seeds
) -> tuple[Tensor, Tensor]:
    """Compute `draw_mixtures` in operations on whole tensors, on any device."""
    device = fractions.device
    own, means, first = staged(device, weights, mean_depth.astype(np.float32), seeds.view(np.int64))
    mixed = mix(own, fractions)
    known = torch.nan_to_num(mixed)
    reads = means[:, None] * coverage * ~torch.isnan(mixed)
    place = 2 * torch.arange(fractions.shape[1], device=device)
    bits, choice = (_hash(first[:, None] + (place + number) * _GOLDEN) for number in (1, 2))
    methylated = counts(reads * known, bits & 0xFFFFFFFF, choice & 2**CHOICE_BITS - 1)
    others = counts(reads * (1 - known), _shift(bits, 32), _shift(choice, 64 - CHOICE_BITS))
    depth = methylated + others
    return methylated / depth, depth


def normal_deviates(seeds: _Seeds, n_regions: int, device: torch.device) -> Tensor:
    """Draw normal deviates, float32 [n, n_regions], a row for each seed; their ends are at four standard deviations."""
    if device.type == "cpu":
        drawn = torch.empty(len(seeds), n_regions)
        kernel.in_threads(
            len(seeds), lambda rows: kernel.normal_deviates(seeds[rows], normal_quantiles(), drawn.numpy()[rows])
        )
        return drawn
    (first,) = staged(device, seeds.view(np.int64))
    return deviates(_shift(_hash(first[:, None] + (torch.arange(n_regions, device=device) + 1) * _GOLDEN), 32))


def _hash(value: Tensor) -> Tensor:
    value = (value ^ _shift(value, 30)) * _FIRST
    value = (value ^ _shift(value, 27)) * _SECOND
    return value ^ _shift(value, 31)


def _shift(value: Tensor, places: int) -> Tensor:
    """Shift right, filling with zeros, which torch's shift of a signed integer does not."""
    return value >> places & (1 << 64 - places) - 1


def _in_loops(
    weights: _Weights, fractions: Tensor, mean_depth: _Numbers, coverage: Tensor, seeds: _Seeds
) -> tuple[Tensor, Tensor]:
    observed, depth = (torch.empty(len(weights), fractions.shape[1]) for _ in range(2))
    mean_depth = mean_depth.astype(np.float32)

    def draw(rows: slice) -> None:
        kernel.draw(
            *(*entries(weights[rows]), fractions.numpy(), np.float32(LEAST_KNOWN)),
            *(seeds[rows], mean_depth[rows], coverage.numpy(), alias_tables(), normal_quantiles()),
            *(observed.numpy()[rows], depth.numpy()[rows]),
        )

    kernel.in_threads(len(weights), draw)
    return observed, depth


def _in_kernel(
    kernels: ModuleType, weights: _Weights, fractions: Tensor, mean_depth: _Numbers, coverage: Tensor, seeds: _Seeds
) -> tuple[Tensor, Tensor]:
    observed, depth = (torch.empty(len(weights), fractions.shape[1], device=fractions.device) for _ in range(2))
    rows, own, ends = entries(weights)
    donors, proportions, places, first, means = staged(
        *(fractions.device, rows.astype(np.int32), own, ends.astype(np.int32)),
        *(seeds.view(np.int64), mean_depth.astype(np.float32)),
    )
    kernels.draw(donors, proportions, places, fractions, LEAST_KNOWN, first, means, coverage, observed, depth)
    return observed, depth


def entries(weights: _Weights) -> tuple[_Rows, _Weights, _Rows]:
    """List what each row of weights, [n, n_columns], is made of.

    Returns
    -------
    columns, weights
        Those that are not 0, one row after the other.
    ends
        Where each row begins, and where the last one ends, [n + 1].
    """
    # A tenth of the time that np.nonzero takes for two dimensions.
    places = np.flatnonzero(weights != 0)
    n, n_columns = weights.shape
    return places % n_columns, weights.ravel()[places], np.searchsorted(places, n_columns * np.arange(n + 1))
