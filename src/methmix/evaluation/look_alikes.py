"""Tissues that no method here distinguishes, scored as one."""

import numpy as np

from methmix.errors import InputError
from methmix.scores import Array


def grouped(
    tissue_names: list[str], groups: dict[str, list[str]], true: Array, predicted: Array, probability: Array
) -> tuple[Array, Array, Array]:
    """Join the tissues of each group; true, predicted and probability of [n_mixtures, n_groups + the other tissues].

    Proportions add up. Of the presence probabilities the largest is taken, since those of tissues that cannot be
    distinguished refer to one another. `InputError` if a tissue of a group is unknown.
    """
    joined = {tissue for members in groups.values() for tissue in members}
    if unknown := sorted(joined - set(tissue_names)):
        raise InputError(
            f"evaluation.look_alikes: {', '.join(unknown)}: no such tissue; "
            f"the reference has {', '.join(tissue_names)}",
            "write the names of evaluation.look_alikes as the reference has them",
        )
    columns = [[tissue_names.index(tissue) for tissue in members] for members in groups.values()]
    columns += [[column] for column, tissue in enumerate(tissue_names) if tissue not in joined]
    sums = [np.stack([values[:, c].sum(axis=1) for c in columns], axis=1) for values in (true, predicted)]
    return sums[0], sums[1], np.stack([probability[:, c].max(axis=1) for c in columns], axis=1)
