"""Donors that are not what they are taken for: refused, or a note."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from methmix.errors import InputError
from methmix.files.reference import Reference
from methmix.reference.donor_identity import check_donors, check_regions

N_REGIONS, DEPTH = 200, 40


def reference_of(rng, n_donors=3, spread=0.05) -> Reference:
    """Three tissues, each of which differs from the others in a tenth of the regions."""
    means = np.tile(rng.choice([0.1, 0.9], N_REGIONS), (3, 1))
    for tissue in range(3):
        means[tissue, tissue::10] = 1 - means[tissue, tissue::10]
    rows = np.repeat(np.arange(3), n_donors)
    methylation = (means[rows] + rng.normal(0, spread, (len(rows), N_REGIONS))).clip(0, 1)
    start = 1000 * np.arange(N_REGIONS)
    return Reference(
        methylated=rng.binomial(DEPTH, methylation),
        depth=np.full(methylation.shape, DEPTH),
        donors=[f"{'ABC'[row]}{number}" for number, row in enumerate(rows)],
        tissues=["ABC"[row] for row in rows],
        split=["train"] * len(rows),
        regions=pd.DataFrame({"chrom": "chr1", "start": start, "end": start + 100}),
    )


def with_counts_of(reference: Reference, **of: str) -> Reference:
    """Give some donors the counts of others."""
    rows = [reference.donors.index(of.get(donor, donor)) for donor in reference.donors]
    return dataclasses.replace(reference, methylated=reference.methylated[rows], depth=reference.depth[rows])


def test_donors_like_their_tissues_are_not_worth_a_word(rng):
    assert check_donors(reference_of(rng)) == []


def test_swapped_labels_are_a_note(rng):
    notes = check_donors(with_counts_of(reference_of(rng), A0="B3", B3="A0"))
    assert [note.partition(" (")[0] for note in notes] == [
        "donor A0 of A is more like B",
        "donor B3 of B is more like A",
    ]
    assert all("are labels swapped?" in note for note in notes)


def test_tissues_that_are_alike_are_not_swapped(rng):
    """Without a difference between two tissues, half of their donors are a little more like the other one."""
    reference = reference_of(rng, n_donors=6)
    tissues = [f"A{row % 2}" if tissue == "A" else tissue for row, tissue in enumerate(reference.tissues)]
    assert check_donors(dataclasses.replace(reference, tissues=tissues)) == []


@pytest.mark.parametrize("tissue", ["A", "C"])
def test_a_sample_under_two_names_is_refused(rng, tissue):
    reference = reference_of(rng)
    copy = next(
        name for name, of in zip(reference.donors, reference.tissues, strict=True) if of == tissue and name != "A0"
    )
    with pytest.raises(InputError, match=f"donors A0 and {copy} have the same counts"):
        check_donors(with_counts_of(reference, **{copy: "A0"}))


def test_a_donor_with_swapped_columns_is_refused(rng):
    reference = reference_of(rng)
    reference.methylated[4] = reference.depth[4] - reference.methylated[4]
    with pytest.raises(InputError, match=r"donor B4: .* other donors of B is -0.9"):
        check_donors(reference)


@pytest.mark.parametrize(
    ("chrom", "end", "message"),
    [
        ("NC_000001.10", 200, "NC_000001.10 of hg19; reference.genome is GRCh38"),
        ("chr1", 249_000_000, "behind the end of the chromosome.* hg19"),
    ],
)
def test_regions_of_another_build_are_refused(rng, chrom, end, message):
    reference = reference_of(rng)
    check_regions(reference, "GRCh38")
    reference.regions.loc[7, ["chrom", "end"]] = chrom, end
    with pytest.raises(InputError, match=message):
        check_regions(reference, "GRCh38")


@pytest.mark.parametrize(
    ("genome", "known"), [("hg38", True), ("none (simulated)", True), ("hg83", False), ("rn7", False)]
)
def test_a_build_of_which_nothing_is_known_is_a_note(rng, genome, known):
    notes = check_regions(reference_of(rng), genome)
    assert notes == [] if known else f"{genome} is none of the known builds (hg19, hg38," in notes[0]
