"""Source ``pattern_h5``: calls counted block by block, and copies that are no donors."""

import json
from math import prod
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from methmix.config.experiment import Experiment
from methmix.errors import InputError
from methmix.files.reference import Reference
from methmix.reference import pattern_h5
from methmix.reference.build import build_reference
from methmix.reference.pattern_h5 import BLOCK_BYTES, blocks, count_calls

N_REGIONS, N_POSITIONS = 7, 5
HEADER = "sample_name,tissue_top_level,aug_version,is_synthetic,original_sample"
SAMPLES = [
    "L1,Liver,0,False,L1",
    "L1_aug1,Liver,1,False,L1",
    "L2,Liver,0,False,L2",
    "B1_aug1,Blood,1,False,B1",
    "B1_syn,Blood,0,True,B1",
    "B2,Blood,0,False,B2",
    "B3_aug3,Blood,3,True,B3",
    "B3,Blood,0,False,B3",
]


@pytest.fixture
def calls() -> np.ndarray:
    return np.random.default_rng(2).integers(0, 3, (len(SAMPLES), N_REGIONS, N_POSITIONS)).astype(np.uint8)


def _metadata(folder: Path, rows: list[str], header: str = HEADER) -> Path:
    path = folder / "metadata.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.fixture
def files(tmp_path, calls) -> dict[str, Path]:
    bed = tmp_path / "regions.bed"
    bed.write_text("# made by hand\n" + "".join(f"chr1\t{100 * i}\t{100 * i + 50}\textra\n" for i in range(N_REGIONS)))
    with h5py.File(tmp_path / "patterns.h5", "w") as file:
        file.create_dataset("methylation", data=calls, chunks=(3, 2, 4), compression="gzip")
    return {"file": tmp_path / "patterns.h5", "metadata": _metadata(tmp_path, SAMPLES), "regions_bed": bed}


@pytest.fixture
def build(settings, files):
    def make(**changes) -> Reference:
        source = {
            "source": "pattern_h5",
            **{name: str(path) for name, path in files.items()},
            "genome": "hg19",
            "split": {"validation": 0.2, "test": 0.2, "allow_single_donor": False},
            **changes,
        }
        return build_reference(Experiment.model_validate({**settings, "reference": source}))

    return make


def test_originals_are_the_donors(build, calls):
    reference = build()
    assert reference.donors == ["B1", "B2", "B3", "L1", "L2"]
    assert reference.tissues == ["Blood"] * 3 + ["Liver"] * 2
    # B1 is there as two copies only, which are summed; L1 and B3 are themselves, without their copies.
    rows = [[3, 4], [5], [7], [0], [2]]
    np.testing.assert_array_equal(reference.methylated, [(calls[own] == 1).sum(axis=(0, 2)) for own in rows])
    np.testing.assert_array_equal(reference.depth, [(calls[own] < 2).sum(axis=(0, 2)) for own in rows])
    assert reference.region_names[:2] == ["chr1:0-50", "chr1:100-150"]
    notes = json.loads(reference.attributes["notes"])
    assert "2 augmented or synthetic samples are left out: they are no further donors" in notes
    assert "there are only copies of B1: the counts of each one's copies are summed" in notes
    assert set(json.loads(reference.attributes["sha256"])) == {"patterns.h5", "metadata.csv", "regions.bed"}


def test_every_copy_is_in_the_split_of_its_original(settings, build, tmp_path, calls):
    """Whatever rows there are of an original, it is one donor, so that nothing of it can be in two splits."""
    _metadata(tmp_path, [row.replace(",0,False", ",2,False") for row in SAMPLES])
    for seed in range(5):
        settings["seed"] = seed
        reference = build()
        assert reference.donors == ["B1", "B2", "B3", "L1", "L2"]
        np.testing.assert_array_equal(reference.depth[3], (calls[:2] < 2).sum(axis=(0, 2)))


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [
        ((765, 51_089, 150), None),
        ((765, 51_089, 150), (1, 51_089, 150)),
        ((765, 51_089, 150), (24, 1_597, 5)),
        ((765, 51_089, 150), (765, 64, 150)),
        ((765, 51_089, 150), (1, 64, 1)),
    ],
)
def test_blocks_of_the_full_size_are_small_and_read_each_chunk_once(shape, chunks):
    made = list(blocks(shape, chunks))
    sizes = [[part.stop - part.start for part in block] for block in made]
    assert sum(map(prod, sizes)) == prod(shape)
    assert max(map(prod, sizes)) <= BLOCK_BYTES
    for block in made:
        for part, step, end in zip(block, chunks or (1, 1, 1), shape, strict=True):
            assert part.start % step == 0 and (part.stop % step == 0 or part.stop == end)


def test_chunk_that_is_larger_than_a_block_is_read_alone():
    assert max(prod(part.stop - part.start for part in b) for b in blocks((40, 9000, 150), (20, 3000, 150))) == (
        20 * 3000 * 150
    )


