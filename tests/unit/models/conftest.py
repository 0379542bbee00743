"""Profiles and mixtures of them that tests of the models share."""

import pytest
import torch

from methmix.tissue_profiles import Profiles

N_TISSUES, N_REGIONS = 5, 40


@pytest.fixture
def profiles():
    return torch.rand(N_TISSUES, N_REGIONS, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def batch(profiles):
    """Mixtures of two tissues, with missing values."""
    true = torch.zeros(30, N_TISSUES)
    rows = torch.arange(30)
    true[rows, rows % N_TISSUES] = 0.7
    true[rows, (rows + 1) % N_TISSUES] = 0.3
    methylation = true @ profiles
    methylation[:, :4] = float("nan")
    return methylation, true


@pytest.fixture
def tissues():
    mean = torch.rand(6, 400, generator=torch.Generator().manual_seed(1))
    return Profiles(mean, torch.full_like(mean, 0.002), torch.full_like(mean, 0.001))


@pytest.fixture
def reads(tissues):
    """Mixtures of three tissues, read with depth 50."""
    generator = torch.Generator().manual_seed(2)
    true = torch.zeros(200, 6)
    for row in range(200):
        true[row, torch.randperm(6, generator=generator)[:3]] = torch.tensor([0.6, 0.35, 0.05])
    depth = torch.full((200, 400), 50.0)
    methylation = torch.binomial(depth, (true @ tissues.mean).clamp(max=1), generator=generator) / depth
    return methylation, true, depth
