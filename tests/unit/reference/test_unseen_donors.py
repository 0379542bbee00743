"""Donors that were never seen are of the same tissues as those of the reference, and are none of them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from methmix.config.experiment import Experiment
from methmix.errors import InputError
from methmix.reference.build import build_reference
from methmix.reference.simulator import simulate_means
from methmix.reference.unseen_donors import ProfileDonors, RealDonors, SimulatedDonors, unseen_donors


@pytest.fixture
def real(reference):
    """The same counts, as if they were of real donors."""
    return replace(reference, attributes={**reference.attributes, "source": "counts"}, known_composition=None)


def test_simulated_donors_are_drawn_around_the_means_of_the_reference(reference):
    sources = unseen_donors(reference, 9)
    assert list(sources) == ["drawn"]
    source = sources["drawn"]
    assert isinstance(source, SimulatedDonors)
    # The means are what the donors of the reference scatter around: closer to them than any donor is.
    for tissue, rows in enumerate(reference.pool("train").values()):
        own = np.nanmean(np.abs(reference.fractions[rows] - source.means[tissue]), dtype=float)
        others = [np.nanmean(np.abs(reference.fractions[rows] - mean), dtype=float) for mean in source.means]
        assert own == min(others)
        far = np.abs(reference.profiles()[tissue] - source.means[tissue])
        assert np.nanmean(far) <= own + 1e-9


def test_means_are_the_very_first_draw_of_the_reference(reference, monkeypatch):
    drawn = []

    def recorded(*arguments):
        drawn.append(simulate_means(*arguments))
        return drawn[-1]

    monkeypatch.setattr("methmix.reference.simulator.simulate_means", recorded)
    settings = json.loads(reference.attributes["settings"])
    content = {"name": "again", "seed": reference.attributes["seed"], "reference": settings, "arms": {}}
    build_reference(
        Experiment.model_validate(
            content | {"mixtures": {"recipes": {"phase1": {"kind": "pairs", "larger_shares": [0.5]}}}}
        )
    )
    np.testing.assert_array_equal(unseen_donors(reference, 9)["drawn"].means, drawn[0])


def test_regions_that_were_kept_are_found_again(reference):
    kept = [3, 7, 250]
    part = replace(
        reference,
        methylated=reference.methylated[:, kept],
        depth=reference.depth[:, kept],
        regions=reference.regions.iloc[kept].reset_index(drop=True),
    )
    whole = unseen_donors(reference, 9)["drawn"].means
    np.testing.assert_array_equal(unseen_donors(part, 9)["drawn"].means, whole[:, kept])


@pytest.mark.parametrize("kind", ["simulated", "real"])
def test_every_donor_is_another_one_and_always_the_same(reference, real, kind):
    source = unseen_donors(reference if kind == "simulated" else real, 9)["drawn"]
    again = unseen_donors(reference if kind == "simulated" else real, 9)["drawn"]
    assert source.available(0, "spiked") is None
    keys = [(0, "spiked", 0), (0, "spiked", 1), (1, "spiked", 0), (0, "background", 0)]
    donors = [source.donor(*key) for key in keys]
    for key, donor in zip(keys, donors, strict=True):
        np.testing.assert_array_equal(donor.methylation, again.donor(*key).methylation)
        assert donor.composition.sum() == pytest.approx(1) and donor.composition[key[0]] >= 0.6
        assert (donor.methylation >= 0).all() and (donor.methylation <= 1).all()
    assert len({donor.methylation.sum() for donor in donors}) == len(donors)


def test_composition_is_what_a_donor_consists_of(reference):
    """Where two tissues differ, a donor is as far towards the other one as it has of it."""
    source = unseen_donors(reference, 9)["drawn"]
    donors = [source.donor(0, "spiked", number) for number in range(60)]
    donor = max(donors, key=lambda one: one.composition[1:].max())
    other = 1 + int(donor.composition[1:].argmax())
    differ = np.abs(source.means[0] - source.means[other]) > 0.4
    step = (donor.methylation - source.means[0])[differ] / (source.means[other] - source.means[0])[differ]
    assert np.median(step) == pytest.approx(donor.composition[other], abs=0.1)


def test_donors_around_real_profiles_vary_as_real_ones(real):
    source = unseen_donors(real, 9)["drawn"]
    assert isinstance(source, ProfileDonors)
    # Only labels are known, so that what looks like other tissues counts as the donor's own.
    assert source.donor(0, "spiked", 0).composition.tolist() == [1.0, *[0.0] * (len(source.means) - 1)]
    pure = replace(source.admixture, mean=np.zeros(len(source.means)))
    source = replace(source, admixture=pure)
    drawn = np.stack([source.donor(0, "spiked", number).methylation for number in range(40)])
    middle = (source.means[0] > 0.1) & (source.means[0] < 0.95)
    expected = source.variance[0][middle].mean()
    assert drawn.var(axis=0, ddof=1)[middle].mean() == pytest.approx(expected, rel=0.5)


def test_real_donors_are_of_test_and_the_others_of_validation(real):
    source = unseen_donors(real, 9)["test"]
    assert isinstance(source, RealDonors)
    for purpose, split in (("background", "test"), ("spiked", "test"), ("other background", "validation")):
        rows = real.pool(split)["Blood"]
        assert source.available(0, purpose) == len(rows)
        np.testing.assert_array_equal(
            source.donor(0, purpose, len(rows)).methylation, real.fractions[rows[0]].astype(float)
        )
    assert source.donor(0, "spiked", 0).composition.tolist() == [1, 0, 0, 0, 0, 0]


def test_donors_of_an_atlas(tmp_path, settings, monkeypatch):
    table = tmp_path / "atlas.tsv"
    rows = [
        f"chr1\t{100 * i}\t{100 * i + 50}\t{i}\t{i + 5}\tX\tr{i}\tM\t{0.1 * (i % 10):.1f}\t{0.9 - 0.1 * (i % 9):.1f}"
        for i in range(1, 60)
    ]
    table.write_text(
        "\n".join(["chr\tstart\tend\tstartCpG\tendCpG\ttarget\tname\tdirection\tZebra\tApe", *rows]) + "\n"
    )
    settings["reference"] = {
        "source": "uxm_atlas",
        "file": str(table),
        "genome": "hg38",
        "donors_per_tissue": 3,
        "pseudo_depth": 50,
    }
    settings["detection"] = None
    reference = build_reference(Experiment.model_validate(settings))
    source = unseen_donors(reference, 9)["drawn"]
    # Tissues are in alphabetical order, whatever their columns are.
    assert source.means[1, :3] == pytest.approx([0.1, 0.2, 0.3])
    assert source.means[0, :3] == pytest.approx([0.8, 0.7, 0.6])
    table.write_text(table.read_text().replace("0.3", "0.4"))
    with pytest.raises(InputError, match="is not the atlas that the reference was made of"):
        unseen_donors(reference, 9)
