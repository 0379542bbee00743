"""Profiles shrunken towards what the tissues have in common, as few donors of each tissue are known.

Most regions are alike in all tissues, a few are not at all: on the logit scale a tissue's deviation from the median of
the tissues is taken to be from a mixture of normal distributions of mean 0, whose widths and weights are estimated from
all regions (empirical Bayes by expectation maximisation; Efron 2010, Large-Scale Inference, ch. 1). The mean of a few
donors is then replaced by the expectation of the tissue's methylation given that mean. Least squares on expectations
need no correction for the error of the profiles, which on means of donors would attenuate the estimates (regression
calibration; Carroll et al. 2006, Measurement Error in Nonlinear Models, ch. 4): what remains unknown of a tissue only
adds to how its donors differ.
"""

import torch
from torch import Tensor

from methmix.reference.profiles import DonorSums
from methmix.tissue_profiles import Profiles

_RANGE = (0.004, 0.996)
# Variances on the logit scale that the estimation begins with, from tissues alike to tissues in opposite states.
_WIDTHS = (0.1, 0.5, 2.0)
_ROUNDS = 60
# Entries that the prior is estimated from at most.
_ENOUGH = 400_000
_LEAST_VARIANCE = 1e-6


class ShrunkenProfiles:
    """Shrunken profiles of all training donors, and of all but one; arguments as for `DonorSums`."""

    def __init__(self, donors: DonorSums) -> None:
        self._donors = donors
        deviation, sampling, self._centre = _deviations(donors.all, None)
        step = max(1, deviation.numel() // _ENOUGH)
        self._weights, self._variances = _fit(deviation[:, ::step].flatten(), sampling[:, ::step].flatten())
        self.all = self._shrunken(donors.all)

    def without(self, tissues: list[int], donors: list[int]) -> Profiles:
        """Make the profiles, [n, n_regions], of some tissues, each without one donor (its row)."""
        return self._shrunken(self._donors.without(tissues, donors))

    def _shrunken(self, profiles: Profiles) -> Profiles:
        deviation, sampling, centre = _deviations(profiles, self._centre)
        expected, square = torch.zeros_like(deviation), torch.zeros_like(deviation)
        for weight, mean, variance in _posterior(deviation, sampling, self._weights, self._variances):
            expected += weight * mean
            square += weight * (mean.square() + variance)
        mean = torch.sigmoid(centre + expected)
        left = (square - expected.square()).clamp(min=0) * (mean * (1 - mean)).square()
        return Profiles(mean.float(), profiles.spread + left.float(), torch.zeros_like(profiles.noise))


def _deviations(profiles: Profiles, centre: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Compute deviations from the centre, by default the median, and their sampling variance, on the logit scale."""
    m = profiles.mean.clamp(*_RANGE)
    logits = torch.logit(m)
    centre = logits.quantile(0.5, dim=0) if centre is None else centre
    return logits - centre, (profiles.noise / (m * (1 - m)).square()).clamp(min=_LEAST_VARIANCE), centre


def _posterior(
    deviation: Tensor, sampling: Tensor, weights: Tensor, variances: Tensor
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Give, for each normal distribution, its posterior weight, and the mean and variance of the deviation under it."""
    scores = [
        torch.log(weight) - 0.5 * (torch.log(sampling + variance) + deviation.square() / (sampling + variance))
        for weight, variance in zip(weights, variances, strict=True)
    ]
    total = torch.logsumexp(torch.stack(scores), dim=0)
    found = []
    for score, variance in zip(scores, variances, strict=True):
        trusted = variance / (sampling + variance)
        found.append(((score - total).exp(), deviation * trusted, sampling * trusted))
    return found


def _fit(deviation: Tensor, sampling: Tensor) -> tuple[Tensor, Tensor]:
    """Estimate weights and variances of the normal distributions that the deviations are from."""
    deviation, sampling = deviation.double(), sampling.double()
    variances = torch.tensor(_WIDTHS, dtype=torch.float64, device=deviation.device).square()
    weights = torch.full_like(variances, 1 / len(_WIDTHS))
    for _ in range(_ROUNDS):
        parts = _posterior(deviation, sampling, weights, variances)
        sums = torch.stack([weight.sum() for weight, _, _ in parts]).clamp(min=1e-12)
        squares = torch.stack([(weight * (mean.square() + left)).sum() for weight, mean, left in parts])
        weights, variances = sums / sums.sum(), (squares / sums).clamp(min=_LEAST_VARIANCE)
    return weights.float(), variances.float()
