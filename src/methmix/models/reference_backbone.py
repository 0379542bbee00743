"""A backbone that knows the reference: least squares first, then what only learning can tell."""

import torch
from torch import Tensor, nn

from methmix.config.arm import ReferenceBackboneSettings
from methmix.least_squares import Profiles, Solution, deconvolve
from methmix.models.backbone import BatchNorm1d, Dropout

# Least share that a tissue has before it is corrected, so that it can be given one.
_LEAST = 0.003
_FEATURES = 17
# The few features that are logarithms or quotients are far out for mixtures of one tissue.
_FARTHEST = 8.0


class ReferenceBackbone(nn.Module):
    """Features of each tissue: its least-squares share, its error, the shares of similar tissues, and the mixture.

    Every tissue has the same small network, which sees its own features and, twice, a summary of the others'.

    Parameters
    ----------
    settings
        How the least squares are done, ``head_size`` and dropout.
    profiles
        Of the training donors.
    """

    mean: Tensor
    spread: Tensor
    noise: Tensor
    similarity: Tensor

    def __init__(self, settings: ReferenceBackboneSettings, profiles: Profiles) -> None:
        super().__init__()
        self._settings = settings
        self.register_buffer("mean", profiles.mean)
        self.register_buffer("spread", profiles.spread)
        self.register_buffer("noise", profiles.noise)
        self.register_buffer("similarity", _similarity(profiles.mean.double()).float())
        self.n_features = settings.head_size
        self.normalise = BatchNorm1d(_FEATURES)
        self.enter = nn.Linear(_FEATURES, self.n_features)
        self.rounds = nn.ModuleList([nn.Linear(4 * self.n_features, self.n_features) for _ in range(2)])
        self.dropout = Dropout(settings.dropout)

    def forward(
        self, methylation: Tensor, depth: Tensor, profiles: Profiles | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Map mixtures to features.

        Parameters
        ----------
        methylation, depth
            [batch, n_regions]; methylation is NaN where depth is 0.
        profiles
            Profiles to use instead of the own; in training those without the donors in the mixtures.

        Returns
        -------
        features, shares, error, misfit
            [batch, n_tissues, n_features]; least-squares shares, at least a little above 0, and standard errors,
            [batch, n_tissues]; mean square of the residuals, [batch].
        """
        with torch.no_grad():
            used = profiles or Profiles(self.mean, self.spread, self.noise)
            if not self._settings.errors_in_variables:
                used = used.exact()
            solution = deconvolve(
                used, methylation, depth, self._settings.markers_per_tissue, self._settings.sum_to_one
            )
            features = self._features(solution, depth)
        n, n_tissues, _ = features.shape
        shares = solution.shares.float()
        hidden = self.normalise(features.flatten(0, 1)).clamp(-_FARTHEST, _FARTHEST).unflatten(0, (n, n_tissues))
        hidden = torch.relu(self.enter(hidden))
        for step in self.rounds:
            weighted = shares[:, :, None] * hidden
            context = [weighted.sum(dim=1, keepdim=True), hidden.mean(dim=1, keepdim=True)]
            seen = [hidden, *(part.expand_as(hidden) for part in context), self.similarity @ weighted]
            hidden = hidden + self.dropout(torch.relu(step(torch.cat(seen, dim=2))))
        # Without reads nothing is known, but no share is off by more than all.
        return hidden, shares.clamp(min=_LEAST), solution.error.float().clamp(max=1), solution.misfit.float()

    def _features(self, solution: Solution, depth: Tensor) -> Tensor:
        """Give what the network sees of each tissue, float32 [batch, n_tissues, n_features]."""
        shares = solution.shares
        alike = shares @ self.similarity.double().T
        of_tissue = [
            shares,
            (shares + 2e-3).log(),
            solution.free.clamp(-0.2, 1),
            solution.error.log(),
            (solution.free / solution.error).clamp(-10, 30),
            solution.dual.clamp(max=20),
            alike,
            (alike + 1e-3).log(),
            # With few tissues there, a share is better known than among all that could be.
            (shares / solution.held).clamp(max=30).sqrt(),
            solution.held.clamp(max=0.05).log(),
        ]
        largest = shares.sort(dim=1, descending=True).values
        largest = nn.functional.pad(largest, (0, max(0, 5 - shares.shape[1])))
        of_mixture = [
            (depth.mean(dim=1).double() + 1e-3).log(),
            (solution.misfit + 1e-6).log(),
            largest[:, 0],
            largest[:, 2],
            largest[:, 4],
            1 - largest[:, :5].sum(dim=1),
            (shares > 0.005).sum(dim=1).double(),
        ]
        whole = [value[:, None].expand_as(shares) for value in of_mixture]
        return torch.stack([*of_tissue, *whole], dim=2).float()


def _similarity(profiles: Tensor) -> Tensor:
    """Weigh the other tissues of each by how like their profiles are, [n_tissues, n_tissues], rows sum to 1."""
    distance = torch.cdist(profiles, profiles).square()
    away = distance + torch.diag_embed(torch.full_like(distance.diagonal(), torch.inf))
    width = away.min(dim=1).values.median().clamp(min=1e-12)
    return torch.softmax(-away / width, dim=1)
