"""One component that the reference does not have, estimated from all samples of a run together.

As MetDecode does (Passemiers et al. 2024, Bioinformatics 40:btae522): given its profile, the shares of all components
are a non-negative least squares; given the shares, the profile is a weighted least squares of what the tissues leave,
kept between 0 and 1. The two take turns, in passes over the samples.

Any profile with some of the tissues mixed into it explains the samples as well, with larger shares; a small cost of the
unknown share decides for the smallest ones. What samples share for another reason, such as one person's blood in all of
them, looks the same as an unknown component.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple

import numpy as np
import numpy.typing as npt

from methmix import cli, nnls
from methmix.errors import InputError

Array = npt.NDArray[np.floating]

FEWEST_SAMPLES = 3
_ROUNDS = 20
_BLOCK = 128
# A value is off by its reads, and by what donors differ by, which is worth as much as so many reads.
_READS_OF_DONORS = 25.0
# What an unknown share of 1 must explain, as half the mean square of methylation.
_COST = 2e-4
# Where to begin: what the tissues leave, as if the unknown were so large a share.
_FIRST_SHARE = 0.05


class Unknown(NamedTuple):
    """Share of the unknown component in each sample, [n]; its methylation, [n_regions], 0-1."""

    shares: npt.NDArray[np.float64]
    profile: npt.NDArray[np.float64]


class Spool:
    """Samples in a temporary file without a name, of 8 bytes a region, to be gone through several times."""

    def __init__(self, file: IO[bytes], n_regions: int) -> None:
        self._file, self._n_regions = file, n_regions
        self._n = 0

    @classmethod
    @contextmanager
    def open(cls, n_regions: int) -> Iterator["Spool"]:
        """Open a spool in the folder for temporary files (``TMPDIR``)."""
        with tempfile.TemporaryFile(prefix="methmix.") as file:
            yield cls(file, n_regions)

    def __len__(self) -> int:
        return self._n

    def append(self, methylation: Array, depth: Array) -> None:
        """Add samples, [n, n_regions] each."""
        self._file.seek(0, 2)
        for pair in zip(methylation, depth, strict=True):
            self._file.write(np.stack(pair).astype(np.float32).data)
        self._n += len(methylation)

    def blocks(self) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
        """Yield methylation and depth of all samples, some at a time."""
        self._file.seek(0)
        bytes_of_sample = 8 * self._n_regions
        while content := self._file.read(_BLOCK * bytes_of_sample):
            pairs = np.frombuffer(content, dtype=np.float32).reshape(-1, 2, self._n_regions)
            yield pairs[:, 0], pairs[:, 1]


def estimate(profiles: Array, samples: Spool) -> Unknown:
    """Estimate the unknown component.

    Parameters
    ----------
    profiles
        Methylation of the tissues, [n_tissues, n_regions], without NaN.
    samples
        All of the run.

    Raises
    ------
    InputError
        There are fewer than three samples.
    """
    if len(samples) < FEWEST_SAMPLES:
        raise InputError(
            f"--unknown: {len(samples)} samples are too few to tell what they have in common",
            f"give at least {FEWEST_SAMPLES} with enough reads, or leave --unknown out",
        )
    found = _round(profiles, samples, None)
    for _ in cli.progress(range(_ROUNDS), "unknown component", _ROUNDS):
        found = _round(profiles, samples, found.profile)
    return found


def _round(profiles: Array, samples: Spool, unknown: Array | None) -> Unknown:
    """Go through the samples once: give the shares of the unknown component, and its profile from what they leave."""
    components = profiles if unknown is None else np.vstack([profiles, unknown])
    cost = None if unknown is None else np.append(np.zeros(len(profiles)), _COST)
    above, below = np.zeros(profiles.shape[1]), np.zeros(profiles.shape[1])
    shares = []
    for methylation, depth in samples.blocks():
        weight = depth / (depth + _READS_OF_DONORS)
        x = nnls.normalise(nnls.weighted_nnls(components, methylation, weight, cost))
        if unknown is None:
            # The tissues explain it as if it were theirs: what they leave is how the unknown one differs.
            x = np.hstack([x * (1 - _FIRST_SHARE), np.full((len(x), 1), _FIRST_SHARE)])
        of_unknown = x[:, -1]
        left = np.nan_to_num(methylation) - (x[:, :-1] @ profiles)
        above += of_unknown @ (weight * left)
        below += of_unknown**2 @ weight
        shares.append(of_unknown)
    profile = np.divide(above, below, out=np.full_like(above, 0.5), where=below > 1e-9)
    return Unknown(np.concatenate(shares), profile.clip(0, 1))
