"""What a model says of a batch of mixtures."""

from typing import NamedTuple

from torch import Tensor


class Inference(NamedTuple):
    """Answer of a model, tensors [batch, n_tissues] if not said otherwise; None for what a model does not tell.

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
    error
        Standard error of each share in the least squares, at most 1: depends on depth, composition and donors.
    limit
        Limit of detection: the share from which on a tissue is given mass in 95 % of such mixtures; inf: not known.
    misfit
        Weighted mean square of the residuals of the least squares, [batch]; 1 if all errors are as assumed.
    misfit_limit
        What 1 % of mixtures of that depth exceed that consist of the model's tissues alone, [batch]; inf: not known.
    rmse
        Root mean square difference between the methylation and what proportions and profiles make of it, [batch]:
        the CETYGO score (Vellame et al. 2023, Epigenetics 18:2137659). NaN without any value.
    """

    proportions: Tensor
    presence_probability: Tensor | None = None
    share_logits: Tensor | None = None
    low: Tensor | None = None
    high: Tensor | None = None
    error: Tensor | None = None
    limit: Tensor | None = None
    misfit: Tensor | None = None
    misfit_limit: Tensor | None = None
    rmse: Tensor | None = None
