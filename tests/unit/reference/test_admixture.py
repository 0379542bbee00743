"""What donors hold of other tissues, or look like holding."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from methmix.files.reference import Reference
from methmix.reference.admixture import Admixture, admixture_of, apparent
from methmix.reference.profiles import training_donors

N_TISSUES, N_REGIONS = 4, 3000


def labelled(rng, foreign, splits):
    """Make real donors: of each tissue one per split, with a proportion of the next tissue (``foreign``, by tissue)."""
    base = rng.beta(4, 1, N_REGIONS)
    means = np.where(rng.random((N_TISSUES, N_REGIONS)) < 0.2, 1 - base, base)
    rows = [
        (tissue, split, (1 - foreign[tissue]) * means[tissue] + foreign[tissue] * means[(tissue + 1) % N_TISSUES])
        if split != "train"
        else (tissue, split, means[tissue])
        for tissue in range(N_TISSUES)
        for split in splits
    ]
    depth = rng.poisson(200, (len(rows), N_REGIONS)).astype(np.int32) + 1
    return Reference(
        rng.binomial(depth, np.stack([methylation for *_, methylation in rows])).astype(np.int32),
        depth,
        [f"donor-{number}" for number in range(len(rows))],
        [f"tissue-{tissue}" for tissue, *_ in rows],
        [split for _, split, _ in rows],
        pd.DataFrame({"chrom": "chr1", "start": range(N_REGIONS), "end": range(1, N_REGIONS + 1)}),
    )


def test_donors_are_seen_without_themselves_and_never_those_of_the_test(rng):
    reference = labelled(rng, [0.0, 0.1, 0.2, 0.4], ["train", "validation", "test"])
    seen = apparent(reference, training_donors(reference, purify=False))
    assert [len(found) for found in seen] == [1] * N_TISSUES
    assert np.ravel(seen) == pytest.approx([0.0, 0.1, 0.2, 0.4], abs=0.03)


def test_a_tissue_without_another_donor_may_be_as_variable_as_any(rng):
    reference = labelled(rng, [0.0, 0.1, 0.2, 0.4], ["train", "validation", "test"])
    splits = ["test" if name == "tissue-0" and split == "validation" else split
              for name, split in zip(reference.tissues, reference.split, strict=True)]  # fmt: skip
    reference = replace(reference, split=splits)
    admixture, impurity = admixture_of(reference, training_donors(reference, purify=False))
    overall = np.mean([0.1, 0.2, 0.4])
    expected = [overall, (overall + 0.1) / 2, (overall + 0.2) / 2, (overall + 0.4) / 2]
    assert admixture.mean == pytest.approx(expected, abs=0.02)
    assert admixture.shape.tolist() == [2, 3, 3, 3] and not admixture.is_there
    assert impurity == pytest.approx(admixture.mean)


def test_of_one_donor_per_tissue_it_is_borrowed(rng):
    reference = labelled(rng, [0.0] * N_TISSUES, ["train"])
    admixture, _ = admixture_of(reference, training_donors(reference, purify=False))
    assert (admixture.mean > 0.05).all() and (admixture.shape == 2).all()


def test_a_known_composition_is_part_of_the_truth(rng):
    reference = labelled(rng, [0.0] * N_TISSUES, ["train", "validation", "test"])
    known = replace(reference, known_composition=reference.composition)
    admixture, _ = admixture_of(known, training_donors(known, purify=False))
    assert admixture.is_there and np.isinf(admixture.shape).all()


def test_draws_have_the_mean_and_the_tissues_asked_for(rng):
    among = np.array([[0, 0.9, 0.1], [0.5, 0, 0.5], [1, 0, 0]], dtype=float)
    admixture = Admixture(np.array([0.05, 0.1, 0.0]), np.array([np.inf, 5.0, 5.0]), among, 2, 0.7, False)
    tissue = np.repeat(range(3), 40_000)
    drawn = admixture.draw(tissue, rng)
    total = drawn.sum(axis=1)
    assert drawn[np.arange(len(tissue)), tissue].max() == 0 and total.max() <= 0.7 + 1e-6
    means = [total[tissue == number].mean() for number in range(3)]
    # The maximum takes little of the tail.
    assert means == pytest.approx([0.05, 0.1, 0.0], rel=0.04)
    of_first = drawn[tissue == 0].mean(axis=0)
    assert of_first / of_first.sum() == pytest.approx([0, 0.9, 0.1], abs=0.02)
    # A known mean has an exponential tail, one that is not known a heavier one.
    beyond = [(total[tissue == number] > 5 * mean).mean() for number, mean in ((0, 0.05), (1, 0.1))]
    assert beyond[0] == pytest.approx(np.exp(-5), rel=0.25) and beyond[1] > 1.5 * np.exp(-5)
