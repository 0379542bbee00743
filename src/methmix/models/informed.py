"""The sparse model on a backbone that knows the reference: least squares first, then what only learning can tell."""

import torch
from torch import Tensor, nn

from methmix.config.arm import SparseLossSettings, SparseModelSettings
from methmix.least_squares import Profiles, Solution, deconvolve
from methmix.models.backbone import BatchNorm1d, Dropout
from methmix.models.losses import (
    LossParts,
    mse_loss,
    presence_loss,
    relative_absolute_error,
    relative_mse,
    sparsity_loss,
)
from methmix.models.sparse import open_gate, share_mass

# Least share that a tissue behind the gate has before it is corrected, so that it can be given one.
_LEAST = 0.003
_FEATURES = 15
# The few features that are logarithms or quotients are far out for mixtures of one tissue.
_FARTHEST = 8.0


class InformedSparseModel(nn.Module):
    """Presence and proportions from the least-squares shares, their errors, and the shares of similar tissues.

    Every tissue has the same small network, which sees its own features and, twice, a summary of the others'; it says
    how likely the tissue is there and by how much its share is to be corrected. The gate is that of `SparseModel`.

    Parameters
    ----------
    settings
        ``head_size`` and the threshold of the gate; the sizes of the other backbone are not used.
    loss
        Weights and the label threshold.
    profiles
        Of the training donors.
    """

    mean: Tensor
    spread: Tensor
    noise: Tensor
    similarity: Tensor

    def __init__(self, settings: SparseModelSettings, loss: SparseLossSettings, profiles: Profiles) -> None:
        super().__init__()
        self.presence_threshold = settings.presence_threshold
        self.loss_settings = loss
        self.register_buffer("mean", profiles.mean)
        self.register_buffer("spread", profiles.spread)
        self.register_buffer("noise", profiles.noise)
        self.register_buffer("similarity", _similarity(profiles.mean).float())
        size = settings.head_size
        self.normalise = BatchNorm1d(_FEATURES)
        self.enter = nn.Linear(_FEATURES, size)
        self.rounds = nn.ModuleList([nn.Linear(4 * size, size) for _ in range(2)])
        self.dropout = Dropout(settings.dropout)
        self.leave = nn.Linear(size, 2)
        nn.init.zeros_(self.leave.weight)
        # A tissue is absent rather than present, and its share needs no correction.
        with torch.no_grad():
            self.leave.bias.copy_(torch.tensor([-1.0, 0.0]))

    def forward(self, methylation: Tensor, depth: Tensor, profiles: Profiles | None = None) -> tuple[Tensor, Tensor]:
        """Map mixtures to the logits of shares and of presence, each [batch, n_tissues].

        Parameters
        ----------
        methylation, depth
            [batch, n_regions]; methylation is NaN where depth is 0.
        profiles
            Profiles to use instead of the model's own; in training those without the donors in the mixtures.
        """
        with torch.no_grad():
            solution = deconvolve(profiles or Profiles(self.mean, self.spread, self.noise), methylation, depth)
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
        presence, correction = self.leave(hidden).unbind(dim=2)
        return shares.clamp(min=_LEAST).log() + correction, presence

    def gate(self, presence_logits: Tensor) -> Tensor:
        """Tell which tissues get mass; boolean [batch, n_tissues], at least one a mixture."""
        return open_gate(presence_logits, self.presence_threshold)

    def loss(
        self, methylation: Tensor, true: Tensor, depth: Tensor | None = None, profiles: Profiles | None = None
    ) -> LossParts:
        """Compute the loss of a batch; ``true`` is [batch, n_tissues]."""
        share_logits, presence_logits = self(methylation, depth, profiles)
        shares = share_mass(share_logits, self.gate(presence_logits) | (true > 0))
        settings = self.loss_settings
        mse = mse_loss(shares, true)
        presence = presence_loss(presence_logits, true, settings.presence_threshold)
        sparsity = sparsity_loss(presence_logits)
        total = (
            settings.mse_weight * relative_mse(mse, true)
            + settings.mae_weight * relative_absolute_error(shares, true)
            + settings.presence_weight * presence
            + settings.sparsity_weight * sparsity
        )
        return LossParts(total=total, mse=mse, presence=presence, sparsity=sparsity)

    def infer(self, methylation: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
        """Predict proportions and presence probabilities, each [batch, n_tissues]."""
        share_logits, presence_logits = self(methylation, depth)
        return share_mass(share_logits, self.gate(presence_logits)), torch.sigmoid(presence_logits)

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
        ]
        largest = shares.sort(dim=1, descending=True).values
        of_mixture = [
            (depth.double().mean(dim=1) + 1e-3).log(),
            (solution.misfit + 1e-6).log(),
            largest[:, 0],
            largest[:, 2],
            largest[:, 4 % shares.shape[1]],
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
