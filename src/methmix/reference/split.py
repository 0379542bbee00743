"""Division of donors into train, validation and test, before anything is mixed."""

import numpy as np

from methmix.config.sources import SplitSettings
from methmix.errors import InputError
from methmix.files.reference import Split


def split_donors(
    donors: list[str], tissues: list[str], settings: SplitSettings, rng: np.random.Generator
) -> list[Split]:
    """Assign each donor to one split, tissue by tissue.

    A tissue with three or more donors has at least one in each split. One with two has one in train and one
    in test; its validation mixtures then take fresh reads of the training donor. One with a single donor has
    it in train, and all its mixtures are made of it; that must be allowed by the settings. Each fold tests the next
    donors of the same order, so that the folds of one seed have no test donor in common until all have been tested.

    With ``training_donors`` so many donors of each tissue train, all others are in test, and none in validation, as
    for a laboratory that has no more than these; each fold then trains with the next donors.
    """
    split: dict[str, Split] = {}
    for tissue in sorted(set(tissues)):
        own = [donor for donor, name in zip(donors, tissues, strict=True) if name == tissue]
        own = [own[i] for i in rng.permutation(len(own))]
        if len(own) == 1 and not settings.allow_single_donor:
            raise InputError(
                f"tissue {tissue} has one donor ({own[0]}), so that a new donor cannot be tested",
                "add a donor, remove the tissue, merge it with another (reference.merge_tissues), or set "
                "reference.split.allow_single_donor to true and read its errors as optimistic",
            )
        n_test, n_validation = _held_out(len(own), settings)
        step = n_test if settings.training_donors is None else len(own) - n_test
        first = settings.fold * max(step, 1) % len(own)
        for rank, donor in enumerate(own[first:] + own[:first]):
            split[donor] = "test" if rank < n_test else "validation" if rank < n_test + n_validation else "train"
    return [split[donor] for donor in donors]


def _held_out(n: int, settings: SplitSettings) -> tuple[int, int]:
    """Give how many of a tissue's ``n`` donors are in test and in validation; at least one trains."""
    if n == 1:
        return 0, 0
    if settings.training_donors is not None:
        return max(1, n - settings.training_donors), 0
    n_test = max(1, round(settings.test * n))
    n_validation = 0 if n < 3 else max(1, round(settings.validation * n))
    # Two large proportions of few donors may round to all of them; training needs one.
    return n_test, max(0, min(n_validation, n - n_test - 1))


def check_given_split(donors: list[str], tissues: list[str], split: list[Split], settings: SplitSettings) -> None:
    """Check a split that a sample sheet states: each tissue needs a donor in train, and one in test if required."""
    for tissue in sorted(set(tissues)):
        own = {s for t, s in zip(tissues, split, strict=True) if t == tissue}
        if "train" not in own:
            raise InputError(
                f"sample sheet: tissue {tissue} has no donor in split train",
                "put one of its donors into train, or remove the column split",
            )
        if "test" not in own and not settings.allow_single_donor:
            raise InputError(
                f"sample sheet: tissue {tissue} has no donor in split test, so that a new donor cannot be tested",
                "put one of its donors into test, or set reference.split.allow_single_donor to true and read its "
                "errors as optimistic",
            )
