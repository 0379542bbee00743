"""From observed methylation to features; and the layers that know of batches divided over processes."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from methmix.models.ranks import current_shard, total
from methmix.tissue_profiles import Profiles


class Features(NamedTuple):
    """What a backbone makes of mixtures: what a head reads, and the estimates of one that solves least squares.

    ``hidden`` is [batch, n_features], or of each tissue, [batch, n_tissues, n_features]. ``proportions``, clamped above
    0 so that they can be corrected, and their standard ``error``, at most 1, are [batch, n_tissues]; ``misfit``, the
    weighted mean square of the residuals, is [batch].
    """

    hidden: Tensor
    proportions: Tensor | None = None
    error: Tensor | None = None
    misfit: Tensor | None = None


class Standardise(nn.Module):
    """Centre each region by the tissues of the reference; a missing value becomes 0, the mean tissue.

    All regions have one scale, the standard deviation between tissues of a typical region: with a scale each, those in
    which tissues hardly differ would be nothing but amplified read noise.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, profiles: Tensor) -> None:
        super().__init__()
        self.register_buffer("centre", profiles.mean(dim=0).float())
        self.register_buffer("scale", profiles.var(dim=0).mean().sqrt().expand(profiles.shape[1]).clone().float())

    def forward(self, methylation: Tensor) -> Tensor:
        """Map methylation [batch, n_regions], NaN where missing, to finite values of the same shape."""
        return torch.addcmul(-self.centre / self.scale, methylation, 1 / self.scale).nan_to_num_(nan=0.0)


class BatchNorm1d(nn.BatchNorm1d):
    """Batch normalisation by the whole batch, also where this process has a shard of it; only with torch's defaults.

    `torch.nn.SyncBatchNorm` would do so on GPUs but refuses tensors on a CPU.
    """

    momentum: float
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def forward(self, values: Tensor) -> Tensor:
        """Normalise values [rows, n_features]; in training, update the running statistics identically on all ranks."""
        shard = current_shard()
        if shard is None or not self.training:
            return super().forward(values)
        # A mixture may have several rows, one for each of its tissues.
        whole = round(len(values) / shard.fraction)
        # The mean first and then the squares around it: their plain sum would lose the variance of a far-off mean.
        mean = total(values.sum(dim=0)) / whole
        centred = values - mean
        variance = total(centred.square().sum(dim=0)) / whole
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (whole / (whole - 1)), self.momentum)
        return centred * torch.rsqrt(variance + self.eps) * self.weight + self.bias


class Dropout(nn.Dropout):
    """Dropout whose mask is that of the whole batch, also where this process has a shard of it.

    All ranks draw the whole mask, each from the same random stream, and take their rows: the mask, and what is drawn
    after it, are those of a single process (on GPUs, of a single GPU of the same model).
    """

    def forward(self, values: Tensor) -> Tensor:
        """Drop values [rows, n_features] in training."""
        shard = current_shard()
        if shard is None or not self.training:
            return super().forward(values)
        return values * super().forward(values.new_ones(shard.whole, *values.shape[1:]))[shard.rows]


class MlpReadout(nn.ModuleDict):
    """One linear map per name from the features of a mixture to one number for each tissue."""

    def forward(self, hidden: Tensor) -> dict[str, Tensor]:
        """Map [batch, n_features] to [batch, n_tissues] each."""
        return {name: linear(hidden) for name, linear in self.items()}


class MlpBackbone(nn.Sequential):
    """Standardised regions -> hidden layers, each linear, batch normalisation, ReLU, dropout."""

    # It uses neither profiles nor depth.
    profiles: Profiles | None = None

    def __init__(self, profiles: Tensor, hidden_sizes: Sequence[int], dropout: float) -> None:
        self.n_tissues, size = profiles.shape
        layers: list[nn.Module] = [Standardise(profiles)]
        for width in hidden_sizes:
            # Batch normalisation has its own shift, so the linear map needs none.
            layers += [nn.Linear(size, width, bias=False), BatchNorm1d(width), nn.ReLU(), Dropout(dropout)]
            size = width
        super().__init__(*layers)
        self.n_features = size

    def given(self, methylation: Tensor, depth: Tensor | None, profiles: Profiles | None) -> tuple[Tensor]:
        """Collect what `forward` is given of mixtures; arguments as for `Deconvolver.forward`."""
        return (methylation,)

    def decomposition(self, methylation: Tensor, depth: Tensor) -> None:
        """Take nothing apart: there are no least squares."""

    def forward(self, methylation: Tensor) -> Features:
        """Map methylation [batch, n_regions], NaN where missing, to features."""
        return Features(super().forward(methylation))  # type: ignore[no-untyped-call]

    def readout(self, **initial: float) -> MlpReadout:
        """Make the maps that read named numbers off the features; they begin at random, not at the values given."""
        # The last one is drawn first: the order of the draws decides the initial weights.
        return MlpReadout({name: nn.Linear(self.n_features, self.n_tissues) for name in reversed(initial)})
