"""Profiles of tissues: their methylation, how sure it is, which regions are their markers, and how similar they are."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from methmix.devices import sent

# A marker's score: the distance from the nearest other tissue plus this much of that from their median, in units of the
# standard deviation between donors, whose variance is at least this.
_FROM_MEDIAN, _LEAST_SPREAD = 0.25, 0.003


@dataclass(frozen=True)
class Profiles:
    """Methylation of tissues; float32 tensors, [n_tissues, n_regions] each, without NaN.

    ``mean``, 0-1; ``spread``, the variance between donors of a tissue; ``noise``, the sampling variance of ``mean``, 0
    where it is no estimate (the region was not observed).
    """

    mean: Tensor
    spread: Tensor
    noise: Tensor

    def at(self, regions: Tensor | slice) -> "Profiles":
        """Select regions."""
        return Profiles(self.mean[:, regions], self.spread[:, regions], self.noise[:, regions])

    def of(self, tissues: list[int]) -> "Profiles":
        """Select tissues."""
        rows = sent(tissues, self.mean.device)
        return Profiles(self.mean[rows], self.spread[rows], self.noise[rows])

    def replaced(self, tissues: list[int], others: "Profiles") -> "Profiles":
        """Replace the profiles of n tissues by others, [n, n_regions]."""
        rows = sent(tissues, self.mean.device)
        mean, spread, noise = self.mean.clone(), self.spread.clone(), self.noise.clone()
        mean[rows], spread[rows], noise[rows] = others.mean, others.spread, others.noise
        return Profiles(mean, spread, noise)

    def exact(self) -> "Profiles":
        """Treat the means as exact."""
        return replace(self, noise=torch.zeros_like(self.noise))


def marker_weights(profiles: Profiles, per_tissue: int) -> Tensor:
    """Count the tissues of which each region is among the best markers, [n_regions]; 0 for most regions.

    In a marker of a tissue, its methylation is far from that of all other tissues, relative to the variation between
    donors.
    """
    n = min(per_tissue, profiles.mean.shape[1])
    scale = (_LEAST_SPREAD + profiles.spread.mean(dim=0)).sqrt()
    weights = torch.zeros_like(scale)
    for tissue, mean in enumerate(profiles.mean):
        others = torch.cat([profiles.mean[:tissue], profiles.mean[tissue + 1 :]])
        gap = torch.maximum(mean - others.amax(dim=0), others.amin(dim=0) - mean)
        score = (gap + _FROM_MEDIAN * (mean - others.median(dim=0).values).abs()) / scale
        weights[score.topk(n).indices] += 1
    return weights


def similarity(profiles: Tensor) -> Tensor:
    """Weigh the other tissues of each by the similarity of their profiles, [n_tissues, n_tissues], rows sum to 1."""
    distance = torch.cdist(profiles, profiles).square()
    away = distance + torch.diag_embed(torch.full_like(distance.diagonal(), torch.inf))
    width = away.min(dim=1).values.median().clamp(min=1e-12)
    return torch.softmax(-away / width, dim=1)
