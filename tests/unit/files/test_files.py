"""The HDF5 contract: what is written is read back. That what is damaged is refused is in `test_bad_files`."""

import json
import os
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from methmix.errors import InputError
from methmix.files.atomic import atomic_path, write_text
from methmix.files.mixtures import MixturesWriter, read_mixtures
from methmix.files.reference import Reference, digest, read_reference, write_reference

TISSUES = ["Blood", "Colon", "Liver"]
REGIONS = pd.DataFrame({"chrom": "chr1", "start": np.arange(50) * 10, "end": np.arange(50) * 10 + 5})


def _content(n: int, n_regions: int = 50) -> dict:
    rng = np.random.default_rng(5)
    depth = rng.poisson(2, (n, n_regions))
    methylated = rng.binomial(depth, 0.7)
    with np.errstate(invalid="ignore"):
        methylation = (methylated / depth).astype(np.float32)
    proportions, labels = (rng.dirichlet(np.ones(3), n).astype(np.float32) for _ in range(2))
    info = [{"donors": {"Blood": "Blood-1"}, "mean_depth": 2.0, "seed": i} for i in range(n)]
    truth = {"proportions": proportions, "label_proportions": labels}
    return {"methylation": methylation, "depth": depth, **truth, "info": info}


def _rows(content: dict, start: int, stop: int) -> dict:
    return {name: values[start:stop] for name, values in content.items()}


def _write_mixtures(path: Path, n: int = 12) -> dict:
    content = _content(n)
    with MixturesWriter.open(path, n, REGIONS, TISSUES, {"phase": "phase2", "split": "test", "seed": 1}) as writer:
        writer.append(**_rows(content, 0, 7))
        writer.append(**_rows(content, 7, n))
    return content


@pytest.fixture
def reference_file(reference, tmp_path) -> Path:
    path = tmp_path / "reference.h5"
    write_reference(path, reference)
    return path


@pytest.fixture
def mixtures_file(tmp_path) -> Path:
    path = tmp_path / "mixtures.h5"
    _write_mixtures(path)
    return path


def test_reference_is_read_back(reference, reference_file):
    found = read_reference(reference_file)
    np.testing.assert_array_equal(found.methylated, reference.methylated)
    np.testing.assert_array_equal(found.depth, reference.depth)
    pd.testing.assert_frame_equal(found.regions, reference.regions, check_dtype=False)
    for name in ("donors", "tissues", "split", "tissue_names", "digest"):
        assert getattr(found, name) == getattr(reference, name)
    assert json.loads(found.attributes["notes"]) == json.loads(reference.attributes["notes"])
    assert found.attributes["seed"] == 3


def test_cpg_indices_are_read_back_and_change_no_digest(reference, tmp_path):
    regions = reference.regions.assign(start_cpg=np.arange(400) + 7, end_cpg=np.arange(400) + 9)
    indexed = replace(reference, regions=regions, attributes={**reference.attributes, "measure": "fragment"})
    write_reference(tmp_path / "indexed.h5", indexed)
    found = read_reference(tmp_path / "indexed.h5")
    pd.testing.assert_frame_equal(found.regions, regions, check_dtype=False)
    assert found.regions["end_cpg"].dtype == np.int64
    assert (found.measure, reference.measure) == ("fragment", "cpg")
    assert (found.digest, found.content_digest) == (reference.digest, reference.content_digest)


def test_reference_of_an_older_version_counts_cpgs(reference, tmp_path):
    old = {name: value for name, value in reference.attributes.items() if name != "measure"}
    write_reference(tmp_path / "old.h5", replace(reference, attributes=old))
    assert read_reference(tmp_path / "old.h5").measure == "cpg"


def test_mixtures_are_read_back(tmp_path):
    content = _write_mixtures(tmp_path / "mixtures.h5")
    found = read_mixtures(tmp_path / "mixtures.h5")
    np.testing.assert_array_equal(found.methylation[:], content["methylation"])
    np.testing.assert_array_equal(found.depth[:], content["depth"])
    np.testing.assert_array_equal(found.proportions, content["proportions"])
    np.testing.assert_array_equal(found.label_proportions, content["label_proportions"])
    assert found.info == content["info"]
    assert found.tissue_names == TISSUES
    assert len(found) == 12
    for name, value in {"n_tissues": 3, "n_regions": 50, "n_mixtures": 12, "phase": "phase2"}.items():
        assert found.attributes[name] == value


def test_contract_names_and_types(reference_file, mixtures_file):
    with h5py.File(reference_file) as file:
        assert file["methylated"].shape == file["depth"].shape == (24, 400)
        assert set(file["regions"]) == {"chrom", "start", "end"}
        assert {"source", "seed", "genome", "versions", "sha256", "schema_version"} <= set(file.attrs)
    with h5py.File(mixtures_file) as file:
        assert file["mixed_methylation"].dtype == file["true_proportions"].dtype == np.float32
        assert json.loads(file["mixture_info"].asstr()[0])["seed"] == 0
        expected = {"tissue_names", "n_tissues", "n_regions", "n_mixtures", "phase", "split", "seed"}
        assert expected | {"schema_version"} <= set(file.attrs)


