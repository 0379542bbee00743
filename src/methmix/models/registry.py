"""From the configuration of an arm to its model."""

import torch

from methmix.config.arm import ArmSettings, OriginalLossSettings, SparseArm
from methmix.least_squares import Profiles
from methmix.models.backbone import MlpBackbone
from methmix.models.deconvolver import Deconvolver
from methmix.models.heads import Backbone, SigmoidHead, TwoStageHead
from methmix.models.losses import TERMS
from methmix.models.reference_backbone import ReferenceBackbone


def build_model(arm: ArmSettings, profiles: torch.Tensor, seed: int, tissues: Profiles | None = None) -> Deconvolver:
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
        What the backbone ``reference`` knows; by default the profiles, as if they were exact.
    """
    sparse = arm if isinstance(arm, SparseArm) and arm.model.use_two_stage else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = _backbone(arm, profiles, tissues)
        head = SigmoidHead(backbone) if sparse is None else _two_stages(sparse, backbone)
    return Deconvolver(backbone, head, _weights(arm, head))


def _backbone(arm: ArmSettings, profiles: torch.Tensor, tissues: Profiles | None) -> Backbone:
    one_stage = isinstance(arm, SparseArm) and not arm.model.use_two_stage
    if arm.model.backbone == "mlp" or one_stage:
        return MlpBackbone(profiles, arm.model.hidden_sizes, arm.model.dropout)
    mean = profiles.float()
    return ReferenceBackbone(arm.model, tissues or Profiles(mean, torch.zeros_like(mean), torch.zeros_like(mean)))


def _two_stages(arm: SparseArm, backbone: Backbone) -> TwoStageHead:
    return TwoStageHead(
        backbone,
        threshold=arm.model.presence_threshold,
        label_threshold=arm.loss.presence_threshold,
        teacher_forcing=arm.loss.teacher_forcing,
    )


def _weights(arm: ArmSettings, head: SigmoidHead | TwoStageHead) -> dict[str, float]:
    """Give the weight of each term of the loss: ``<term>_weight`` of the configuration."""
    settings = arm.loss if isinstance(head, TwoStageHead) else OriginalLossSettings(mse_weight=arm.loss.mse_weight)
    weights = {name: getattr(settings, f"{name}_weight") for name in TERMS if hasattr(settings, f"{name}_weight")}
    if head.intervals is None:
        # Of the backbone reference alone.
        weights.pop("mae", None)
        return weights
    # Intervals learn from nothing else, and what they learn from does not change: their weight has no effect.
    return {**weights, "interval": 1.0}
