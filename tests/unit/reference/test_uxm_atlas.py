"""Source ``uxm_atlas``: a table of means, its unknown entries, and the donors drawn around it."""

import json
from pathlib import Path

import numpy as np
import pytest

from methmix.config.experiment import Experiment
from methmix.config.sources import UxmAtlasReference
from methmix.errors import InputError
from methmix.formats.region_tables import read_atlas
from methmix.reference.build import build_reference
from methmix.reference.uxm_atlas import read_atlas_donors
from methmix.reference.variation import DonorVariation

GOOD = """\
chr start end startCpG endCpG target name direction Liver Colon Blood
chr1 100 200 1 5 Liver chr1:100-200 U 0.9 0.1 0.0
chr1 300 400 7 12 Colon chr1:300-400 U 0.0 0.75 NA
chr2 100 200 50 55 Blood chr2:100-200 U 0.2 0.3 1.0
"""


def read_uxm_atlas(path: Path):
    atlas = read_atlas(path)
    methylation, known = atlas.all()
    return atlas.names, atlas.regions, np.where(known, methylation, np.nan)


def _table(path: Path, text: str = GOOD) -> Path:
    path.write_text(text.replace(" ", "\t"))
    return path


def _settings(path: Path, **changes) -> UxmAtlasReference:
    return UxmAtlasReference.model_validate(
        {
            "source": "uxm_atlas",
            "file": str(path),
            "genome": "hg38",
            "donors_per_tissue": 3,
            "pseudo_depth": 30,
            "donor_variation": "healthy",
            "split": {"validation": 0.2, "test": 0.2, "allow_single_donor": False},
            **changes,
        }
    )


def test_good_table(tmp_path):
    tissues, regions, methylation = read_uxm_atlas(_table(tmp_path / "atlas.tsv"))
    assert tissues == ["Liver", "Colon", "Blood"]
    assert list(regions) == ["chrom", "start", "end", "start_cpg", "end_cpg"]
    assert regions.to_numpy().tolist() == [
        ["chr1", 100, 200, 1, 5],
        ["chr1", 300, 400, 7, 12],
        ["chr2", 100, 200, 50, 55],
    ]
    np.testing.assert_allclose(methylation, [[0.1, 1.0, 0.8], [0.9, 0.25, 0.7], [1.0, np.nan, 0.0]])


def test_values_of_methylated_markers_are_methylation(tmp_path):
    path = _table(tmp_path / "atlas.tsv", GOOD.replace("chr1:300-400 U", "chr1:300-400 M"))
    np.testing.assert_allclose(read_uxm_atlas(path)[2][:, 1], [0.0, 0.75, np.nan])


def test_marker_of_two_tissues_is_one_region(tmp_path):
    shared = "chr1 100 200 1 5 Blood chr1:100-200 U 0.9 0.1 0.0\n"
    _, regions, methylation = read_uxm_atlas(_table(tmp_path / "atlas.tsv", GOOD + shared))
    assert len(regions) == methylation.shape[1] == 3


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ("0.0 0.75 NA", "0.0 1.75 NA", ["line 3, column Colon", "fraction 0-1 or NA", "found 1.75"]),
        ("0.0 0.75 NA", "0.0 -0.1 NA", ["line 3, column Colon", "found -0.1"]),
        ("0.0 0.75 NA", "0.0 much NA", ["line 3, column Colon", "'much'"]),
        ("0.0 0.75 NA", "0.0 inf NA", ["line 3, column Colon", "found inf"]),
        ("chr1 300 400", "chr1 300 four", ["line 3, column end", "whole number", "'four'"]),
        ("chr1 300 400", "chr1 NA 400", ["line 3, column start", "whole number"]),
        ("chr1 300 400 7", "chr1 300 400 NA", ["line 3, column startCpG", "whole number"]),
        ("chr2 100 200", "chr1 300 400", ["line 4: duplicate region chr1:300-400"]),
        ("chr1:300-400 U", "chr1:300-400 X", ["line 3, column direction: expected U or M, found 'X'"]),
        ("Colon Blood", "Colon Colon", ["duplicate column Colon"]),
        ("direction Liver", "sense Liver", ["column direction is missing"]),
        (" Liver Colon Blood", " Liver Colon", ["line 2 has 11 columns, the header has 10"]),
    ],
)
def test_bad_table(tmp_path, old, new, fragments):
    assert old in GOOD
    path = _table(tmp_path / "bad.tsv", GOOD.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        read_uxm_atlas(path)
    for fragment in [str(path), *fragments]:
        assert fragment in str(caught.value)


def test_tissue_without_any_value(tmp_path):
    lines = [line.rsplit(" ", 1)[0] for line in GOOD.splitlines()]
    text = "\n".join([f"{lines[0]} Blood", *(f"{line} NA" for line in lines[1:])])
    with pytest.raises(InputError, match="tissue Blood has no value in any region\n  remove the column"):
        read_atlas_donors(_settings(_table(tmp_path / "bad.tsv", text)), np.random.default_rng())


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("", "is empty"),
        (GOOD.splitlines()[0], "has a header but no regions"),
        (
            "\n".join(line.rsplit(" ", 2)[0] for line in GOOD.splitlines()),
            "at least two tissue columns, found 1",
        ),
    ],
)
def test_empty_table(tmp_path, text, fragment):
    with pytest.raises(InputError, match=fragment):
        read_uxm_atlas(_table(tmp_path / "bad.tsv", text))


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        read_uxm_atlas(tmp_path / "absent.tsv")


