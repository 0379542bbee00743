"""Limits that validation mixtures set: from where on a tissue is found, and up to where a mixture fits."""

import torch
from torch import Tensor, nn


class Limits(nn.Module):
    """Limit of detection and limit of the misfit.

    A tissue is found in most mixtures from ``detection_ratio`` standard errors on. Few mixtures of nothing but the
    tissues of the model exceed ``a + b / sqrt(mean depth)`` in misfit, whose coefficients are ``misfit_curve``. Both
    are infinite until they are calibrated (`methmix.models.calibration`).
    """

    detection_ratio: Tensor
    misfit_curve: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("detection_ratio", torch.tensor(torch.inf))
        self.register_buffer("misfit_curve", torch.tensor([torch.inf, 0.0]))

    def of_misfit(self, depth: Tensor) -> Tensor:
        """Give the limit of the misfit, [batch], of mixtures of depth [batch, n_regions]."""
        return self.misfit_curve[0] + self.misfit_curve[1] * noise_of_reads(depth)


def noise_of_reads(depth: Tensor) -> Tensor:
    """Compute what the misfit's limit depends on, ``1 / sqrt(mean depth)``, [batch], of depth [batch, n_regions]."""
    return depth.mean(dim=1).clamp(min=1e-3).rsqrt()