def test_same_content_same_bytes(reference, reference_file, tmp_path):
    write_reference(tmp_path / "again.h5", reference)
    assert (tmp_path / "again.h5").read_bytes() == reference_file.read_bytes()
    _write_mixtures(tmp_path / "one.h5")
    _write_mixtures(tmp_path / "two.h5")
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def test_very_deep_reads_are_capped_not_wrapped(tmp_path):
    content = _content(1)
    content["depth"] = np.where(content["depth"] > 0, 70_000, 0)
    with MixturesWriter.open(tmp_path / "deep.h5", 1, REGIONS, TISSUES, {}) as writer:
        writer.append(**content)
    assert read_mixtures(tmp_path / "deep.h5").depth[:].max() == 65_535


@pytest.mark.parametrize("read", [read_reference, read_mixtures])
def test_missing_file(read, tmp_path):
    with pytest.raises(InputError, match=r"absent\.h5: there is no such file\n  it is made by python -m methmix"):
        read(tmp_path / "absent.h5")


def test_nothing_is_left_after_a_failure(tmp_path):
    path = tmp_path / "folder" / "mixtures.h5"
    content = _content(12)
    with pytest.raises(KeyboardInterrupt), MixturesWriter.open(path, 12, REGIONS, TISSUES, {}) as writer:
        writer.append(**_rows(content, 0, 7))
        raise KeyboardInterrupt
    assert list(path.parent.iterdir()) == []


def test_a_file_with_too_few_mixtures_is_not_kept(tmp_path):
    path = tmp_path / "mixtures.h5"
    made = MixturesWriter.open(path, 12, REGIONS, TISSUES, {})
    with pytest.raises(RuntimeError, match="7 of 12 mixtures"), made as writer:
        writer.append(**_rows(_content(12), 0, 7))
    assert list(tmp_path.iterdir()) == []


def test_the_old_file_survives_a_failure(tmp_path):
    path = tmp_path / "text"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        temporary.write_text("new")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_written_files_have_the_usual_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "text", "")
    finally:
        os.umask(before)
    assert (tmp_path / "text").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("place", ["file/below/out.h5", "file/out.h5"])
def test_folder_that_cannot_be_made(tmp_path, reference, place):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError) as caught:
        write_reference(tmp_path / place, reference)
    assert caught.value.exit_code == 2
    assert str((tmp_path / place).parent) in str(caught.value)
    assert "cannot write here" in str(caught.value)
    assert "make it writable or start elsewhere" in str(caught.value)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs /proc, where even root cannot make folders")
def test_folder_that_cannot_be_written_to(reference):
    with pytest.raises(InputError, match="/proc/methmix: cannot write here"):
        write_reference(Path("/proc/methmix/out.h5"), reference)


def test_fractions_are_missing_where_nothing_was_read(reference):
    assert (np.isnan(reference.fractions[:]) == (reference.depth == 0)).all()
    seen = reference.depth > 0
    expected = reference.methylated[seen] / reference.depth[seen]
    np.testing.assert_allclose(reference.fractions[:][seen], expected, rtol=1e-6)


def _two_donors(methylated, depth) -> Reference:
    regions = pd.DataFrame({"chrom": "chr1", "start": [0, 10], "end": [5, 15]})
    return Reference(np.array(methylated), np.array(depth), ["a", "b"], ["A", "B"], ["train", "train"], regions)


def test_unknown_entries_are_filled_with_the_other_tissues():
    made = _two_donors([[5, 0], [10, 0]], [[10, 0], [10, 0]])
    np.testing.assert_array_equal(made.profiles(), [[0.5, np.nan], [1.0, np.nan]])
    np.testing.assert_array_equal(made.complete_profiles(), [[0.5, 0.5], [1.0, 0.5]])
    made = _two_donors([[5, 0], [10, 8]], [[10, 0], [10, 10]])
    np.testing.assert_allclose(made.complete_profiles(), [[0.5, 0.8], [1.0, 0.8]], atol=1e-7)


def test_donors_count_the_same_whatever_their_depth():
    made = replace(_two_donors([[1, 1], [900, 900]], [[10, 10], [1000, 1000]]), tissues=["A", "A"])
    np.testing.assert_allclose(made.profiles(), [[0.5, 0.5]], atol=1e-7)


def test_digest_depends_on_tissues_and_regions(reference):
    names, regions = reference.tissue_names, reference.region_names
    digests = {
        digest(names, regions),
        digest(names[::-1], regions),
        digest(names, regions[::-1]),
        digest(names[:-1], regions),
        digest([*names, regions[0]], regions[1:]),
    }
    assert len(digests) == 5
    assert reference.digest == digest(names, regions)


def test_composition_is_read_back_and_told_from_labels(reference, tmp_path):
    known = read_back(reference, tmp_path / "known.h5")
    np.testing.assert_array_equal(known.composition, reference.composition)
    assert known.known_composition is not None and (known.composition.max(axis=1) < 1).any()
    real = read_back(replace(reference, known_composition=None), tmp_path / "real.h5")
    assert real.known_composition is None
    assert [real.tissue_names[column] for column in real.composition.argmax(axis=1)] == real.tissues
    assert (real.composition.max(axis=1) == 1).all()
    with h5py.File(tmp_path / "real.h5") as file:
        assert not file.attrs["composition_known"] and file["composition"].shape == real.composition.shape


@pytest.mark.parametrize(
    ("change", "message"),
    [(lambda c: 0.5 * c, "rows >= 0 that sum to 1"), (lambda c: c[:, 1:], r"composition has shape \(24, 5\)")],
)
def test_an_impossible_composition_is_refused(reference, change, message):
    with pytest.raises(InputError, match=message):
        replace(reference, known_composition=change(reference.composition))


def read_back(reference, path):
    write_reference(path, reference)
    return read_reference(path)
