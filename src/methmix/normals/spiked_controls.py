"""Known amounts of a tissue in real controls: a part of each region's reads is replaced by reads of a donor of it."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def thinned(methylated: Counts, depth: Counts, kept: Array, rng: np.random.Generator) -> tuple[Counts, Counts]:
    """Keep each read with a probability, broadcast to [n, n_regions]; returns methylated and depth."""
    left = rng.binomial(depth, kept)
    return rng.hypergeometric(methylated, depth - methylated, left), left


def spiked(
    methylated: Counts, depth: Counts, fractions: Array, donors: Array, rng: np.random.Generator
) -> tuple[Counts, Counts]:
    """Replace reads of samples.

    Parameters
    ----------
    methylated, depth
        Counts, [n, n_regions].
    fractions
        Probability that a read is replaced, [n]: the true amount.
    donors
        Methylation of what is spiked, 0-1, [n, n_regions]; NaN where it is not known: there nothing can be read, and
        the depth becomes 0.

    Returns
    -------
    tuple
        Methylated and depth, [n, n_regions].
    """
    known = np.isfinite(donors)
    foreign = rng.binomial(depth, fractions[:, None])
    own = rng.hypergeometric(methylated, depth - methylated, depth - foreign)
    mixed = own + rng.binomial(foreign, np.where(known, donors, 0))
    # Without any spike the control is as it was, also where the donor is not known.
    lost = ~known & (fractions[:, None] > 0)
    return np.where(lost, 0, mixed), np.where(lost, 0, depth)
