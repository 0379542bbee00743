"""Tissues and regions are matched by their names and coordinates, not by where they stand."""

from dataclasses import replace

import numpy as np
import pytest
from reliability.fuzz_binary import small_reference, write_mixtures_file

from methmix.errors import InputError
from methmix.files.mixtures import matched, read_mixtures


@pytest.fixture
def mixtures(tmp_path):
    write_mixtures_file(tmp_path / "m.h5")
    return read_mixtures(tmp_path / "m.h5")


def _permuted(mixtures, tissues, regions):
    """Give mixtures whose tissues and regions stand in another order."""
    return replace(
        mixtures,
        tissue_names=[mixtures.tissue_names[t] for t in tissues],
        proportions=mixtures.proportions[:, tissues],
        label_proportions=mixtures.label_proportions[:, tissues],
        methylation=mixtures.methylation.with_columns(regions),
        depth=mixtures.depth[:][:, regions],
        regions=mixtures.regions.iloc[regions],
    )


def test_another_order_is_put_into_that_of_the_reference(mixtures):
    reference = small_reference()
    assert matched(mixtures, reference, "the mixtures") == mixtures
    rng = np.random.default_rng(1)
    for _ in range(5):
        found = matched(
            _permuted(mixtures, rng.permutation(3), rng.permutation(12)), reference, "the mixtures"
        )  # fmt: skip
        assert found.tissue_names == reference.tissue_names
        for name in ("proportions", "label_proportions", "methylation", "depth"):
            np.testing.assert_array_equal(getattr(found, name)[:], getattr(mixtures, name)[:])
            np.testing.assert_array_equal(getattr(found, name)[2], getattr(mixtures, name)[2])


def test_other_tissues_and_regions_are_refused(mixtures):
    reference = small_reference()
    other = replace(mixtures, tissue_names=["Blood", "Colon", "Spleen"])
    with pytest.raises(
        InputError, match="the mixtures: tissues are not those expected: 3 found, 3 expected; in one only"
    ):
        matched(other, reference, "the mixtures")
    other = replace(mixtures, regions=mixtures.regions.assign(end=mixtures.regions["end"] + 1))
    with pytest.raises(InputError, match="the mixtures: regions are not those expected: 12 found, 12 expected"):
        matched(other, reference, "the mixtures")
    other = replace(mixtures, attributes={**mixtures.attributes, "reference_digest": "0"})
    with pytest.raises(InputError, match="the mixtures were made of another reference"):
        matched(other, reference, "the mixtures")
