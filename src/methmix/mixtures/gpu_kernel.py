"""Mixing, reads and drawn donors on a GPU, in one pass over the output.

The same numbers as the loops of `methmix.mixtures.kernel` give on a CPU: all roundings that decide a count are those
of IEEE 754 here as there, and no product is fused with a sum. Import this module only by `methmix.mixtures.gpu`.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from methmix.mixtures.poisson import (
    CHOICE_BITS,
    LARGEST_MEAN,
    LARGEST_ROOT,
    NORMAL_BITS,
    PER_ROOT,
    ROUNDING,
    SLOT_BITS,
    SLOTS,
    THRESHOLD_BITS,
    WITHIN,
    table_words,
)

# Regions of one program, four per thread: they have nothing in common but the list of donors.
_REGIONS = 512
_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}
_BLOCK = tl.constexpr(_REGIONS)
_GOLDEN, _FIRST, _SECOND = (
    tl.constexpr(constant) for constant in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)
_MEAN, _ROOT, _PER_ROOT = tl.constexpr(LARGEST_MEAN), tl.constexpr(LARGEST_ROOT), tl.constexpr(float(PER_ROOT))
_SLOT_BITS, _SLOT_MASK = tl.constexpr(SLOT_BITS), tl.constexpr(SLOTS - 1)
_THRESHOLD_BITS, _THRESHOLD_MASK = tl.constexpr(THRESHOLD_BITS), tl.constexpr(2**THRESHOLD_BITS - 1)
_CHOICE_MASK, _CHOICE_SHIFT = tl.constexpr(2**CHOICE_BITS - 1), tl.constexpr(64 - CHOICE_BITS)
_PER_CHOICE, _ROUNDING, _SIXTH = tl.constexpr(2.0**-CHOICE_BITS), tl.constexpr(ROUNDING), tl.constexpr(1 / 6)
_NORMAL_SHIFT, _NORMAL_MASK = tl.constexpr(32 - NORMAL_BITS), tl.constexpr(WITHIN - 1)
_PER_WITHIN = tl.constexpr(1 / WITHIN)


def draw(
    donors: Tensor,
    weights: Tensor,
    ends: Tensor,
    fractions: Tensor,
    least_known: float,
    seeds: Tensor,
    mean_depth: Tensor,
    coverage: Tensor,
    observed: Tensor,
    depth: Tensor,
) -> None:
    """Fill ``observed`` and ``depth``, float32 [n, n_regions], contiguous.

    Mixture i is of ``weights`` of the rows ``donors`` of ``fractions``, those from ``ends[i]`` to ``ends[i + 1]``; both
    integers are of 32 bits, and ``seeds`` the bits of unsigned ones in int64. Nothing waits for the device, and what
    is launched depends on shapes alone, so that a CUDA graph may contain it once it is compiled.
    """
    n, n_regions = observed.shape
    with torch.cuda.device(observed.get_device()):
        _draw[(n * triton.cdiv(n_regions, _REGIONS),)](
            *(donors, weights, ends, fractions.contiguous(), seeds, mean_depth, coverage.contiguous()),
            *(*table_words(observed.device), observed, depth, n, n_regions, least_known),
            **_OPTIONS,
        )


def deviate(
    mean: Tensor,
    variance: Tensor,
    tissue: Tensor,
    size: Tensor,
    seeds: Tensor,
    limits: tuple[float, float],
    tails: tuple[float, float, float],
    drawn: Tensor,
) -> None:
    """Fill ``drawn``, float32 [n, n_regions], contiguous, as `methmix.mixtures.drawn_donors.draw_donors` does.

    It draws the deviations alone. ``tissue`` is int32, and ``seeds`` as in `draw`, as are waiting and CUDA graphs.
    """
    n, n_regions = drawn.shape
    with torch.cuda.device(drawn.get_device()):
        _deviate[(n * triton.cdiv(n_regions, _REGIONS),)](
            *(mean.contiguous(), variance.contiguous(), tissue, size, seeds, table_words(drawn.device)[1]),
            *(drawn, n, n_regions, *limits, *tails),
            **_OPTIONS,
        )


@triton.jit
def _hash(value):  # type: ignore[no-untyped-def]
    value = (value ^ (value >> 30)) * _FIRST
    value = (value ^ (value >> 27)) * _SECOND
    return value ^ (value >> 31)


@triton.jit
def _normal(bits, quantiles, wanted):  # type: ignore[no-untyped-def]
    """Turn random bits into normal deviates, as `methmix.mixtures.poisson.deviates` does; 0 where not wanted."""
    index = (bits >> _NORMAL_SHIFT).to(tl.int32)
    low = tl.load(quantiles + index, mask=wanted, other=0.0)
    high = tl.load(quantiles + index + 1, mask=wanted, other=0.0)
    within = (bits & _NORMAL_MASK).to(tl.int32).to(tl.float32) * _PER_WITHIN
    return low + within * (high - low)


@triton.jit
def _counts(mean, bits, choice, aliases, quantiles):  # type: ignore[no-untyped-def]
    """Draw counts, as `methmix.mixtures.poisson.counts` does; each way reads its table only where it is wanted."""
    few = mean < _MEAN
    place = tl.minimum(tl.sqrt_rn(mean), _ROOT) * _PER_ROOT
    below = place.to(tl.int32)
    base = below.to(tl.float32)
    chance = tl.div_rn(place * place - base * base, 2.0 * base + 1.0)
    upper = choice.to(tl.int32).to(tl.float32) * _PER_CHOICE < chance
    slot = (bits >> _THRESHOLD_BITS).to(tl.int32)
    index = ((below + upper.to(tl.int32)) << _SLOT_BITS) + slot
    word = tl.load(aliases + index, mask=few, other=0).to(tl.uint32, bitcast=True)
    own = (bits & _THRESHOLD_MASK) < (word >> _SLOT_BITS)
    drawn = tl.where(own, slot, (word & _SLOT_MASK).to(tl.int32)).to(tl.float32)
    deviate = _normal(bits, quantiles, mean >= _MEAN)
    skewed = tl.sqrt_rn(tl.maximum(mean - _ROUNDING, 0.0)) * deviate
    skewed += (deviate * deviate - 1.0) * _SIXTH
    return tl.where(few, drawn, (mean + skewed + 0.5).to(tl.int32).to(tl.float32))


# Not specialised on the sizes: another batch or reference needs no other code. The mixtures of one block of regions
# follow each other, since they have donors in common, which are then still in the cache.
@triton.jit(do_not_specialize=["n", "n_regions"])
def _draw(  # type: ignore[no-untyped-def]
    donors,
    weights,
    ends,
    fractions,
    seeds,
    mean_depth,
    coverage,
    aliases,
    quantiles,
    observed,
    depth,
    n,
    n_regions,
    least_known,
):
    program = tl.program_id(0)
    i = program % n
    place = program // n * _BLOCK + tl.arange(0, _BLOCK)
    inside = place < n_regions
    mixed = tl.zeros([_BLOCK], tl.float32)
    known = tl.zeros([_BLOCK], tl.float32)
    for k in range(tl.load(ends + i), tl.load(ends + i + 1)):
        weight = tl.load(weights + k)
        own = tl.load(fractions + tl.load(donors + k).to(tl.int64) * n_regions + place, mask=inside, other=0.0)
        # NaN does not equal itself.
        known += tl.where(own == own, weight, 0.0)
        mixed += tl.where(own == own, weight * own, 0.0)
    enough = known >= least_known
    reads = tl.where(enough, tl.load(mean_depth + i) * tl.load(coverage + place, mask=inside, other=0.0), 0.0)
    fraction = tl.where(enough, tl.minimum(tl.div_rn(mixed, tl.where(enough, known, 1.0)), 1.0), 0.0)
    first = tl.load(seeds + i).to(tl.uint64, bitcast=True) + (2 * place + 1).to(tl.uint64) * _GOLDEN
    bits = _hash(first)
    choice = _hash(first + _GOLDEN)
    methylated = _counts(
        reads * fraction, bits.to(tl.uint32), (choice & _CHOICE_MASK).to(tl.uint32), aliases, quantiles
    )
    others = _counts(
        reads * (1.0 - fraction),
        (bits >> 32).to(tl.uint32),
        (choice >> _CHOICE_SHIFT).to(tl.uint32),
        aliases,
        quantiles,
    )
    reads = methylated + others
    row = i.to(tl.int64) * n_regions
    tl.store(depth + row + place, reads, mask=inside)
    missing = tl.full([_BLOCK], float("nan"), tl.float32)
    methylation = tl.where(reads > 0.0, tl.div_rn(methylated, tl.maximum(reads, 1.0)), missing)
    tl.store(observed + row + place, methylation, mask=inside)


@triton.jit(do_not_specialize=["n", "n_regions"])
def _deviate(  # type: ignore[no-untyped-def]
    mean,
    variance,
    tissue,
    size,
    seeds,
    quantiles,
    drawn,
    n,
    n_regions,
    lowest,
    highest,
    tail_1,
    tail_3,
    tail_5,
):
    program = tl.program_id(0)
    i = program % n
    place = program // n * _BLOCK + tl.arange(0, _BLOCK)
    inside = place < n_regions
    row = tl.load(tissue + i).to(tl.int64) * n_regions
    m = tl.minimum(tl.maximum(tl.load(mean + row + place, mask=inside, other=0.5), lowest), highest)
    spread = tl.sqrt(tl.load(variance + row + place, mask=inside, other=0.0))
    random = _hash(tl.load(seeds + i).to(tl.uint64, bitcast=True) + (place + 1).to(tl.uint64) * _GOLDEN)
    z = _normal((random >> 32).to(tl.uint32), quantiles, inside)
    square = z * z
    heavy_tailed = ((square * tail_5 + tail_3) * square + tail_1) * z
    # Odds of being unmethylated, times what the deviation changes them by.
    odds = (1.0 / m - 1.0) * tl.exp(-tl.load(size + i) * spread / (m * (1.0 - m)) * heavy_tailed)
    tl.store(drawn + i.to(tl.int64) * n_regions + place, 1.0 / (1.0 + odds), mask=inside)
