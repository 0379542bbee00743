"""How much of an arm's error the labels of real donors explain.

What a real donor consists of is not known, and its mixtures are scored against its label. A tumour that holds blood,
or a sorted cell type with some of its neighbour, then looks like an error of every arm. Each test donor is therefore
deconvolved alone: mixtures of donors that were what they look like would have errors of the same kind. Where the errors
of an arm correlate with these, they are errors of the labels, or differences between donors, as much as of the arm.
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

    Its square is the share of the arm's squared error that they can explain. None where the composition of donors is
    known, so that labels are not the truth, or nothing varies.
    """
    if reference.known_composition is not None:
        return None
    expected = expected_errors(reference, test).ravel()
    errors = (predicted - test.label_proportions).ravel()
    if not expected.any() or not errors.any():
        return None
    return float(np.corrcoef(expected, errors)[0, 1])
