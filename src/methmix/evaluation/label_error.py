"""How far the errors on mixtures of real donors are those that each donor has alone.

What a real donor consists of is not known, and its mixtures are scored against its label. Each test donor is therefore
deconvolved alone, and mixtures of donors that were what they look like are computed. Where the errors of an arm
correlate with theirs, they come with the donors: from profiles that are not those of these donors, from differences
between donors, and from labels that are not the whole truth. What these three contribute cannot be separated.
"""

import numpy as np

from methmix.evaluation.donor_intervals import donor_names
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.models.prediction import Array
from methmix.nnls import normalise, weighted_nnls


def expected_errors(reference: Reference, test: Mixtures) -> Array:
    """Compute the error of each test mixture if its donors were what NNLS with the training profiles sees in them.

    Returns
    -------
    ndarray
        Apparent proportions minus those of the labels, float64 [n_mixtures, n_tissues].
    """
    names = donor_names(test)
    rows = [reference.donors.index(name) for name in np.unique(names[names != ""])]
    values, depth = reference.fractions[rows], reference.depth[rows].astype(float)
    seen = normalise(weighted_nnls(reference.complete_profiles("train"), values, depth))
    place = {reference.donors[row]: number for number, row in enumerate(rows)}
    labels = test.label_proportions.astype(np.float64)
    apparent = np.zeros_like(labels)
    for tissue in range(labels.shape[1]):
        mixed = np.flatnonzero(labels[:, tissue])
        donors = [place[name] for name in names[mixed, tissue]]
        apparent[mixed] += labels[mixed, tissue, None] * seen[donors]
    return apparent - labels


def label_correlation(reference: Reference, test: Mixtures, predicted: Array) -> float | None:
    """Correlate an arm's errors with `expected_errors`: Pearson's r over all tissues of all mixtures.

    It is highest for arms that resemble NNLS. None where the composition of donors is known, so that labels are not the
    truth, or nothing varies.
    """
    if reference.known_composition is not None:
        return None
    expected = expected_errors(reference, test).ravel()
    errors = (predicted - test.label_proportions).ravel()
    if not expected.any() or not errors.any():
        return None
    return float(np.corrcoef(expected, errors)[0, 1])
