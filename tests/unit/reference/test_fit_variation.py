"""The fit of the variation between donors to real replicates."""

import json
from dataclasses import replace
from importlib.resources import files

import pytest
from experiments import KNOWN_VARIATION, NO_VARIATION, between_donor_variance, drawn_donors

from methmix.errors import InputError
from methmix.reference.download import content_sha256
from methmix.reference.fit_variation import fit, read_replicates


@pytest.mark.slow
def test_fit_recovers_what_the_donors_were_drawn_with():
    parameters = fit(drawn_donors(KNOWN_VARIATION), seed=1)["parameters"]
    assert parameters.keys() == {"healthy"}
    found = parameters["healthy"]
    assert found["scale"] == pytest.approx(KNOWN_VARIATION.scale, rel=0.2)
    assert found["tilt"] == pytest.approx(KNOWN_VARIATION.tilt, abs=0.25)
    assert found["degrees_of_freedom"] == pytest.approx(KNOWN_VARIATION.degrees_of_freedom, rel=0.35)
    assert found["donor_spread"] == pytest.approx(KNOWN_VARIATION.donor_spread, abs=0.1)
    assert found["mean_admixture"] < 0.01


@pytest.mark.slow
@pytest.mark.long
def test_fit_distinguishes_admixture_from_independent_variation():
    impure = fit(drawn_donors(replace(KNOWN_VARIATION, mean_admixture=0.08)), seed=1)["parameters"]["healthy"]
    assert 0.05 < impure["mean_admixture"] < 0.11


def test_variance_between_donors_is_beyond_that_of_reads():
    names = list("ABCDEF")
    assert abs(between_donor_variance(drawn_donors(NO_VARIATION), names)) < 2e-5
    shallow = between_donor_variance(drawn_donors(KNOWN_VARIATION, depth=30), names)
    deep = between_donor_variance(drawn_donors(KNOWN_VARIATION, depth=3000), names)
    assert deep > 2e-4
    assert shallow == pytest.approx(deep, rel=0.1)


def test_fit_needs_replicates():
    with pytest.raises(InputError, match="no tissue has two replicates"):
        fit(drawn_donors(KNOWN_VARIATION, n_donors=1, n_regions=50), seed=1)


@pytest.mark.slow
def test_fit_needs_donors_that_differ():
    with pytest.raises(InputError, match="differ no more than reads do"):
        fit(drawn_donors(NO_VARIATION, depth=1000, seed=2), seed=1)


def test_fit_needs_half_methylated_regions():
    with pytest.raises(InputError, match=r"A: \d+ regions have at least 20 reads in all replicates"):
        fit(drawn_donors(KNOWN_VARIATION, n_regions=60), seed=1)


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
@pytest.mark.slow
@pytest.mark.long
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
