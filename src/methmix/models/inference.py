"""What a model says of a batch of mixtures."""

from typing import NamedTuple

from torch import Tensor


class Inference(NamedTuple):
    """Answer of a model, each tensor [batch, n_tissues]; None for what a model does not tell.

    Parameters
    ----------
    proportions
        Rows sum to 1.
    presence_probability
        Probability that the tissue is present, 0-1.
    share_logits
        What `share_mass` divides the mass by, whatever the gate lets through.
    low, high
        90 % interval of each proportion; for a tissue that the gate keeps out, up to what it would at most have.
    """

    proportions: Tensor
    presence_probability: Tensor | None = None
    share_logits: Tensor | None = None
    low: Tensor | None = None
    high: Tensor | None = None
