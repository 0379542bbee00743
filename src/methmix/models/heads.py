"""From features to proportions: sigmoids divided by their sum, or two stages with a gate between them."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from methmix.models.backbone import Features, MlpBackbone
from methmix.models.gate import open_gate, proportion_if_admitted, share_mass
from methmix.models.intervals import Place, ProportionIntervals
from methmix.models.losses import Scored
from methmix.models.prediction import Prediction
from methmix.models.reference_backbone import ReferenceBackbone

Backbone = MlpBackbone | ReferenceBackbone

# Keeps the L1 normalisation defined where all sigmoids underflow.
_TINY = 1e-12
# Nearest to 0 and 1 that a least-squares proportion is taken to be on the logit scale.
_EDGE = 1e-4


class SigmoidHead(nn.Module):
    """Head of the original model: sigmoids divided by their sum, so that no proportion is exactly 0."""

    intervals: ProportionIntervals | None = None
    # There is no gate.
    threshold: float | None = None

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.readout = backbone.readout(proportion=0.0)

    def forward(self, features: Features) -> Tensor:
        """Estimate proportions [batch, n_tissues]."""
        logits = self.readout(features.hidden)["proportion"]
        if features.proportions is not None:
            logits = torch.logit(features.proportions, eps=_EDGE) + logits
        weights = torch.sigmoid(logits)
        proportions: Tensor = weights / weights.sum(dim=1, keepdim=True).clamp(min=_TINY)
        return proportions

    def scored(self, features: Features, true: Tensor) -> Scored:
        """Collect what the loss of a batch is computed from."""
        return Scored(true, self(features))

    def infer(
        self, features: Features, stratum: Tensor | None = None, doubt: Tensor | None = None
    ) -> Prediction[Tensor]:
        """Predict mixtures."""
        return Prediction(self(features))


class Stages(NamedTuple):
    """Logits of both stages, and which tissues get mass; [batch, n_tissues]."""

    proportion_logits: Tensor
    presence_logits: Tensor
    gate: Tensor


class TwoStageHead(nn.Module):
    """Head of the sparse model: first which tissues are present, then their proportions.

    A gate of the first stage decides among which tissues the second divides the mass. It masks mass, not logits: a
    tissue that is gated out is exactly 0. Where no tissue reaches the threshold, the most probable one gets all.

    In training the second stage meets the gate of inference, opened also for the tissues that are truly present
    (``teacher_forcing``): it learns what to give to a false positive of the gate, and no present tissue is left without
    a gradient. The first stage learns from its own labels only.

    On a backbone that solves least squares, the second stage corrects its proportions, and there are intervals.
    """

    prior: Tensor

    def __init__(self, backbone: Backbone, threshold: float, label_threshold: float, teacher_forcing: bool) -> None:
        super().__init__()
        self.threshold = threshold
        self.label_threshold = label_threshold
        self._teacher_forcing = teacher_forcing
        # A tissue is absent rather than present, and its least-squares proportion needs no correction.
        self.readout = backbone.readout(presence=-1.0, proportion=0.0)
        self.intervals = ProportionIntervals(backbone.n_features) if backbone.profiles is not None else None
        # Logit of the presence of a tissue before anything is known of a mixture.
        self.register_buffer("prior", torch.zeros(()))

    def forward(self, features: Features) -> Stages:
        """Read both stages off the features."""
        read = self.readout(features.hidden)
        logits = read["proportion"]
        if features.proportions is not None:
            logits = features.proportions.log() + logits
        return Stages(logits, read["presence"], open_gate(read["presence"], self.threshold))

    def scored(self, features: Features, true: Tensor) -> Scored:
        """Collect what the loss of a batch is computed from."""
        stages = self(features)
        gate = stages.gate | (true > 0) if self._teacher_forcing else stages.gate
        ends = None if self.intervals is None else self.intervals.ends(self.place(features, stages))
        proportions = share_mass(stages.proportion_logits, gate)
        return Scored(true, proportions, stages.presence_logits, self.label_threshold, ends)

    def infer(
        self, features: Features, stratum: Tensor | None = None, doubt: Tensor | None = None
    ) -> Prediction[Tensor]:
        """Predict mixtures; with the stratum of each, [batch], also intervals (`methmix.models.intervals`).

        Where ``doubt``, [batch], is more than 1, intervals are so many times wider, and the logits of presence as many
        times nearer to those before anything is known of a mixture.
        """
        stages = self(features)
        proportions, logits = share_mass(stages.proportion_logits, stages.gate), stages.presence_logits
        low, high = None, None
        if self.intervals is not None and stratum is not None and doubt is not None:
            low, high = self.intervals(self.place(features, stages), proportions, stratum, doubt)
            logits = self.prior + (logits - self.prior) / doubt[:, None]
        return Prediction(proportions, torch.sigmoid(logits), stages.proportion_logits, low, high)

    def place(self, features: Features, stages: Stages) -> Place:
        """Collect what intervals are placed by; only with least squares."""
        assert features.error is not None  # for the type checker: there are no intervals otherwise
        # Intervals learn from features and proportions that they do not change.
        centre = proportion_if_admitted(stages.proportion_logits, stages.gate).detach()
        return Place(features.hidden.detach(), centre, features.error)
