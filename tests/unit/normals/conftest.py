from types import SimpleNamespace

import numpy as np
import pytest
import torch

from methmix.normals.panel import Controls, make_panel

N_REGIONS, N_TISSUES = 150, 3
TISSUES = ["tumour", "liver", "lung"]


def plasma(rng, n, depth=80, shift=0.0):
    """Draw people of one laboratory: a mean, three directions of variation, and reads."""
    fixed = np.random.default_rng(5)
    mean = fixed.beta(0.5, 0.5, N_REGIONS) * 0.8 + 0.1
    directions = fixed.standard_normal((3, N_REGIONS)) * 0.03
    people = np.clip(mean + shift + rng.standard_normal((n, 3)) @ directions, 0.01, 0.99)
    reads = rng.poisson(depth, people.shape)
    return rng.binomial(reads, people), reads


def profiles():
    return np.random.default_rng(6).beta(0.4, 0.4, (N_TISSUES, N_REGIONS))


def donors(tissue, rng):
    return np.clip(profiles()[tissue] + 0.02 * rng.standard_normal((len(tissue), N_REGIONS)), 0, 1)


def fractions(methylated, depth):
    values = np.divide(methylated, depth, out=np.full(depth.shape, np.nan), where=depth > 0)
    return torch.from_numpy(values), torch.from_numpy(depth.astype(float))


def made(n=30, seed=1, patients=()):
    rng = np.random.default_rng(seed)
    methylated, depth = plasma(rng, n)
    controls = Controls([f"c{row}" for row in range(n)], methylated, depth, patients)
    attributes = {
        "columns": [0, 1, 2], "background": ["blood"], "background_composition": [1.0], "model": "m", "genome": "hg38",
        "commit": "unknown", "versions": {},
    }  # fmt: skip

    def pure(tissue, rng):
        return donors(tissue, rng), np.ones(len(tissue))

    panel = make_panel(controls, torch.from_numpy(profiles()), TISSUES, pure, 0.3, rng, attributes)
    return SimpleNamespace(controls=controls, panel=panel)


@pytest.fixture(scope="package")
def lab():
    return made()
