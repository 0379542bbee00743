"""From observed methylation to features."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# A region in which tissues hardly differ must not be blown up to the same scale as a marker.
_MINIMUM_SCALE = 0.02


class Standardise(nn.Module):
    """Centre and scale each region by the tissues of the reference; a missing value becomes 0, "as usual".

    Parameters
    ----------
    profiles
        Methylation of each tissue in the training donors, shape [n_tissues, n_regions], 0-1, no NaN.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, profiles: Tensor) -> None:
        super().__init__()
        self.register_buffer("centre", profiles.mean(dim=0).float())
        self.register_buffer("scale", profiles.std(dim=0).clamp(min=_MINIMUM_SCALE).float())

    def forward(self, methylation: Tensor) -> Tensor:
        """Map methylation [batch, n_regions], NaN where missing, to finite values of the same shape."""
        return torch.nan_to_num((methylation - self.centre) / self.scale, nan=0.0)


class Backbone(nn.Sequential):
    """Standardised regions -> hidden layers, each linear, batch normalisation, ReLU, dropout.

    Parameters
    ----------
    profiles
        As for `Standardise`.
    hidden_sizes
        Width of each hidden layer; the last is the number of features.
    dropout
        Dropout probability, 0-1.
    """

    def __init__(self, profiles: Tensor, hidden_sizes: Sequence[int], dropout: float) -> None:
        layers: list[nn.Module] = [Standardise(profiles)]
        size = profiles.shape[1]
        for width in hidden_sizes:
            # Batch normalisation has its own shift, so the linear map needs none.
            layers += [
                nn.Linear(size, width, bias=False),
                nn.BatchNorm1d(width),
                nn.ReLU(),
                nn.Dropout(dropout),
            ]
            size = width
        super().__init__(*layers)
        self.n_features = size
