"""A backbone with the reference's profiles: least squares first, then a small network that corrects them."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from methmix.config.arm import ReferenceBackboneSettings
from methmix.contributions import Decomposition
from methmix.least_squares import Solution, regress
from methmix.models.backbone import BatchNorm1d, Dropout, Features
from methmix.tissue_profiles import Profiles, similarity

# Least proportion of a tissue before its correction, which multiplies it.
_LEAST = 0.003
_FEATURES = 17
# The few features that are logarithms or quotients are far out for mixtures of one tissue.
_FARTHEST = 8.0


class TissueReadout(nn.Linear):
    """A linear map from the features of a tissue to named numbers, which begin at the values given.

    What has been learnt stays as it is when the map is fitted anew (`methmix.models.refit`): ``change``, weights and
    bias of each number, is added to it.
    """

    change: Tensor

    def __init__(self, n_features: int, initial: Mapping[str, float]) -> None:
        super().__init__(n_features, len(initial))
        self._names = tuple(initial)
        self.register_buffer("change", torch.zeros(len(initial), n_features + 1))
        nn.init.zeros_(self.weight)
        with torch.no_grad():
            self.bias.copy_(torch.tensor(list(initial.values())))

    def forward(self, hidden: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        """Map [batch, n_tissues, n_features] to [batch, n_tissues] each."""
        weight, bias = self.weight + self.change[:, :-1], self.bias + self.change[:, -1]
        return dict(zip(self._names, nn.functional.linear(hidden, weight, bias).unbind(dim=2), strict=True))

    def learnt(self, name: str) -> Tensor:
        """Give weights and bias of one of the numbers as they were learnt, [n_features + 1]."""
        row = self._names.index(name)
        return torch.cat([self.weight[row], self.bias[row : row + 1]]).detach()

    def fit(self, name: str, weights: Tensor) -> None:
        """Replace weights and bias of one of the numbers."""
        self.change[self._names.index(name)] = weights.to(self.change) - self.learnt(name)


class ReferenceBackbone(nn.Module):
    """Features of each tissue: its least-squares proportion and error, the proportions of similar tissues, the mixture.

    Every tissue has the same small network, which sees its own features and, twice, a summary of the others'.
    """

    mean: Tensor
    spread: Tensor
    noise: Tensor
    similarity: Tensor

    def __init__(self, settings: ReferenceBackboneSettings, profiles: Profiles) -> None:
        super().__init__()
        self._least_squares = settings.least_squares
        for name in ("mean", "spread", "noise"):
            self.register_buffer(name, getattr(profiles, name))
        self.register_buffer("similarity", similarity(profiles.mean.double()).float())
        self.n_features = settings.head_size
        self.normalise = BatchNorm1d(_FEATURES)
        self.enter = nn.Linear(_FEATURES, self.n_features)
        self.rounds = nn.ModuleList([nn.Linear(4 * self.n_features, self.n_features) for _ in range(2)])
        self.dropout = Dropout(settings.dropout)

    @property
    def profiles(self) -> Profiles:
        """Profiles of the tissues."""
        return Profiles(self.mean, self.spread, self.noise)

    def readout(self, **initial: float) -> TissueReadout:
        """Make the map that reads named numbers off the features; they begin at the values given."""
        return TissueReadout(self.n_features, initial)

    def given(self, methylation: Tensor, depth: Tensor | None, profiles: Profiles | None) -> tuple[Tensor, ...]:
        """Solve the least squares of mixtures, for `forward`; arguments as for `Deconvolver.forward`."""
        assert depth is not None  # for the type checker: without it there are no reads
        settings = self._least_squares
        with torch.no_grad():
            solution = regress(self._used(profiles), methylation, depth, *settings.options).solution()
            # Without reads nothing is known, but no proportion is off by more than all.
            error = solution.standard_error.float().clamp(max=1)
            return self._features(solution, depth), solution.proportions.float(), error, solution.misfit.float()

    def decomposition(self, methylation: Tensor, depth: Tensor) -> Decomposition:
        """Take the least squares of mixtures apart by region; arguments as for `Deconvolver.forward`."""
        with torch.no_grad():
            regression = regress(self._used(None), methylation, depth, *self._least_squares.options)
            return Decomposition(regression, depth.shape[1])

    def _used(self, profiles: Profiles | None) -> Profiles:
        used = profiles or self.profiles
        return used if self._least_squares.errors_in_variables else used.exact()

    def forward(self, features: Tensor, proportions: Tensor, error: Tensor, misfit: Tensor) -> Features:
        """Map what the least squares give, [batch, n_tissues, n_features] first, to features."""
        n, n_tissues, _ = features.shape
        hidden = self.normalise(features.flatten(0, 1)).clamp(-_FARTHEST, _FARTHEST).unflatten(0, (n, n_tissues))
        hidden = torch.relu(self.enter(hidden))
        for step in self.rounds:
            weighted = proportions[:, :, None] * hidden
            context = [weighted.sum(dim=1, keepdim=True), hidden.mean(dim=1, keepdim=True)]
            seen = [hidden, *(part.expand_as(hidden) for part in context), self.similarity @ weighted]
            hidden = hidden + self.dropout(torch.relu(step(torch.cat(seen, dim=2))))
        return Features(hidden, proportions.clamp(min=_LEAST), error, misfit)

    def _features(self, solution: Solution, depth: Tensor) -> Tensor:
        """Compute what the network sees of each tissue, float32 [batch, n_tissues, n_features]."""
        proportions = solution.proportions
        similar = proportions @ self.similarity.double().T
        of_tissue = [
            proportions,
            (proportions + 2e-3).log(),
            solution.unconstrained.clamp(-0.2, 1),
            solution.standard_error.log(),
            (solution.unconstrained / solution.standard_error).clamp(-10, 30),
            solution.kkt_multiplier.clamp(max=20),
            similar,
            (similar + 1e-3).log(),
            # With few tissues present, a proportion is more precise than among all that are possible.
            (proportions / solution.active_set_error).clamp(max=30).sqrt(),
            solution.active_set_error.clamp(max=0.05).log(),
        ]
        largest = proportions.sort(dim=1, descending=True).values
        largest = nn.functional.pad(largest, (0, max(0, 5 - proportions.shape[1])))
        of_mixture = [
            (depth.mean(dim=1).double() + 1e-3).log(),
            (solution.misfit + 1e-6).log(),
            *largest[:, :5:2].unbind(dim=1),
            1 - largest[:, :5].sum(dim=1),
            (proportions > 0.005).sum(dim=1).double(),
        ]
        whole = [value[:, None].expand_as(proportions) for value in of_mixture]
        return torch.stack([*of_tissue, *whole], dim=2).float()
