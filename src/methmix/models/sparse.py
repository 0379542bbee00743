"""The sparse model: first which tissues are present, then their proportions."""

import torch
from torch import Tensor, nn

from methmix.config.arm import SparseLossSettings, TwoStageMlpSettings
from methmix.least_squares import Profiles
from methmix.models.backbone import Backbone
from methmix.models.gate import open_gate, share_mass
from methmix.models.inference import Inference
from methmix.models.losses import LossParts, mse_loss, presence_loss, relative_mse, sparsity_loss


class SparseModel(nn.Module):
    """Two heads on one backbone; a gate of the first decides which tissues share the mass in the second.

    The gate masks mass, not logits: a tissue that is gated out is exactly 0 and the others share everything.
    Where no tissue reaches the threshold, the most probable one gets all.

    In training the proportion head meets the gate of inference, opened also for the tissues that are really there:
    it learns what to give to a tissue that the gate lets through wrongly, and no present tissue is left without
    a gradient. The presence head learns from its own labels only, so that its output remains a probability.

    Parameters
    ----------
    settings
        Sizes, dropout and the threshold of the gate.
    loss
        Weights and the label threshold.
    profiles
        Methylation of each tissue in the training donors, shape [n_tissues, n_regions], 0-1, no NaN.
    """

    def __init__(self, settings: TwoStageMlpSettings, loss: SparseLossSettings, profiles: Tensor) -> None:
        super().__init__()
        self.presence_threshold = settings.gate_threshold
        self.loss_settings = loss
        self.backbone = Backbone(profiles, settings.hidden_sizes, settings.dropout)
        n_tissues = profiles.shape[0]
        self.proportion_head = nn.Linear(self.backbone.n_features, n_tissues)
        self.presence_head = nn.Linear(self.backbone.n_features, n_tissues)

    def forward(self, methylation: Tensor) -> tuple[Tensor, Tensor]:
        """Map methylation [batch, n_regions], NaN where missing, to the logits of both heads.

        Returns
        -------
        proportion_logits, presence_logits
            Each [batch, n_tissues].
        """
        features = self.backbone(methylation)
        return self.proportion_head(features), self.presence_head(features)

    def gate(self, presence_logits: Tensor) -> Tensor:
        """Tell which tissues get mass; boolean [batch, n_tissues], at least one a mixture."""
        return open_gate(presence_logits, self.presence_threshold)

    def loss(
        self, methylation: Tensor, true: Tensor, depth: Tensor | None = None, profiles: Profiles | None = None
    ) -> LossParts:
        """Compute the loss of a batch; ``true`` is [batch, n_tissues], depth and profiles are not used."""
        proportion_logits, presence_logits = self(methylation)
        gate = self.gate(presence_logits)
        if self.loss_settings.teacher_forcing:
            gate = gate | (true > 0)
        mse = mse_loss(share_mass(proportion_logits, gate), true)
        presence = presence_loss(presence_logits, true, self.loss_settings.label_threshold)
        sparsity = sparsity_loss(presence_logits)
        total = (
            self.loss_settings.mse_weight * relative_mse(mse, true)
            + self.loss_settings.presence_weight * presence
            + self.loss_settings.sparsity_weight * sparsity
        )
        return LossParts(total=total, mse=mse, presence=presence, sparsity=sparsity, interval=torch.zeros_like(mse))

    def infer(self, methylation: Tensor, depth: Tensor | None = None) -> Inference:
        """Predict mixtures; depth is not used."""
        share_logits, presence_logits = self(methylation)
        shares = share_mass(share_logits, self.gate(presence_logits))
        return Inference(shares, torch.sigmoid(presence_logits), share_logits)
