"""Source ``simulated``: what a reference must look like to teach anything about a real one."""

import json

import numpy as np
import pytest
from experiments import between_donor_variance

from methmix.config.experiment import Experiment
from methmix.config.load import load_experiment
from methmix.config.sources import SimulatedReference
from methmix.files.reference import mean_of_observed
from methmix.reference.build import build_reference
from methmix.reference.fit_variation import TUMOUR_TYPES, read_replicates
from methmix.reference.quality import tissue_difference
from methmix.reference.simulator import simulate_donors, simulate_means

GROUPS = {"brain": ["Cortex", "Neuron", "Glia"], "gut": ["Colon", "Liver", "Gastric"], "blood": ["Blood"]}


@pytest.fixture(scope="module")
def means() -> np.ndarray:
    return simulate_means(GROUPS, 20_000, np.random.default_rng(1))


@pytest.fixture(scope="module")
def default_reference(repository):
    """The reference of the default experiment."""
    return build_reference(load_experiment(repository / "config/default.yaml"))


def test_methylation_is_bimodal(means):
    assert 0.85 < means.mean() < 0.92
    assert ((means >= 0) & (means <= 1)).all()
    density, _ = np.histogram(means, bins=10, range=(0, 1), density=True)
    # Most regions are methylated, some are not, and few lie between: a peak at each end and a valley.
    assert density[-1] > density[0] > 2 * density[3:6].max()
    assert (means > 0.8).mean() > 0.8
    assert (means < 0.2).mean() > 0.03


def test_tissues_of_a_group_are_more_similar(means):
    names = sorted(name for group in GROUPS.values() for name in group)
    group_of = {name: group for group, members in GROUPS.items() for name in members}
    distance = {"inside": [], "between": []}
    for i, first in enumerate(names):
        for j in range(i):
            kind = "inside" if group_of[first] == group_of[names[j]] else "between"
            distance[kind].append(np.sqrt(((means[i] - means[j]) ** 2).mean()))
    assert len(distance["inside"]) == 6
    assert max(distance["inside"]) < 0.9 * min(distance["between"])


def test_rows_are_tissues_in_alphabetical_order():
    # Cortex and Neuron share changes that Blood does not have; so the rows must be Blood, Cortex, Neuron.
    drawn = simulate_means({"n": ["Neuron", "Cortex"], "b": ["Blood"]}, 20_000, np.random.default_rng(0))
    distance = [np.abs(drawn[i] - drawn[j]).mean() for i, j in [(1, 2), (0, 1), (0, 2)]]
    assert distance[0] < 0.8 * min(distance[1:])


def test_default_reference(default_reference):
    assert len(default_reference.donors) == 119
    assert len(default_reference.tissue_names) == 22
    assert len(default_reference.regions) == 5_000
    numbers = [default_reference.tissues.count(name) for name in default_reference.tissue_names]
    assert min(numbers) >= 3
    # Real collections are uneven.
    assert len(set(numbers)) > 2
    assert "no real sample" in json.loads(default_reference.attributes["notes"])[0]


@pytest.mark.parametrize("n_donors", [18, 19, 40])
def test_donor_numbers(settings, n_donors):
    settings["reference"]["n_donors"] = n_donors
    reference = build_reference(Experiment.model_validate(settings))
    numbers = [reference.tissues.count(name) for name in reference.tissue_names]
    assert (min(numbers) >= 3, sum(numbers)) == (True, n_donors)
    assert len(set(reference.donors)) == n_donors


def test_depth_and_missing_regions(default_reference):
    depth = default_reference.depth
    missing = (depth == 0).mean(axis=0)
    assert 0.002 < missing.mean() < 0.05
    # Some regions are hard to map and missing in many donors.
    assert 0.005 < (missing > 0.15).mean() < 0.05
    # Coverage 30 and about 5 CpGs a region.
    assert 120 < depth.mean() < 180
    assert np.median(depth, axis=1).std() / np.median(depth) > 0.1
    assert np.median(depth, axis=0).std() / np.median(depth) > 0.3


def test_regions_do_not_overlap(default_reference):
    regions = default_reference.regions
    assert not regions.duplicated().any()
    assert (regions["end"] > regions["start"]).all()
    for _, own in regions.groupby("chrom"):
        ordered = own.sort_values("start")
        assert (ordered["start"].to_numpy()[1:] >= ordered["end"].to_numpy()[:-1]).all()


def test_number_of_regions_is_free(settings):
    for n_regions in (10, 23, 401):
        settings["reference"]["n_regions"] = n_regions
        reference = build_reference(Experiment.model_validate(settings))
        assert reference.methylated.shape[1] == len(set(reference.region_names)) == n_regions


def test_same_seed_same_reference(settings, reference):
    again = build_reference(Experiment.model_validate(settings))
    np.testing.assert_array_equal(again.methylated, reference.methylated)
    np.testing.assert_array_equal(again.depth, reference.depth)
    assert (again.donors, again.split, again.attributes) == (
        reference.donors,
        reference.split,
        reference.attributes,
    )


def test_other_seed_other_reference(settings, reference):
    other = build_reference(Experiment.model_validate({**settings, "seed": 4}))
    assert (other.depth != reference.depth[:1]).mean() > 0.5
    correlation = np.corrcoef(other.complete_profiles().mean(axis=0), reference.complete_profiles().mean(axis=0))
    assert abs(correlation[0, 1]) < 0.2


def test_kind_of_variation_is_used(settings):
    differ = {}
    for kind in ("healthy", "tumour"):
        content = {**settings["reference"], "donor_variation": kind, "n_regions": 3000, "coverage": 100.0}
        drawn = simulate_donors(SimulatedReference.model_validate(content), np.random.default_rng(2))
        own = [i for i, tissue in enumerate(drawn.tissues) if tissue == "Blood"]
        methylated, depth = drawn.methylated[own], drawn.depth[own]
        seen = (depth > 0).all(axis=0)
        differ[kind] = (methylated[:, seen] / depth[:, seen]).var(axis=0, ddof=1).mean()
    assert differ["tumour"] > 2 * differ["healthy"]


@pytest.mark.slow
@pytest.mark.data
def test_tissues_and_donors_differ_as_real_blood_cells_do(default_reference, data_file):
    real = read_replicates(data_file("metdecode/atlas_with_replicates.tsv.gz"))
    healthy = [name for name in real.tissue_names if name not in TUMOUR_TYPES]
    assert len(healthy) == 7

    def between_tissues(reference, names):
        rows_of = [[i for i, t in enumerate(reference.tissues) if t == name] for name in names]
        means = np.stack([mean_of_observed(reference.fractions[rows]) for rows in rows_of])
        pairs = [(i, j) for i in range(len(names)) for j in range(i)]
        distance = np.median([np.sqrt(np.nanmean((means[i] - means[j]) ** 2)) for i, j in pairs])
        index = [reference.tissue_names.index(name) for name in names]
        clear = np.median([tissue_difference(reference)[index[i], index[j]] for i, j in pairs])
        return distance, clear, np.nanmean(means)

    names = default_reference.tissue_names
    distance, clear, level = between_tissues(default_reference, names)
    real_distance, real_clear, real_level = between_tissues(real, healthy)
    assert distance == pytest.approx(real_distance, rel=0.25)
    assert clear == pytest.approx(real_clear, rel=0.5)
    assert level == pytest.approx(real_level, abs=0.03)
    simulated_variance = between_donor_variance(default_reference, names)
    assert simulated_variance == pytest.approx(between_donor_variance(real, healthy), rel=0.4)
