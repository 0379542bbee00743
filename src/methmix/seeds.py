"""One master seed, from which every stage and every step derives its own independent stream.

A stream is named by what it is for, never by what was drawn before it: drawing more numbers in one place
changes nothing elsewhere, and a training that is resumed at step 700 draws what it would have drawn.
"""

import zlib

import numpy as np


def sequence(seed: int, *names: str | int) -> np.random.SeedSequence:
    """Derive the seed sequence of the stream that ``names`` describe.

    Parameters
    ----------
    seed
        Master seed, >= 0.
    *names
        Words and counters, for example ``"mixtures", "phase2", "test", 3``.
    """
    key = [zlib.crc32(name.encode()) if isinstance(name, str) else int(name) for name in names]
    return np.random.SeedSequence(entropy=seed, spawn_key=key)


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Make the random generator of the stream that ``names`` describe (see `sequence`)."""
    return np.random.Generator(np.random.SFC64(sequence(seed, *names)))


def integer(seed: int, *names: str | int) -> int:
    """Derive a 63-bit seed for a library that takes an integer (torch)."""
    return int(sequence(seed, *names).generate_state(1, np.uint64)[0] >> 1)
