"""Selection of regions: the same definition as in the model, and train donors alone decide."""

import json
from dataclasses import replace

import numpy as np
import pytest

from methmix import devices
from methmix.config.experiment import Experiment
from methmix.config.load import load_experiment
from methmix.errors import InputError
from methmix.reference.build import build_reference
from methmix.reference.profiles import select_markers, training_donors


def test_regions_that_distinguish_a_tissue_are_kept(reference):
    """Two regions in which all donors of one tissue alone are methylated, among regions that are equal in all."""
    depth = np.full(reference.depth.shape, 40, dtype=np.int32)
    methylated = np.random.default_rng(0).binomial(depth, 0.5).astype(np.int32)
    marked = {tissue: [10 + 60 * n, 11 + 60 * n] for n, tissue in enumerate(reference.tissue_names)}
    for tissue, regions in marked.items():
        of_tissue = np.array([name == tissue for name in reference.tissues])
        methylated[:, regions] = np.where(of_tissue, 40, 0)[:, None]
    found = select_markers(replace(reference, methylated=methylated, depth=depth), 2)
    expected = reference.regions.iloc[sorted(region for regions in marked.values() for region in regions)]
    assert found.regions["start"].tolist() == expected["start"].tolist()
    np.testing.assert_array_equal(found.methylated, methylated[:, expected.index])
    assert found.regions.index.tolist() == list(range(12))


@pytest.mark.parametrize("purify", [False, True])
def test_donors_that_stay_on_a_device_give_the_same_profiles(reference, monkeypatch, purify):
    rows = list(reference.pool("train").values())
    left_out = [0, 2], [rows[0][1], rows[2][0]]
    read = training_donors(reference, purify).without(*left_out)
    monkeypatch.setattr(devices, "has_room", lambda device, size: True)
    kept = training_donors(reference, purify)
    assert kept._fractions._kept is not None
    for name, values in vars(kept.without(*left_out)).items():
        assert values.equal(getattr(read, name)), name


def test_validation_and_test_donors_have_no_influence(reference, rng):
    chosen = select_markers(reference, 5).region_names
    held_out = np.array(reference.split) != "train"
    depth, methylated = reference.depth.copy(), reference.methylated.copy()
    depth[held_out] = rng.poisson(50, depth[held_out].shape)
    methylated[held_out] = rng.binomial(depth[held_out], rng.random(depth[held_out].shape))
    assert select_markers(replace(reference, depth=depth, methylated=methylated), 5).region_names == chosen
    trained = np.flatnonzero(~held_out)[:4]
    methylated[trained] = depth[trained] - methylated[trained]
    assert select_markers(replace(reference, depth=depth, methylated=methylated), 5).region_names != chosen


def test_reference_of_markers(settings, reference):
    settings["reference"]["regions"] = {"top_k_per_tissue": 7}
    found = build_reference(Experiment.model_validate(settings))
    assert len(found.regions) <= 6 * 7
    assert set(found.region_names) < set(reference.region_names)
    assert (found.donors, found.split) == (reference.donors, reference.split)
    note = (
        f"{len(found.regions)} of 400 regions are kept: the 7 most informative marker regions of each tissue "
        "in the training donors"
    )
    assert note in json.loads(found.attributes["notes"])
    settings["reference"]["regions"] = {"top_k_per_tissue": 400}
    assert build_reference(Experiment.model_validate(settings)).content_digest == reference.content_digest


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("most", "reference.regions: Input should be 'all', found 'most'"),
        ({"top_k_per_tissue": 0}, "reference.regions.top_k_per_tissue: Input should be greater than or equal to 1"),
        ({"top_k": 5}, "missing key reference.regions.top_k_per_tissue"),
        ({"top_k": 5}, "unknown key reference.regions.top_k"),
    ],
)
def test_wrong_choice_of_regions(settings, write_yaml, value, message):
    settings["reference"]["regions"] = value
    with pytest.raises(InputError) as caught:
        load_experiment(write_yaml(settings))
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2


def test_all_regions_by_default(settings):
    written = Experiment.model_validate(settings).reference.regions
    assert written == "all"