class _Recorder:
    """A dataset that notes how many bytes each slice of it has."""

    def __init__(self, calls: np.ndarray, chunks: tuple[int, int, int]) -> None:
        self._calls, self.shape, self.chunks, self.asked = calls, calls.shape, chunks, []

    def __getitem__(self, key: tuple[slice, ...]) -> np.ndarray:
        self.asked.append(self._calls[key].nbytes)
        return self._calls[key]


@pytest.mark.parametrize("limit", [1, 30, 100, 10_000])
def test_never_more_than_a_block_is_asked_for(calls, limit, monkeypatch):
    monkeypatch.setattr(pattern_h5, "BLOCK_BYTES", limit)
    dataset = _Recorder(calls, (2, 3, 2))
    methylated, depth = count_calls(Path("x.h5"), dataset, {1: 0, 5: 1, 7: 0}, 2)
    assert max(dataset.asked) <= max(limit, 12)
    # The samples 2 and 3 are of no donor: their blocks are not read.
    assert sum(dataset.asked) <= calls.nbytes * 3 / 4
    np.testing.assert_array_equal(methylated, [(calls[own] == 1).sum(axis=(0, 2)) for own in ([1, 7], [5])])
    np.testing.assert_array_equal(depth, [(calls[own] < 2).sum(axis=(0, 2)) for own in ([1, 7], [5])])


@pytest.mark.parametrize(
    ("row", "new", "fragments"),
    [
        (2, "L1,Liver,0,False,L2", ["line 4: duplicate sample_name"]),
        (2, "L2,,0,False,L2", ["line 4: tissue_top_level is empty"]),
        (2, "L2,Liver,0,False,", ["line 4: original_sample is empty", "is its own original_sample"]),
        (2, "L2,Liver,first,False,L2", ["line 4: aug_version: expected a whole number"]),
        (2, "L2,Liver,0,maybe,L2", ["line 4: is_synthetic: expected True or False"]),
        (1, "L1_aug1,Lung,1,False,L1", ["original_sample L1 are of different tissues"]),
    ],
)
def test_bad_metadata(build, tmp_path, row, new, fragments):
    _metadata(tmp_path, [*SAMPLES[:row], new, *SAMPLES[row + 1 :]])
    with pytest.raises(InputError) as caught:
        build()
    for fragment in ["metadata.csv", *fragments]:
        assert fragment in str(caught.value)


def test_metadata_that_does_not_match(build, tmp_path):
    _metadata(tmp_path, SAMPLES[:-1])
    with pytest.raises(InputError, match=r"metadata\.csv: has 7 rows, but .*patterns\.h5 has 8 samples"):
        build()
    _metadata(tmp_path, SAMPLES, HEADER.replace("is_synthetic", "synthetic"))
    with pytest.raises(InputError, match="column is_synthetic is missing; found sample_name"):
        build()
    (tmp_path / "metadata.csv").write_text("")
    with pytest.raises(InputError, match=r"metadata\.csv: is empty"):
        build()


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("chr1 0 50\nchr1 100 150\n", r"has 2 rows, but .*patterns\.h5 has 7 regions"),
        ("chrom start end\nchr1 0 50\n", "line 1, column start: expected a whole number"),
        ("chr1 0 50\nchr1 100\n", "line 2 has 2 columns, the first row has 3"),
        ("chr1 0 50\nchr1 0 50\n", "line 2: duplicate region chr1:0-50"),
        ("chr1 50 50\n", "line 1: end must be larger than start"),
        ("# nothing\n", "has nothing but comments"),
    ],
)
def test_bad_regions(build, files, text, fragment):
    files["regions_bed"].write_text(text.replace(" ", "\t"))
    with pytest.raises(InputError, match=fragment):
        build()


def test_bad_patterns(build, files, calls):
    content = files["file"].read_bytes()
    files["file"].write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"patterns\.h5: is truncated or not HDF5"):
        build()
    for name, data, fragment in (
        ("methylation", calls[0], "dataset methylation: expected 3 axes"),
        ("patterns", calls, "dataset methylation is missing"),
        ("methylation", calls.astype(np.float32), "methylation: expected uint8"),
        ("methylation", np.where(np.arange(calls.size).reshape(calls.shape) == 74, 9, calls).astype(np.uint8),
         r"sample 2, region 0 \(from 0\): expected 0, 1 or 2, found 9"),
    ):  # fmt: skip
        with h5py.File(files["file"], "w") as file:
            file[name] = data
        with pytest.raises(InputError, match=fragment):
            build()


def test_damaged_chunk(build, files):
    with h5py.File(files["file"]) as file:
        chunk = file["methylation"].id.get_chunk_info(3)
    content = bytearray(files["file"].read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\xaa" * chunk.size
    files["file"].write_bytes(bytes(content))
    with pytest.raises(InputError, match="cannot be read to its end, it is damaged"):
        build()


def test_regions_bed_is_needed(settings, build):
    with pytest.raises(ValueError, match="regions_bed"):
        build(regions_bed=None)


def test_metadata_may_say_truth_in_numbers(build, files):
    table = pd.read_csv(files["metadata"])
    expected = build().content_digest
    table.assign(is_synthetic=table["is_synthetic"].astype(int)).to_csv(files["metadata"], index=False)
    assert build().content_digest == expected
