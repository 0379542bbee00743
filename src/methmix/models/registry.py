"""From the configuration of an arm to its model."""

import torch

from methmix.config.arm import (
    ArmSettings,
    MlpSettings,
    SparseArm,
    TwoStageMlpSettings,
    TwoStageReferenceSettings,
)
from methmix.least_squares import Profiles
from methmix.models.informed import InformedOriginalModel, InformedSparseModel
from methmix.models.original import OriginalModel
from methmix.models.sparse import SparseModel

Model = OriginalModel | SparseModel | InformedOriginalModel | InformedSparseModel


def build_model(arm: ArmSettings, profiles: torch.Tensor, seed: int, tissues: Profiles | None = None) -> Model:
    """Build the model of an arm with its initial weights.

    A sparse arm with ``use_two_stage: false`` gives exactly the original model, weights included.

    Parameters
    ----------
    arm
        Configuration.
    profiles
        Methylation of each tissue in the training donors, shape [n_tissues, n_regions], 0-1, no NaN.
    seed
        Seed of the initial weights.
    tissues
        What the backbone ``reference`` knows; by default the profiles, held for sure.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(arm.model, MlpSettings):
            if isinstance(arm, SparseArm) and isinstance(arm.model, TwoStageMlpSettings) and arm.model.use_two_stage:
                return SparseModel(arm.model, arm.loss, profiles)
            return OriginalModel(arm.model, arm.loss, profiles)
        mean = profiles.float()
        known = tissues or Profiles(mean, torch.zeros_like(mean), torch.zeros_like(mean))
        if isinstance(arm, SparseArm) and isinstance(arm.model, TwoStageReferenceSettings):
            return InformedSparseModel(arm.model, arm.loss, known)
        return InformedOriginalModel(arm.model, arm.loss, known)


def n_parameters(model: torch.nn.Module) -> int:
    """Count the trained numbers of a model."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
