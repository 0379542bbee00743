"""How good a model is on validation mixtures, after every epoch."""

from collections import Counter

import numpy as np
import torch

from methmix import metrics
from methmix.errors import InputError
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.models.deconvolver import Deconvolver
from methmix.models.losses import LOSSES
from methmix.models.prediction import batches, predict


def check_mixtures(mixtures: Mixtures, reference: Reference, phase: str) -> None:
    """Check that an epoch may be chosen on these mixtures.

    Raises
    ------
    InputError
        They are of another reference, split or phase.
    """
    if mixtures.attributes.get("reference_digest") != reference.content_digest:
        raise InputError(
            "the validation mixtures were made of another reference",
            "make them again: python -m methmix.mixtures",
        )
    made_for = (mixtures.attributes.get("split"), mixtures.attributes.get("phase"))
    if made_for != ("validation", phase):
        raise InputError(
            f"the validation mixtures are of split {made_for[0]!r}, {made_for[1]!r}; expected 'validation', {phase!r}",
            "an epoch must not be chosen on other mixtures, least of all on those of the test",
        )


def validate(model: Deconvolver, mixtures: Mixtures) -> dict[str, float]:
    """Compute the ``val/`` values of a row of the training log; the model is left in evaluation mode."""
    true = mixtures.proportions
    predicted = predict(model, mixtures.methylation, mixtures.depth).proportions
    return {
        **_losses(model, mixtures),
        # As at inference; the loss, as in training, opens the gate for the tissues that are present.
        "val/mse_loss": float(np.square(predicted - true).mean()),
        "val/presence_accuracy": metrics.presence_accuracy(true, predicted),
        "val/mae": metrics.mae(true, predicted),
        "val/predicted_tissues": metrics.predicted_tissues(predicted),
        "val/spurious_per_mixture": metrics.spurious_per_mixture(true, predicted),
    }


def _losses(model: Deconvolver, mixtures: Mixtures) -> dict[str, float]:
    """Average the losses over the mixtures; 0 for those that the model has not."""
    sums: Counter[str] = Counter()
    model.eval()
    with torch.inference_mode():
        for methylation, depth, true in batches(model, mixtures.methylation, mixtures.depth, mixtures.proportions):
            parts = model.loss(methylation, true, depth)
            sums.update({name: len(true) * part.item() for name, part in parts.items()})
    return {f"val/{name}": sums[name] / len(mixtures) for name in LOSSES}
