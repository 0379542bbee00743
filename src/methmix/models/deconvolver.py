"""The model of an arm: one of two heads on one of two backbones."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from methmix.contributions import Decomposition
from methmix.models.backbone import Features
from methmix.models.heads import Backbone, SigmoidHead, TwoStageHead
from methmix.models.intervals import STRATA, strata
from methmix.models.losses import weighted
from methmix.models.prediction import Prediction
from methmix.tissue_profiles import Profiles

# Least proportion of a tissue that is the background of the others.
BACKGROUND = 0.5
N_CIRCUMSTANCES = 3
# Mean depth from which on more reads say no more: donors differ by much more than reads err, and no training is so deep
# that the network would know what to make of them.
_DEEPEST = 1000.0
# Least median of the misfit, and least ratio of its limit to it.
_LEAST_MISFIT, _LEAST_MARGIN = 0.05, 1.1


class Limits(nn.Module):
    """Limit of detection and limit of the misfit, infinite until calibrated (`methmix.models.calibration`).

    The limit of detection of a tissue is the exponential of a linear function of `_circumstances`, times a factor of
    the mixture's stratum, without or with a `BACKGROUND`. The limit of the misfit, which few mixtures of the model's
    tissues alone exceed, and its median are quadratic in the noise of the reads and linear in the concentration of the
    mixture: the more of it comes from one donor, the more does its misfit depend on that one.
    """

    coefficients: Tensor
    factors: Tensor
    misfit_curve: Tensor
    misfit_median: Tensor
    most_noise: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("coefficients", torch.zeros(N_CIRCUMSTANCES + 1))
        self.register_buffer("factors", torch.full((len(STRATA) + 1, 2), torch.inf))
        self.register_buffer("misfit_curve", torch.tensor([torch.inf, 0.0, 0.0, 0.0]))
        # Noise of the reads beyond which the misfit is not known.
        self.register_buffer("most_noise", torch.tensor(0.0))
        self.register_buffer("misfit_median", torch.tensor([torch.inf, 0.0, 0.0, 0.0]))

    def of_detection(self, features: Features, depth: Tensor) -> Tensor:
        """Compute the limit of detection, [batch, n_tissues]; infinity where it is not known."""
        logarithm = self.coefficients[0] + circumstances(features, depth) @ self.coefficients[1:]
        return logarithm.exp() * self.factors[strata(depth), with_background(features).long()][:, None]

    def of_misfit(self, features: Features, depth: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the median and the limit of the misfit of mixtures of depth [batch, n_regions]; [batch] each.

        With a part of the regions the misfit varies more around its median, by the root of their number.
        """
        given = conditions(features, depth)
        expected, whole = (line[0] + given @ line[1:] for line in (self.misfit_median, self.misfit_curve))
        # Two lines cross somewhere, beyond what they were fitted to.
        expected = expected.clamp(min=_LEAST_MISFIT)
        whole = torch.maximum(whole, expected * _LEAST_MARGIN)
        limit = expected + (whole - expected) / _observed(depth).sqrt()
        # Before the calibration it is infinite.
        known = torch.isfinite(whole) & (given[:, 0] <= self.most_noise)
        return torch.where(known, expected, torch.inf), torch.where(known, limit, torch.inf)


def conditions(features: Features, depth: Tensor) -> Tensor:
    """Collect what the misfit of a mixture depends on, [batch, 3]: noise of the reads, its square, concentration.

    The noise is that of the regions with reads.
    """
    assert features.proportions is not None  # for the type checker
    noise = noise_of_reads(depth) * _observed(depth).sqrt()
    return torch.stack([noise, noise.square(), features.proportions.square().sum(dim=1)], dim=1)


def circumstances(features: Features, depth: Tensor) -> Tensor:
    """Collect what a limit of detection depends on, [batch, n_tissues, `N_CIRCUMSTANCES`].

    The standard error of the tissue, the noise of the reads, and the largest proportion in the mixture.
    """
    assert features.error is not None and features.proportions is not None  # for the type checker
    error = features.error.log()
    largest = features.proportions.amax(dim=1, keepdim=True).expand_as(error)
    noise = noise_of_reads(depth).log()[:, None].expand_as(error)
    return torch.stack([error, noise, largest], dim=2)