def test_unknown_stays_unknown(tmp_path, rng):
    path = _table(tmp_path / "atlas.tsv")
    drawn = read_atlas_donors(_settings(path), rng)
    methylated, depth = drawn.methylated, drawn.depth
    assert drawn.names[:4] == ["Liver-1", "Liver-2", "Liver-3", "Colon-1"]
    assert drawn.tissues == ["Liver"] * 3 + ["Colon"] * 3 + ["Blood"] * 3
    unknown = np.zeros((9, 3), dtype=bool)
    unknown[6:, 1] = True
    np.testing.assert_array_equal(depth, np.where(unknown, 0, 30))
    assert (methylated <= depth).all()


def test_donors_lie_around_the_mean(rng):
    means = np.repeat([[0.2, 0.5, 0.9], [0.9, 0.8, 0.1]], 2000, axis=1)
    variation = DonorVariation.shipped("healthy")
    _, _, methylated, depth, _ = variation.draw_donors(
        ["A", "B"], [20, 20], means, lambda own: np.full(own.shape, 1000), rng
    )
    fractions = (methylated / depth)[:20].reshape(20, 3, 2000)
    np.testing.assert_allclose(fractions.mean(axis=(0, 2)), [0.2, 0.5, 0.9], atol=0.03)
    # Reads alone would give a standard deviation of at most 0.016.
    assert (fractions.std(axis=(0, 2)) > 0.02).all()


def test_reference_says_that_donors_are_drawn(tmp_path, settings):
    source = _settings(_table(tmp_path / "atlas.tsv"))
    experiment = Experiment.model_validate({**settings, "reference": source.model_dump()})
    reference = build_reference(experiment)
    notes = json.loads(reference.attributes["notes"])
    assert reference.measure == "fragment"
    assert any("donors are drawn" in note and "pseudo-depth 30" in note for note in notes)
    # The tissue that is not known in the second region does not make it unknown for the others.
    np.testing.assert_array_equal(np.isnan(reference.profiles()).sum(axis=1), [1, 0, 0])
    assert not np.isnan(reference.complete_profiles()).any()


@pytest.mark.data
def test_published_atlases(data_file):
    tissues, regions, methylation = read_uxm_atlas(data_file("loyfer_uxm/Atlas.U250.l4.hg38.full.tsv.gz"))
    # One region is the marker of two tissues.
    assert (len(tissues), len(regions)) == (40, 9_519)
    assert 0.02 < np.isnan(methylation).mean() < 0.1
    tissues, regions, _ = read_uxm_atlas(data_file("loyfer_uxm/Atlas.U25.l4.hg19.tsv.gz"))
    assert (len(tissues), len(regions)) == (36, 900)


def test_an_atlas_of_an_array_is_a_reference_by_configuration(tmp_path, rng, settings):
    means = rng.random((60, 3)).round(3)
    rows = "".join(f"cg{n:08d},{a},{b},{c}\n" for n, (a, b, c) in enumerate(means))
    path = tmp_path / "atlas.csv"
    path.write_text("CpGs,Monocytes_EPIC,B-cells_EPIC,Hepatocytes\n" + rows + "cg00000007_TC12,NA,NA,1\n")
    source = _settings(path).model_dump() | {"source": "array_atlas", "genome": "none (probes)"}
    reference = build_reference(Experiment.model_validate({**settings, "reference": source}))
    assert reference.measure == "cpg" and reference.tissue_names == ["B-cells_EPIC", "Hepatocytes", "Monocytes_EPIC"]
    assert reference.region_names[:2] == ["cg00000000:0-1", "cg00000001:0-1"] and len(reference.regions) == 60
    of_liver = reference.fractions[np.array(reference.tissues) == "Hepatocytes"].mean(axis=0)
    expected = np.where(np.arange(60) == 7, (means[:, 2] + 1) / 2, means[:, 2])
    assert np.corrcoef(of_liver, expected)[0, 1] > 0.9
