"""Mixing and reads on a CPU, in one pass that stays in the nearest cache.

What `methmix.mixtures.reads` says in tensors is here in loops, each simple enough to become vector instructions, over
chunks of regions. Compiled at the first use and kept beside this file, or in the user's cache.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import torch
from numba import float32, int32, uint32, uint64

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
)

_CHUNK = 512
_GOLDEN = 0x9E3779B97F4A7C15
_ROOT, _MEAN = float32(LARGEST_ROOT), float32(LARGEST_MEAN)
_OF_THRESHOLD, _OF_NORMAL = 2**THRESHOLD_BITS - 1, WITHIN - 1
# Coefficients of 2**x for x from -1/2 to 1/2, from the highest power: the Taylor series, right to 2e-8.
_POWERS = tuple(float32(np.log(2) ** k / math.factorial(k)) for k in range(7, -1, -1))
_LEAST_EXPONENT, _EXPONENT_BITS, _EXPONENT_BIAS = float32(-126), 23, 127


def in_threads(n: int, work: Callable[[slice], None]) -> None:
    """Do work on ``n`` rows, divided among as many threads as torch computes with."""
    workers = max(1, min(torch.get_num_threads(), n))
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, [slice(n * k // workers, n * (k + 1) // workers) for k in range(workers)]))


@numba.njit(inline="always")
def _hash(value):  # type: ignore[no-untyped-def]
    value = (value ^ (value >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> uint64(27))) * uint64(0x94D049BB133111EB)
    return value ^ (value >> uint64(31))


@numba.njit(inline="always")
def _normal(n, bits, quantiles, index, low, high, deviates):  # type: ignore[no-untyped-def]
    """Turn random bits[:n] into normal deviates, as `methmix.mixtures.poisson.deviates` does."""
    for j in range(n):
        index[j] = int32(bits[j] >> uint32(32 - NORMAL_BITS))
    for j in range(n):
        low[j] = quantiles[uint32(index[j])]
    for j in range(n):
        high[j] = quantiles[uint32(index[j] + 1)]
    for j in range(n):
        within = float32(int32(bits[j] & uint32(_OF_NORMAL))) * float32(1 / WITHIN)
        deviates[j] = low[j] + within * (high[j] - low[j])


@numba.njit(inline="always")
def _counts(n, mean, bits, choice, aliases, quantiles, room, counts):  # type: ignore[no-untyped-def]
    """Draw counts[:n] of mean[:n], as `methmix.mixtures.poisson.counts` does."""
    index, word, low, high, deviates = room
    # Counted, as the order of a minimum of floats matters to the compiler.
    n_few = int32(0)
    for j in range(n):
        n_few += int32(mean[j] < _MEAN)
    if n_few > 0:
        for j in range(n):
            root = np.sqrt(mean[j])
            place = (root if root < _ROOT else _ROOT) * float32(PER_ROOT)
            below = int32(place)
            base = float32(below)
            chance = (place * place - base * base) / (float32(2) * base + float32(1))
            upper = float32(int32(choice[j])) * float32(2.0**-CHOICE_BITS) < chance
            index[j] = ((below + int32(upper)) << int32(SLOT_BITS)) + int32(bits[j] >> uint32(THRESHOLD_BITS))
        for j in range(n):
            word[j] = aliases[uint32(index[j])]
        for j in range(n):
            slot, alias = int32(bits[j] >> uint32(THRESHOLD_BITS)), int32(word[j] & uint32(SLOTS - 1))
            own = (bits[j] & uint32(_OF_THRESHOLD)) < (word[j] >> uint32(SLOT_BITS))
            counts[j] = float32(slot if own else alias)
    if n_few < n:
        _normal(n, bits, quantiles, index, low, high, deviates)
        for j in range(n):
            skewed = np.sqrt(mean[j] - float32(ROUNDING)) * deviates[j]
            skewed += (deviates[j] * deviates[j] - float32(1)) * float32(1 / 6)
            rounded = float32(int32(mean[j] + skewed + float32(0.5)))
            if mean[j] >= _MEAN:
                counts[j] = rounded


@numba.njit(nogil=True, cache=True)
def normal_deviates(seeds, quantiles, deviates):  # type: ignore[no-untyped-def]
    """Fill ``deviates``, float32 [n, n_regions], as `methmix.mixtures.reads.normal_deviates` does."""
    bits, index = np.empty(_CHUNK, np.uint32), np.empty(_CHUNK, np.int32)
    low, high = np.empty(_CHUNK, np.float32), np.empty(_CHUNK, np.float32)
    n_regions = deviates.shape[1]
    for i in range(len(seeds)):
        for start in range(0, n_regions, _CHUNK):
            n = min(_CHUNK, n_regions - start)
            first = seeds[i] + uint64(start) * uint64(_GOLDEN)
            for j in range(n):
                bits[j] = uint32(_hash(first + uint64(j + 1) * uint64(_GOLDEN)) >> uint64(32))
            _normal(n, bits, quantiles, index, low, high, deviates[i, start : start + n])


@numba.njit(nogil=True, cache=True, error_model="numpy")
def deviate(  # type: ignore[no-untyped-def]
    mean, odds, deviation, tissue, size, others, foreign, ends, seeds, tails, quantiles, drawn
):
    """Fill ``drawn``, float32 [n, n_regions], as `methmix.mixtures.drawn_donors.draw_donors` does.

    ``odds`` of being unmethylated and ``deviation`` on the logit scale are of the tissues, [n_tissues, n_regions].
    Donor i has ``foreign`` proportions of the tissues ``others``, those from ``ends[i]`` to ``ends[i + 1]``.
    """
    deviates, rest = np.empty(_CHUNK, np.float32), np.empty(_CHUNK, np.float32)
    exponent = np.empty(_CHUNK, np.int32)
    # The same bits read as numbers are powers of 2.
    power = exponent.view(np.float32)
    bits, index = np.empty(_CHUNK, np.uint32), np.empty(_CHUNK, np.int32)
    low, high = np.empty(_CHUNK, np.float32), np.empty(_CHUNK, np.float32)
    n_regions = drawn.shape[1]
    for i in range(len(seeds)):
        scale, pure = -size[i] * float32(1 / np.log(2)), float32(1)
        for k in range(ends[i], ends[i + 1]):
            pure -= foreign[k]
        for start in range(0, n_regions, _CHUNK):
            n = min(_CHUNK, n_regions - start)
            first = seeds[i] + uint64(start) * uint64(_GOLDEN)
            for j in range(n):
                bits[j] = uint32(_hash(first + uint64(j + 1) * uint64(_GOLDEN)) >> uint64(32))
            _normal(n, bits, quantiles, index, low, high, deviates)
            own, base = deviation[tissue[i], start : start + n], odds[tissue[i], start : start + n]
            for j in range(n):
                square = deviates[j] * deviates[j]
                heavy_tailed = ((square * tails[2] + tails[1]) * square + tails[0]) * deviates[j]
                x = max(scale * own[j] * heavy_tailed, _LEAST_EXPONENT)
                x = min(x, -_LEAST_EXPONENT)
                nearest = int32(x + float32(_EXPONENT_BIAS) + float32(0.5))
                rest[j] = x - float32(nearest - _EXPONENT_BIAS)
                exponent[j] = nearest << _EXPONENT_BITS
            for j in range(n):
                x, factor = rest[j], _POWERS[0]
                for coefficient in _POWERS[1:]:
                    factor = factor * x + coefficient
                drawn[i, start + j] = pure / (float32(1) + base[j] * power[j] * factor)
            for k in range(ends[i], ends[i + 1]):
                other = mean[others[k], start : start + n]
                for j in range(n):
                    drawn[i, start + j] += foreign[k] * other[j]


@numba.njit(nogil=True, cache=True, error_model="numpy")
def draw(  # type: ignore[no-untyped-def]
    donors, weights, ends, fractions, least_known, seeds, mean_depth, coverage, aliases, quantiles, observed, depth
):
    """Fill ``observed`` and ``depth``, float32 [n, n_regions].

    Mixture i is of ``weights`` of the rows ``donors`` of ``fractions``, those from ``ends[i]`` to ``ends[i + 1]``.
    """
    mixed, known = np.empty(_CHUNK, np.float32), np.empty(_CHUNK, np.float32)
    mean_0, mean_1 = np.empty(_CHUNK, np.float32), np.empty(_CHUNK, np.float32)
    count_0, count_1 = np.empty(_CHUNK, np.float32), np.empty(_CHUNK, np.float32)
    bits_0, bits_1 = np.empty(_CHUNK, np.uint32), np.empty(_CHUNK, np.uint32)
    choice_0, choice_1 = np.empty(_CHUNK, np.uint32), np.empty(_CHUNK, np.uint32)
    low, high = np.empty(_CHUNK, np.float32), np.empty(_CHUNK, np.float32)
    deviates = np.empty(_CHUNK, np.float32)
    room = (np.empty(_CHUNK, np.int32), np.empty(_CHUNK, np.uint32), low, high, deviates)
    n_regions = fractions.shape[1]
    for i in range(len(seeds)):
        for start in range(0, n_regions, _CHUNK):
            n = min(_CHUNK, n_regions - start)
            for j in range(n):
                mixed[j] = known[j] = float32(0)
            for k in range(ends[i], ends[i + 1]):
                own, weight = fractions[donors[k], start : start + n], weights[k]
                # NaN does not equal itself. In one loop these two would take half as long again.
                for j in range(n):
                    known[j] += weight if own[j] == own[j] else float32(0)
                for j in range(n):
                    mixed[j] += weight * own[j] if own[j] == own[j] else float32(0)
            for j in range(n):
                reads = mean_depth[i] * coverage[start + j] if known[j] >= least_known else float32(0)
                fraction = mixed[j] / known[j]
                fraction = min(fraction, float32(1)) if known[j] >= least_known else float32(0)
                mean_0[j] = reads * fraction
                mean_1[j] = reads * (float32(1) - fraction)
            first = seeds[i] + uint64(2 * start) * uint64(_GOLDEN)
            for j in range(n):
                random = _hash(first + uint64(2 * j + 1) * uint64(_GOLDEN))
                bits_0[j] = uint32(random)
                bits_1[j] = uint32(random >> uint64(32))
            for j in range(n):
                random = _hash(first + uint64(2 * j + 2) * uint64(_GOLDEN))
                choice_0[j] = uint32(random & uint64(2**CHOICE_BITS - 1))
                choice_1[j] = uint32(random >> uint64(64 - CHOICE_BITS))
            _counts(n, mean_0, bits_0, choice_0, aliases, quantiles, room, count_0)
            _counts(n, mean_1, bits_1, choice_1, aliases, quantiles, room, count_1)
            for j in range(n):
                reads = count_0[j] + count_1[j]
                depth[i, start + j] = reads
                observed[i, start + j] = count_0[j] / reads
