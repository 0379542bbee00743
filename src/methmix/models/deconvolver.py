"""The model of an arm: one of two heads on one of two backbones."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from methmix.least_squares import Profiles
from methmix.models.backbone import Features
from methmix.models.heads import Backbone, SigmoidHead, TwoStageHead
from methmix.models.losses import weighted
from methmix.models.prediction import Prediction


class Limits(nn.Module):
    """Limit of detection and limit of the misfit, infinite until calibrated (`methmix.models.calibration`).

    A tissue is detected in most mixtures from ``detection_ratio`` standard errors on. Few mixtures of the model's
    tissues alone exceed ``a + b / sqrt(mean depth)`` in misfit, whose coefficients are ``misfit_curve``.
    """

    detection_ratio: Tensor
    misfit_curve: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("detection_ratio", torch.tensor(torch.inf))
        self.register_buffer("misfit_curve", torch.tensor([torch.inf, 0.0]))

    def of_misfit(self, depth: Tensor) -> Tensor:
        """Compute the limit of the misfit, [batch], of mixtures of depth [batch, n_regions]."""
        return self.misfit_curve[0] + self.misfit_curve[1] * noise_of_reads(depth)


def noise_of_reads(depth: Tensor) -> Tensor:
    """Compute what the misfit's limit depends on, ``1 / sqrt(mean depth)``, [batch], of depth [batch, n_regions]."""
    return depth.mean(dim=1).clamp(min=1e-3).rsqrt()


class Deconvolver(nn.Module):
    """Estimates the proportions of tissues in mixtures; ``weights`` are of the `TERMS` that its loss consists of.

    The backbone maps methylation to features, the head these to proportions. Two stages on least squares also estimate
    intervals, a limit of detection and a goodness of fit.
    """

    def __init__(self, backbone: Backbone, head: SigmoidHead | TwoStageHead, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.weights = dict(weights)
        self.limits = None if head.intervals is None else Limits()

    @property
    def profiles(self) -> Profiles | None:
        """Profiles of the tissues in the model; None for the backbone ``mlp``."""
        return self.backbone.profiles

    @property
    def needs_depth(self) -> bool:
        """Whether the model uses the depth of each region."""
        return self.profiles is not None

    @property
    def estimates(self) -> frozenset[str]:
        """Names of the fields of `Prediction` that this model estimates; a limit only once it is calibrated."""
        names = {"proportions"}
        if isinstance(self.head, TwoStageHead):
            names |= {"presence_probability", "proportion_logits"}
        if self.limits is not None:
            names |= {"low", "high", "error", "misfit", "rmse"}
            finite = {"limit": self.limits.detection_ratio, "misfit_limit": self.limits.misfit_curve}
            names |= {name for name, value in finite.items() if bool(torch.isfinite(value).all())}
        return frozenset(names)

    def forward(self, methylation: Tensor, depth: Tensor | None = None, profiles: Profiles | None = None) -> Features:
        """Map mixtures, [batch, n_regions], to features; methylation is NaN where missing, which is where depth is 0.

        ``profiles`` replace the model's own; in training by those without the donors in the mixtures.
        """
        features: Features = self.backbone(methylation, depth, profiles)
        return features

    def loss(
        self, methylation: Tensor, true: Tensor, depth: Tensor | None = None, profiles: Profiles | None = None
    ) -> dict[str, Tensor]:
        """Compute the loss of a batch and its terms, named as in `methmix.models.losses.LOSSES`; see `forward`."""
        return weighted(self.head.scored(self(methylation, depth, profiles), true), self.weights)

    def infer(self, methylation: Tensor, depth: Tensor | None = None) -> Prediction[Tensor]:
        """Predict mixtures, [batch, n_regions]."""
        features = self(methylation, depth)
        found = self.head.infer(features)
        if self.limits is None or self.profiles is None or depth is None:
            return found
        return replace(
            found,
            error=features.error,
            limit=self.limits.detection_ratio * features.error,
            misfit=features.misfit,
            misfit_limit=self.limits.of_misfit(depth),
            rmse=(methylation - found.proportions @ self.profiles.mean).square_().nanmean(dim=1).sqrt(),
        )


def n_parameters(model: nn.Module) -> int:
    """Count the trained numbers of a model."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
