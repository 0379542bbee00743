"""Both models on the backbone that knows the reference."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from methmix.config.arm import (
    OriginalLossSettings,
    ReferenceBackboneSettings,
    SparseLossSettings,
    TwoStageReferenceSettings,
)
from methmix.least_squares import Profiles
from methmix.models.gate import open_gate, share_if_let_in, share_mass
from methmix.models.inference import Inference
from methmix.models.losses import (
    LossParts,
    mse_loss,
    pinball_loss,
    presence_loss,
    relative_absolute_error,
    relative_mse,
    sparsity_loss,
)
from methmix.models.reference_backbone import ReferenceBackbone

# A 90 % interval goes from the first to the second of these quantiles, or from 0 to the third.
_QUANTILES = (0.05, 0.95, 0.90)
# Presence probability below which 0 belongs to the interval.
_SURE = 0.95


class Checked(NamedTuple):
    """What validation mixtures tell; of each tissue that is there, [n_there], if not said otherwise.

    Parameters
    ----------
    misses
        By how many standard errors the true share lies outside of its interval as learned; < 0 inside.
    ratio
        True share in standard errors.
    called
        Whether the tissue is given mass.
    called_absent
        Whether a tissue that is not there is given mass, [n_absent].
    misfit, noise
        Of each mixture, [batch]; `noise_of_reads`.
    """

    misses: Tensor
    ratio: Tensor
    called: Tensor
    called_absent: Tensor
    misfit: Tensor
    noise: Tensor


def noise_of_reads(depth: Tensor) -> Tensor:
    """Tell what the misfit's limit depends on, ``1 / sqrt(mean depth)``, of depths [batch, n_regions]; [batch]."""
    return depth.mean(dim=1).clamp(min=1e-3).rsqrt()


class InformedOriginalModel(nn.Module):
    """The original model's sigmoid and L1 normalisation on this backbone: what a comparison of backbones needs.

    Parameters
    ----------
    settings, loss, profiles
        As for `ReferenceBackbone` and `OriginalModel`.
    """

    def __init__(self, settings: ReferenceBackboneSettings, loss: OriginalLossSettings, profiles: Profiles) -> None:
        super().__init__()
        self.mse_weight = loss.mse_weight
        self.backbone = ReferenceBackbone(settings, profiles)
        self.proportion_head = nn.Linear(self.backbone.n_features, 1)
        nn.init.zeros_(self.proportion_head.weight)
        nn.init.zeros_(self.proportion_head.bias)

    def forward(self, methylation: Tensor, depth: Tensor, profiles: Profiles | None = None) -> Tensor:
        """Map mixtures to proportions [batch, n_tissues]; arguments as for `ReferenceBackbone`."""
        features, shares, *_ = self.backbone(methylation, depth, profiles)
        weights = torch.sigmoid(torch.logit(shares, eps=1e-4) + self.proportion_head(features)[:, :, 0])
        return weights / weights.sum(dim=1, keepdim=True)

    def loss(
        self, methylation: Tensor, true: Tensor, depth: Tensor | None = None, profiles: Profiles | None = None
    ) -> LossParts:
        """Compute the loss of a batch; ``true`` is [batch, n_tissues]."""
        mse = mse_loss(self(methylation, depth, profiles), true)
        none = torch.zeros_like(mse)
        return LossParts(
            total=self.mse_weight * relative_mse(mse, true), mse=mse, presence=none, sparsity=none, interval=none
        )

    def infer(self, methylation: Tensor, depth: Tensor) -> Inference:
        """Predict mixtures."""
        return Inference(self(methylation, depth))


