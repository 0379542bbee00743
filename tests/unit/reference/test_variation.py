"""The variation between donors: its model, and its fit to real replicates."""

import json
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

from methmix.errors import InputError
from methmix.files.reference import Reference
from methmix.reference.download import content_sha256
from methmix.reference.simulator import simulate_means
from methmix.reference.variation import (
    MAXIMUM_ADMIXTURE,
    DonorVariation,
    between_donor_variance,
    fit,
    leave_one_out_proportions,
    leave_one_out_purity,
    read_replicates,
)

KNOWN = DonorVariation(scale=0.3, tilt=0.8, degrees_of_freedom=5.0, donor_spread=0.25, mean_admixture=0.0)
NOTHING = DonorVariation(scale=1e-9, tilt=0.0, degrees_of_freedom=5.0, donor_spread=0.0, mean_admixture=0.0)


def _drawn(variation: DonorVariation, n_donors=8, n_regions=3000, depth=100, seed=0) -> Reference:
    """Donors of 6 tissues, drawn from the model."""
    rng = np.random.default_rng(seed)
    groups = {"a": ["A", "B"], "c": ["C", "D"], "e": ["E", "F"]}
    means = simulate_means(groups, n_regions, rng)
    drawn = np.stack(
        [
            variation.draw(means, row, [i for i in range(6) if i != row], rng)
            for row in range(6)
            for _ in range(n_donors)
        ]
    )
    depths = np.full(drawn.shape, depth)
    tissues = [name for name in "ABCDEF" for _ in range(n_donors)]
    start = np.arange(n_regions) * 10
    return Reference(
        methylated=rng.binomial(depths, drawn),
        depth=depths,
        donors=[f"{tissue}-{i}" for i, tissue in enumerate(tissues)],
        tissues=tissues,
        split=["train"] * len(tissues),
        regions=pd.DataFrame({"chrom": "chr1", "start": start, "end": start + 5}),
    )


def test_draw_has_the_spread_of_the_model(rng):
    means = np.repeat([[0.1, 0.5, 0.9]], 60_000, axis=1)
    drawn = replace(KNOWN, donor_spread=0.0).draw(means, 0, [], rng).reshape(3, -1)
    logits = np.log(drawn / (1 - drawn))
    # The standard deviation of Student's t with 5 degrees of freedom is sqrt(5 / 3).
    expected = 0.3 * np.exp(-0.8 * (np.array([0.1, 0.5, 0.9]) - 0.5)) * np.sqrt(5 / 3)
    np.testing.assert_allclose(logits.std(axis=1), expected, rtol=0.04)
    np.testing.assert_allclose(logits.mean(axis=1), np.log([1 / 9, 1, 9]), atol=0.01)


def test_donors_vary_more_or_less(rng):
    means = np.full((1, 4000), 0.5)
    drawn = np.stack([KNOWN.draw(means, 0, [], rng) for _ in range(400)])
    spread = np.median(np.abs(np.log(drawn / (1 - drawn))), axis=1)
    assert np.log(spread).std() == pytest.approx(0.25, rel=0.15)


def test_admixture(rng):
    means = np.array([[1.0] * 10, [0.0] * 10, [np.nan] * 10])
    impure = replace(NOTHING, mean_admixture=0.1)
    shares = np.array([1 - impure.draw(means, 0, [1], rng)[0] for _ in range(4000)])
    assert shares.mean() == pytest.approx(0.1, rel=0.1)
    assert 0 <= shares.min() < 0.01
    assert shares.max() <= MAXIMUM_ADMIXTURE
    # What is unknown in the other tissue is taken to be as in the own one.
    np.testing.assert_array_equal(impure.draw(means, 0, [2], rng), 1.0)


