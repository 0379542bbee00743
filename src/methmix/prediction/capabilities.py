"""What a model estimates beside proportions: the only place of this package that asks what a model can do."""

import numpy as np
import numpy.typing as npt
import torch

from methmix.models.informed import InformedOriginalModel, InformedSparseModel
from methmix.models.registry import Model


def own_profiles(model: Model) -> npt.NDArray[np.float32] | None:
    """Give the tissue profiles that a model holds (purified in training), [n_tissues, n_regions], or None."""
    if not isinstance(model, InformedOriginalModel | InformedSparseModel):
        return None
    return model.backbone.mean.cpu().numpy()


def estimates_fit(model: Model) -> bool:
    """Say whether a model estimates the goodness of fit and its limit."""
    return isinstance(model, InformedSparseModel)


def not_estimated(model: Model) -> list[str]:
    """Name the quantities that a model does not estimate, as notes for its users."""
    if isinstance(model, InformedSparseModel):
        if bool(torch.isfinite(model.detection_ratio)):
            return []
        return ["no limit of detection is available: too few small proportions were found in validation"]
    if isinstance(model, InformedOriginalModel):
        return ["this model estimates no presence probability, interval, limit of detection or goodness of fit"]
    return ["this model does not use a sample's depth: it estimates no interval, limit of detection or goodness of fit"]