class InformedSparseModel(nn.Module):
    """How likely each tissue is there, by how much its share is to be corrected, and how sure that share is.

    The gate is that of `SparseModel`. The ends of the interval are quantiles of the true share given that the tissue
    is there, in standard errors of the least squares; they learn from features that they do not change. What donors
    left out of the profiles teach them is then shifted to what validation donors need (`interval_shift`). Two more
    things are of validation mixtures: how many standard errors a share must be to be found (`detection_ratio`), and
    what 1 % of mixtures of nothing but these tissues exceed in misfit, ``a + b / sqrt(mean depth)`` (`misfit_curve`).

    Parameters
    ----------
    settings
        As for `ReferenceBackbone`, and the threshold of the gate.
    loss
        Weights and the label threshold.
    profiles
        Of the training donors.
    """

    interval_shift: Tensor
    detection_ratio: Tensor
    misfit_curve: Tensor

    def __init__(self, settings: TwoStageReferenceSettings, loss: SparseLossSettings, profiles: Profiles) -> None:
        super().__init__()
        self.presence_threshold = settings.gate_threshold
        self.loss_settings = loss
        self.backbone = ReferenceBackbone(settings, profiles)
        self.leave = nn.Linear(self.backbone.n_features, 2)
        self.interval_head = nn.Linear(self.backbone.n_features, len(_QUANTILES))
        self.register_buffer("interval_shift", torch.zeros(()))
        self.register_buffer("detection_ratio", torch.tensor(torch.inf))
        self.register_buffer("misfit_curve", torch.tensor([torch.inf, 0.0]))
        nn.init.zeros_(self.leave.weight)
        # A tissue is absent rather than present, and its share needs no correction.
        with torch.no_grad():
            self.leave.bias.copy_(torch.tensor([-1.0, 0.0]))

    def forward(
        self, methylation: Tensor, depth: Tensor, profiles: Profiles | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Map mixtures to what gate, shares and intervals are made of; arguments as for `ReferenceBackbone`.

        Returns
        -------
        share_logits, presence_logits, quantiles, error, misfit
            [batch, n_tissues]; quantiles is [batch, n_tissues, 3], those of the true share as distances from the share
            in standard errors; misfit is [batch].
        """
        features, shares, error, misfit = self.backbone(methylation, depth, profiles)
        presence, correction = self.leave(features).unbind(dim=2)
        return shares.log() + correction, presence, self.interval_head(features.detach()), error, misfit

    def gate(self, presence_logits: Tensor) -> Tensor:
        """Tell which tissues get mass; boolean [batch, n_tissues], at least one a mixture."""
        return open_gate(presence_logits, self.presence_threshold)

    def loss(
        self, methylation: Tensor, true: Tensor, depth: Tensor | None = None, profiles: Profiles | None = None
    ) -> LossParts:
        """Compute the loss of a batch; ``true`` is [batch, n_tissues]."""
        settings = self.loss_settings
        share_logits, presence_logits, quantiles, error, _ = self(methylation, depth, profiles)
        gate = self.gate(presence_logits)
        shares = share_mass(share_logits, gate | (true > 0) if settings.teacher_forcing else gate)
        mse = mse_loss(shares, true)
        presence = presence_loss(presence_logits, true, settings.label_threshold)
        sparsity = sparsity_loss(presence_logits)
        ends = share_if_let_in(share_logits, gate).detach()[:, :, None] + error[:, :, None] * quantiles
        parts = [pinball_loss(end, true, q) for end, q in zip(ends.unbind(dim=2), _QUANTILES, strict=True)]
        interval = torch.stack(parts).sum()
        total = (
            settings.mse_weight * relative_mse(mse, true)
            + settings.mae_weight * relative_absolute_error(shares, true)
            + settings.presence_weight * presence
            + settings.sparsity_weight * sparsity
            + interval
        )
        return LossParts(total=total, mse=mse, presence=presence, sparsity=sparsity, interval=interval)

    def infer(self, methylation: Tensor, depth: Tensor) -> Inference:
        """Predict mixtures, with intervals: 0 is in one unless the tissue is there for sure."""
        share_logits, presence_logits, quantiles, error, misfit = self(methylation, depth)
        gate, probability = self.gate(presence_logits), torch.sigmoid(presence_logits)
        shares = share_mass(share_logits, gate)
        sure = gate & (probability >= _SURE)
        outwards = self.interval_shift * torch.tensor([-1, 1, 1], device=error.device)
        ends = share_if_let_in(share_logits, gate)[:, :, None] + error[:, :, None] * (quantiles + outwards)
        # The proportion itself is always in its interval.
        low = torch.where(sure, torch.minimum(ends[:, :, 0], shares), 0)
        high = torch.maximum(torch.where(sure, ends[:, :, 1], ends[:, :, 2]), shares)
        return Inference(
            proportions=shares,
            presence_probability=probability,
            share_logits=share_logits,
            low=low.clamp(min=0),
            high=high.clamp(max=1),
            error=error,
            limit=self.detection_ratio * error,
            misfit=misfit,
            misfit_limit=self.misfit_curve[0] + self.misfit_curve[1] * noise_of_reads(depth),
            rmse=(methylation - shares @ self.backbone.mean).square_().nanmean(dim=1).sqrt(),
        )

    def against_truth(self, methylation: Tensor, depth: Tensor, true: Tensor) -> Checked:
        """Hold what the model says of mixtures against their true proportions.

        Parameters
        ----------
        methylation, depth, true
            [batch, n_regions] and [batch, n_tissues].
        """
        share_logits, presence_logits, quantiles, error, misfit = self(methylation, depth)
        gate, there = self.gate(presence_logits), true > 0
        found = (true - share_if_let_in(share_logits, gate)) / error
        low, high, alone = (found[:, :, None] - quantiles).unbind(dim=2)
        sure = gate & (torch.sigmoid(presence_logits) >= _SURE)
        misses = torch.where(sure, torch.maximum(-low, high), alone)
        return Checked(misses[there], (true / error)[there], gate[there], gate[~there], misfit, noise_of_reads(depth))