def test_other_tissues_are_chosen_at_random(rng):
    means = np.eye(4)
    impure = replace(NOTHING, mean_admixture=5.0)
    seen = np.array([impure.draw(means, 0, [1, 2, 3], rng)[1:] > 0.1 for _ in range(300)])
    assert (seen.sum(axis=1) <= 1).all()
    assert (seen.sum(axis=0) > 50).all()


def test_edges_and_unknown_entries_stay(rng):
    means = np.array([[0.0, 1.0, np.nan, 0.5]])
    drawn = KNOWN.draw(means, 0, [], rng)
    np.testing.assert_array_equal(drawn[:3], [0.0, 1.0, np.nan])
    assert drawn[3] != 0.5


@pytest.mark.parametrize("kind", ["healthy", "tumour"])
def test_shipped_parameters(kind):
    shipped = DonorVariation.shipped(kind)
    assert 0 < shipped.scale < 1
    assert shipped.degrees_of_freedom > 2
    assert 0 <= shipped.mean_admixture < 0.1


def test_tumours_differ_more_than_healthy_cells():
    assert DonorVariation.shipped("tumour").scale > 1.5 * DonorVariation.shipped("healthy").scale


def test_fit_recovers_what_the_donors_were_drawn_with():
    parameters = fit(_drawn(KNOWN), seed=1)["parameters"]
    assert parameters.keys() == {"healthy"}
    found = parameters["healthy"]
    assert found["scale"] == pytest.approx(KNOWN.scale, rel=0.2)
    assert found["tilt"] == pytest.approx(KNOWN.tilt, abs=0.25)
    assert found["degrees_of_freedom"] == pytest.approx(KNOWN.degrees_of_freedom, rel=0.35)
    assert found["donor_spread"] == pytest.approx(KNOWN.donor_spread, abs=0.1)
    assert found["mean_admixture"] < 0.01


def test_fit_tells_admixture_from_independent_variation():
    impure = fit(_drawn(replace(KNOWN, mean_admixture=0.08)), seed=1)["parameters"]["healthy"]
    assert 0.05 < impure["mean_admixture"] < 0.11


def test_variance_between_donors_is_beyond_that_of_reads():
    names = list("ABCDEF")
    assert abs(between_donor_variance(_drawn(NOTHING), names)) < 2e-5
    shallow = between_donor_variance(_drawn(KNOWN, depth=30), names)
    deep = between_donor_variance(_drawn(KNOWN, depth=3000), names)
    assert deep > 2e-4
    assert shallow == pytest.approx(deep, rel=0.1)


def test_fit_needs_replicates():
    with pytest.raises(InputError, match="no tissue has two replicates"):
        fit(_drawn(KNOWN, n_donors=1, n_regions=50), seed=1)


def test_fit_needs_donors_that_differ():
    with pytest.raises(InputError, match="differ no more than reads do"):
        fit(_drawn(NOTHING, depth=1000, seed=2), seed=1)


def test_fit_needs_half_methylated_regions():
    with pytest.raises(InputError, match=r"A: \d+ regions have at least 20 reads in all replicates"):
        fit(_drawn(KNOWN, n_regions=60), seed=1)


def test_pure_donors_look_pure():
    purity = leave_one_out_purity(_drawn(NOTHING, depth=2000, n_donors=3))
    assert purity.shape == (18,)
    assert (purity > 0.97).all()


def test_a_contaminated_donor_is_found():
    reference = _drawn(NOTHING, depth=2000, n_donors=4)
    # Donor 9 (of C) becomes two fifths A.
    mixed = 0.6 * reference.fractions[9] + 0.4 * reference.fractions[0]
    methylated = reference.methylated.copy()
    methylated[9] = np.round(mixed * reference.depth[9])
    proportions = leave_one_out_proportions(replace(reference, methylated=methylated))
    np.testing.assert_allclose(proportions.sum(axis=1), 1)
    assert proportions[9, 0] == pytest.approx(0.4, abs=0.05)
    assert proportions[9, 2] == pytest.approx(0.6, abs=0.05)
    assert leave_one_out_purity(replace(reference, methylated=methylated)).argmin() == 9