def with_background(features: Features) -> Tensor:
    """Mark the mixtures in which one tissue has at least `BACKGROUND`, [batch]."""
    assert features.proportions is not None  # for the type checker
    return features.proportions.amax(dim=1) >= BACKGROUND


def _observed(depth: Tensor) -> Tensor:
    """Compute the part of the regions that have reads, [batch]."""
    return (depth > 0).float().mean(dim=1).clamp(min=1 / depth.shape[1])


def noise_of_reads(depth: Tensor) -> Tensor:
    """Compute ``1 / sqrt(mean depth)``, [batch], of depth [batch, n_regions]."""
    return depth.mean(dim=1).clamp(min=1e-3).rsqrt()


def _informative(depth: Tensor) -> Tensor:
    """Scale the depth of mixtures that are deeper than `_DEEPEST` on average, [batch, n_regions], down to that."""
    return depth * (_DEEPEST / depth.mean(dim=1, keepdim=True)).clamp(max=1)


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
        if self.limits is not None and self.head.intervals is not None:
            names |= {"error", "misfit", "rmse"}
            names |= {"low", "high"} if self.head.intervals.calibrated else set()
            names |= {"limit"} if bool(torch.isfinite(self.limits.factors).any()) else set()
            names |= {"misfit_limit", "effect"} if bool(torch.isfinite(self.limits.misfit_curve).all()) else set()
        return frozenset(names)

    def forward(self, methylation: Tensor, depth: Tensor | None = None, profiles: Profiles | None = None) -> Features:
        """Map mixtures, [batch, n_regions], to features; methylation is NaN where missing, which is where depth is 0.

        ``profiles`` replace the model's own; in training by those without the donors in the mixtures.
        """
        return self.features(*self.given(methylation, depth, profiles))

    def given(
        self, methylation: Tensor, depth: Tensor | None = None, profiles: Profiles | None = None
    ) -> tuple[Tensor, ...]:
        """Compute of mixtures what does not depend on what is trained; arguments as for `forward`, of which it is part.

        The rest is the same operations on tensors of the same shapes for every batch of one size.
        """
        return self.backbone.given(methylation, None if depth is None else _informative(depth), profiles)

    def features(self, *given: Tensor) -> Features:
        """Compute the rest of `forward`."""
        features: Features = self.backbone(*given)
        return features

    def decomposition(self, methylation: Tensor, depth: Tensor) -> Decomposition | None:
        """Take the least squares of mixtures apart by region; None for a model without any."""
        return self.backbone.decomposition(methylation, _informative(depth))

    def loss(
        self, methylation: Tensor, true: Tensor, depth: Tensor | None = None, profiles: Profiles | None = None
    ) -> dict[str, Tensor]:
        """Compute the loss of a batch and its terms, named as in `methmix.models.losses.LOSSES`; see `forward`."""
        return self.loss_of(self(methylation, depth, profiles), true)

    def loss_of(self, features: Features, true: Tensor) -> dict[str, Tensor]:
        """Compute the loss of a batch and its terms from its features."""
        return weighted(self.head.scored(features, true), self.weights)

    def infer(self, methylation: Tensor, depth: Tensor | None = None) -> Prediction[Tensor]:
        """Predict mixtures, [batch, n_regions].

        A mixture whose misfit exceeds its limit casts doubt on all that is said of it: intervals and presence
        probabilities become less certain by misfit / limit, as what is foreign does not average out over regions. What
        would be detected in it is not known.
        """
        features = self(methylation, depth)
        if self.limits is None or self.profiles is None or depth is None:
            return self.head.infer(features)
        depth = _informative(depth)
        expected, misfit_limit = self.limits.of_misfit(features, depth)
        doubt = (features.misfit / misfit_limit).clamp(min=1)
        found = self.head.infer(features, strata(depth), doubt)
        return replace(
            found,
            error=features.error,
            limit=self.limits.of_detection(features, depth).masked_fill(doubt[:, None] > 1, torch.inf),
            misfit=features.misfit,
            misfit_limit=misfit_limit,
            effect=features.misfit / expected,
            rmse=(methylation - found.proportions @ self.profiles.mean).square_().nanmean(dim=1).sqrt(),
        )


def n_parameters(model: nn.Module) -> int:
    """Count the trained numbers of a model."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
