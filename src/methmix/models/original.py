"""The original model of the design note: MLP, sigmoid, L1 normalisation."""

import torch
from torch import Tensor, nn

from methmix.config.arm import MlpSettings, OriginalLossSettings
from methmix.least_squares import Profiles
from methmix.models.backbone import Backbone
from methmix.models.inference import Inference
from methmix.models.losses import LossParts, mse_loss, relative_mse

# Keeps the L1 normalisation defined where all sigmoids underflow.
_TINY = 1e-12


class OriginalModel(nn.Module):
    """Proportions as sigmoids divided by their sum.

    A sigmoid is never 0, so every tissue gets something: this is what the sparse model is compared with.

    Parameters
    ----------
    settings
        Sizes and dropout.
    loss
        Weight of the loss.
    profiles
        Methylation of each tissue in the training donors, shape [n_tissues, n_regions], 0-1, no NaN.
    """

    def __init__(self, settings: MlpSettings, loss: OriginalLossSettings, profiles: Tensor) -> None:
        super().__init__()
        self.mse_weight = loss.mse_weight
        self.backbone = Backbone(profiles, settings.hidden_sizes, settings.dropout)
        self.proportion_head = nn.Linear(self.backbone.n_features, profiles.shape[0])

    def forward(self, methylation: Tensor) -> Tensor:
        """Map methylation [batch, n_regions], NaN where missing, to proportions [batch, n_tissues]."""
        weights = torch.sigmoid(self.proportion_head(self.backbone(methylation)))
        return weights / weights.sum(dim=1, keepdim=True).clamp(min=_TINY)

    def loss(
        self, methylation: Tensor, true: Tensor, depth: Tensor | None = None, profiles: Profiles | None = None
    ) -> LossParts:
        """Compute the loss of a batch; ``true`` is [batch, n_tissues], depth and profiles are not used."""
        mse = mse_loss(self(methylation), true)
        none = torch.zeros_like(mse)
        return LossParts(
            total=self.mse_weight * relative_mse(mse, true), mse=mse, presence=none, sparsity=none, interval=none
        )

    def infer(self, methylation: Tensor, depth: Tensor | None = None) -> Inference:
        """Predict mixtures; this model has no presence probability, and depth is not used."""
        return Inference(self(methylation))