def test_the_only_donor_of_a_tissue_cannot_be_checked():
    reference = _drawn(NOTHING, depth=2000, n_donors=2)
    alone = replace(reference, tissues=["Z", *reference.tissues[1:]])
    purity = leave_one_out_purity(alone)
    np.testing.assert_array_equal(np.isnan(purity), [True, True] + [False] * 10)


def test_purity_within_some_tissues():
    reference = _drawn(NOTHING, depth=2000, n_donors=3)
    assert leave_one_out_proportions(reference, ["D", "B"]).shape == (6, 2)
    # Donors come in the reference's order (B before D), columns in the order asked for.
    assert (leave_one_out_proportions(reference, ["D", "B"])[:3, 1] > 0.97).all()
    assert (leave_one_out_purity(reference, ["D", "B"]) > 0.97).all()


def test_replicates_are_read_in_one_order(tmp_path):
    lines = [
        "CHROM START END B-2_METH B-2_DEPTH A-1_METH A-1_DEPTH B-1_METH B-1_DEPTH",
        "chr1 1 5 2 9 3 9 4 9",
    ]
    path = tmp_path / "counts.tsv"
    path.write_text("\n".join(lines).replace(" ", "\t") + "\n")
    reference = read_replicates(path)
    assert reference.donors == ["A-1", "B-1", "B-2"]
    assert reference.methylated.tolist() == [[3], [4], [2]]


@pytest.mark.data
def test_shipped_parameters_are_what_the_fit_gives(data_file):
    path = data_file("metdecode/atlas_with_replicates.tsv.gz")
    shipped = json.loads(files("methmix.reference").joinpath("donor_variation.json").read_text())
    assert content_sha256(path) == shipped.pop("input")["sha256_uncompressed"]
    assert shipped.pop("command").startswith("python -m methmix.reference fit-variation --counts data/metdecode/")
    fitted = fit(read_replicates(path), seed=1)
    assert fitted.keys() == shipped.keys() == {"parameters", "evidence"}
    for kind in ("healthy", "tumour"):
        # Another numpy may draw other donors; the parameters must not hang on that.
        for name, tolerance in {"scale": 0.05, "tilt": 0.1, "degrees_of_freedom": 0.05}.items():
            assert fitted["parameters"][kind][name] == pytest.approx(shipped["parameters"][kind][name], rel=tolerance)
        observed = fitted["evidence"][kind]["between_donor_variance"]["observed"]
        assert observed == pytest.approx(shipped["evidence"][kind]["between_donor_variance"]["observed"], abs=1e-6)


@pytest.mark.parametrize("kind", ["healthy", "tumour"])
def test_model_has_the_observed_variance_along_methylation(kind):
    """The shipped evidence, which the test above holds to the real replicates."""
    shipped = json.loads(files("methmix.reference").joinpath("donor_variation.json").read_text())
    evidence = shipped["evidence"][kind]["between_donor_variance"]
    observed, model = np.array(evidence["observed"]), np.array(evidence["model"])
    # In the highest bin of the shallow tumours nothing is left once the variance of reads is taken off.
    known = observed > 1e-5
    assert known.sum() >= 8
    ratio = model[known] / observed[known]
    assert (ratio > 1 / 2.5).all()
    assert (ratio < 2.5).all()


@pytest.mark.data
def test_published_donors_that_do_not_look_like_their_tissue(data_file):
    reference = read_replicates(data_file("metdecode/atlas_with_replicates.tsv.gz"))
    purity = dict(zip(reference.donors, leave_one_out_purity(reference), strict=True))
    assert purity["BRCA-2"] < 0.4
    assert purity["COAD-1"] < 0.5
    assert sum(value < 0.7 for value in purity.values()) == 7
    assert sum(value > 0.9 for value in purity.values()) > 15
