"""From the configuration of an arm to its model."""

import torch

from methmix.config.arm import INTERVAL_WEIGHT, ArmSettings, MlpSettings, OriginalLossSettings, SparseArm
from methmix.models.backbone import MlpBackbone
from methmix.models.deconvolver import Deconvolver
from methmix.models.heads import Backbone, SigmoidHead, TwoStageHead
from methmix.models.losses import TERMS
from methmix.models.reference_backbone import ReferenceBackbone
from methmix.tissue_profiles import Profiles


def build_model(arm: ArmSettings, profiles: torch.Tensor, seed: int, tissues: Profiles | None = None) -> Deconvolver:
    """Build the model of an arm with its initial weights.

    A sparse arm with ``use_two_stage: false`` gives exactly the original model, weights included. ``profiles`` are the
    methylation of each tissue in the training donors, [n_tissues, n_regions], 0-1, no NaN; the backbone ``reference``
    uses ``tissues`` instead or, by default, takes them as exact.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone: Backbone
        if isinstance(arm.model, MlpSettings):
            backbone = MlpBackbone(profiles, arm.model.hidden_sizes, arm.model.dropout)
        else:
            mean = profiles.float()
            exact = Profiles(mean, torch.zeros_like(mean), torch.zeros_like(mean))
            backbone = ReferenceBackbone(arm.model, tissues or exact)
        head: SigmoidHead | TwoStageHead
        if isinstance(arm, SparseArm) and arm.model.use_two_stage:
            head = TwoStageHead(backbone, arm.model.gate_threshold, arm.loss.label_threshold, arm.loss.teacher_forcing)
        else:
            head = SigmoidHead(backbone)
    return Deconvolver(backbone, head, _weights(arm.loss, head))


def _weights(settings: OriginalLossSettings, head: SigmoidHead | TwoStageHead) -> dict[str, float]:
    """Collect the weight of each term of the loss: ``<term>_weight`` of the configuration."""
    weights = {name: getattr(settings, f"{name}_weight") for name in TERMS if hasattr(settings, f"{name}_weight")}
    if head.intervals is not None:
        return {**weights, "interval": INTERVAL_WEIGHT}
    # The original model has the terms of the original arm; the absolute error is of the backbone reference alone.
    left_out = {"mae"} if isinstance(head, TwoStageHead) else TERMS.keys() - {"mse"}
    return {name: weight for name, weight in weights.items() if name not in left_out}
