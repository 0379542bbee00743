"""How good a model is on validation mixtures, after every epoch."""

from collections import Counter

import numpy as np
import torch

from methmix.errors import InputError
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.models.deconvolver import Deconvolver
from methmix.models.losses import LOSSES
from methmix.models.prediction import batches, predict
from methmix.scores import Scores

# Metrics in the training log.
_LOGGED = ("presence_accuracy", "mae", "predicted_tissues", "spurious_per_mixture")


def check_mixtures(mixtures: Mixtures, reference: Reference, phase: str) -> None:
    """Check that an epoch may be chosen on these mixtures: they are of this reference, split and phase."""
    if mixtures.attributes.get("reference_digest") != reference.content_digest:
        message = "the validation mixtures were made of another reference"
        raise InputError(message, "make them again: python -m methmix.mixtures")
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
    scores = Scores(true, predicted)
    sums: Counter[str] = Counter()
    with torch.inference_mode():
        for methylation, depth, part in batches(model, mixtures.methylation, mixtures.depth, true):
            losses = model.loss(methylation, part, depth)
            sums.update({name: len(part) * loss.item() for name, loss in losses.items()})
    return {
        **{f"val/{name}": sums[name] / len(mixtures) for name in LOSSES},
        # As at inference; the loss, as in training, opens the gate for the tissues that are present.
        "val/mse_loss": float(np.square(predicted - true).mean()),
        **{f"val/{name}": scores.value(name) for name in _LOGGED},
    }
