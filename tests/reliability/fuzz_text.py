"""Good text and sample files, to be mutated: each with its writer and its reader, whose result is a table of cells.

A cell is what one place of a file says, by its names: so that a result can be compared with that of the good file, and
what has changed counted.
"""

import atexit
import gzip
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pysam

from methmix.config.sources import DonorFilesReference, PatternH5Reference
from methmix.formats.bed import cpg_regions, read_bed
from methmix.formats.counts import Counts, Request
from methmix.formats.file_formats import read_as
from methmix.formats.region_tables import read_atlas
from methmix.formats.regions import RegionSet
from methmix.formats.samples import open_samples
from methmix.prediction.restrictions import excluded_regions
from methmix.reference.donor_files import read_donor_files
from methmix.reference.donors import DonorCounts, read_donor_sheet
from methmix.reference.pattern_h5 import read_pattern_donors
from methmix.samples.sample_sheet import read_sheet

from .mutations import Target

N_REGIONS, LENGTH, CPGS = 12, 200, 6
CHROM = ["chr1"] * (N_REGIONS // 2) + ["chr2"] * (N_REGIONS // 2)
START = 1_000_000 + 20_000 * np.arange(N_REGIONS)
FIRST_CPG = 100 + 40 * np.arange(N_REGIONS)
REGIONS = RegionSet(CHROM, START, START + LENGTH, "hg38", FIRST_CPG, FIRST_CPG + CPGS, "cpg")
PLACES = list(zip(CHROM, START.tolist(), (START + LENGTH).tolist(), strict=True))
SAMPLES = ("plasma-1", "plasma-2", "O'Neill")
TISSUES = ("Blood", "Liver", "Colon")
PROBES = [f"cg{number:08d}" for number in range(N_REGIONS)]
PROBE_SET = RegionSet(PROBES, np.zeros(N_REGIONS, int), np.ones(N_REGIONS, int), "none (probes)", None, None, "cpg")

rng = np.random.default_rng(18)
DEPTH = rng.integers(5, 60, (N_REGIONS, len(SAMPLES)))
METHYLATED = rng.binomial(DEPTH, np.where(np.arange(N_REGIONS) % 3, 0.9, 0.1)[:, None])
FRACTION = np.round(METHYLATED / DEPTH, 3)
# Chromosome, place of the cytosine from 0, methylated and all reads.
CPG_READS = [
    (chrom, start + 7 * number, int(rng.binomial(20, 0.2 + 0.05 * row)), 20)
    for row, (chrom, start, _) in enumerate(PLACES)
    for number in range(CPGS)
]


def table(header: list[str], rows: list[list[Any]], separator: str = "\t") -> str:
    return "".join(separator.join(map(str, row)) + "\n" for row in [header, *rows] if row)


def by_row(values: list[list[Any]], cpgs: bool = False) -> list[list[Any]]:
    """Put the place of each region before its values."""
    indices = [[first, first + CPGS] if cpgs else [] for first in FIRST_CPG.tolist()]
    return [[*place, *index, *row] for place, index, row in zip(PLACES, indices, values, strict=True)]


def counts_text() -> str:
    header = ["CHROM", "START", "END", *(f"{name}_{what}" for name in SAMPLES for what in ("METH", "DEPTH"))]
    reads = np.stack([METHYLATED, DEPTH], axis=2).reshape(N_REGIONS, -1).astype(object)
    reads[3, :2] = "NA"
    return table(header, by_row(reads.tolist()))


def fractions(names: tuple[str, ...]) -> list[list[Any]]:
    found = FRACTION.astype(object)[:, : len(names)]
    found[4, 1] = "NA"
    return found.tolist()


def beta_text() -> str:
    return table(["chr", "start", "end", "startCpG", "endCpG", *SAMPLES], by_row(fractions(SAMPLES), cpgs=True))


def probes_text() -> str:
    values = [[probe, *row] for probe, row in zip(PROBES, fractions(SAMPLES), strict=True)]
    return table(["IlmnID", *SAMPLES], values, ",")


def atlas_text() -> str:
    header = ["chr", "start", "end", "startCpG", "endCpG", "target", "name", "direction", *TISSUES]
    values = [[TISSUES[n % 3], f"r{n}", "UM"[n % 2], *row] for n, row in enumerate(fractions(TISSUES))]
    return table(header, by_row(values, cpgs=True))


def coverage_text(first: int = 1, span: int = 0) -> str:
    lines = [[c, at + first, at + first + span, 100 * m / d, m, d - m] for c, at, m, d in CPG_READS]
    return table([], lines)


def methyldackel_text() -> str:
    return 'track type="bedGraph" description="plasma CpG methylation levels"\n' + table(
        [], [[c, at, at + 1, round(100 * m / d), m, d - m] for c, at, m, d in CPG_READS]
    )


def bedmethyl_text() -> str:
    lines = []
    for chrom, at, methylated, depth in CPG_READS:
        other = min(2, depth - methylated)
        for code, modified, rest in (("h", other, methylated), ("m", methylated, other)):
            place = [chrom, at, at + 1, code, depth, "+", at, at + 1, "255,0,0"]
            reads = [depth, f"{100 * modified / depth:.2f}", modified, depth - methylated - other, rest, 0, 1, 0, 0]
            lines.append([*place, *reads])
    return table([], lines)


def encode_text() -> str:
    return table(
        [],
        [
            [c, at, at + 1, ".", d, "+", at, at + 1, "0,0,0", d, round(100 * m / d)]
            for c, at, m, d in CPG_READS
        ],
    )  # fmt: skip


def report_text() -> str:
    lines = []
    for chrom, at, methylated, depth in CPG_READS:
        lines.append([chrom, at + 1, "+", methylated, depth - methylated, "CG", "CGA"])
        lines.append([chrom, at + 4, "-", 0, depth, "CHH", "CTT"])
    return table([], lines)


def allc_text() -> str:
    return table([], [[c, at + 1, "+", "CGT", m, d, 1] for c, at, m, d in CPG_READS])


def cgmap_text() -> str:
    return table([], [[c, "C", at + 1, "CG", "CG", f"{m / d:.2f}", m, d] for c, at, m, d in CPG_READS])


def pacbio_text() -> str:
    return "#chrom\tbegin\tend\tscore\ttype\tcov\tmod\tunmod\tdisc\n" + table(
        [], [[c, at, at + 1, 50.1, "Total", d, m, d - m, f"{100 * m / d:.1f}"] for c, at, m, d in CPG_READS]
    )


def pat_text() -> str:
    rows = []
    for chrom, first in zip(CHROM, FIRST_CPG.tolist(), strict=True):
        rows += [[chrom, first, "CCTT.C", 3], [chrom, first + 1, "TTTTT", 2], [chrom, first + 4, "CC", 1]]
    return table([], rows)


def bed_text() -> str:
    return table([], by_row([[f"r{n}"] for n in range(N_REGIONS)], cpgs=True))


def samples_text() -> str:
    header = ["sample", "file", "patient", "date", "name_in_file", "group", "batch"]
    rows = [[f"s{n}", f"in/{n}.tsv", f"P{n % 2}", f"2026-0{n + 1}-15", name, "AB"[n % 2], ""] for n, name in
            enumerate(SAMPLES)]  # fmt: skip
    return table(header, rows)


def donors_text() -> str:
    rows = [[f"d{n}", TISSUES[n % 3], ("train", "validation", "test")[n // 3]] for n in range(9)]
    return table(["donor", "tissue", "split"], rows)


def files_text() -> str:
    return table(["donor", "tissue", "file"], [["d0", "Blood", "a.cov"], ["d1", "Liver", "b.beta"]])


def metadata_text() -> str:
    rows = [[f"s{n}", TISSUES[n % 3], n // 6, ("False", "True")[n // 6], f"s{n % 6}"] for n in range(8)]
    return table(["sample_name", "tissue_top_level", "aug_version", "is_synthetic", "original_sample"], rows, ",")


def beta_bytes() -> bytes:
    pairs = np.zeros((600, 2), dtype=np.uint8)
    pairs[:, 1] = 30
    pairs[:, 0] = np.arange(600) % 31
    return pairs.tobytes()


@cache
def beside() -> Path:
    """Make the files that sheets and indices belong to, once; they are never mutated."""
    folder = Path(tempfile.mkdtemp(prefix="methmix.fuzz."))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "a.cov").write_text(coverage_text())
    (folder / "b.beta").write_bytes(beta_bytes())
    (folder / "regions.bed").write_text(bed_text())
    with h5py.File(folder / "calls.h5", "w") as file:
        file["methylation"] = np.random.default_rng(2).integers(0, 3, (8, N_REGIONS, 4)).astype(np.uint8)
    indexed(folder / "indexed.cov.gz")
    return folder


def indexed(path: Path) -> None:
    plain = path.with_suffix(".plain")
    plain.write_text(coverage_text())
    pysam.tabix_compress(str(plain), str(path), force=True)
    plain.unlink()
    pysam.tabix_index(str(path), force=True, seq_col=0, start_col=1, end_col=2)


def cells(names: list[str], places: list[str], methylated: Any, depth: Any, notes: Any = ()) -> dict[str, Any]:
    """Give methylated and depth by sample and region, and what is said of them."""
    found = {
        f"{name} {place}": (float(methylated[row, column]), float(depth[row, column]))
        for row, name in enumerate(names)
        for column, place in enumerate(places)
        if depth[row, column]
    }
    return {**found, "notes": sorted(notes)}


def sample_cells(path: Path, regions: RegionSet = REGIONS) -> dict[str, Any]:
    with open_samples(path, regions) as samples:
        return cells(
            samples.names, [regions.name(row) for row in range(len(regions))], *samples.counts.all(), samples.notes
        )


def probe_cells(path: Path) -> dict[str, Any]:
    return sample_cells(path, PROBE_SET)


def own_cells(counts: Counts) -> dict[str, Any]:
    places = [f"{c}:{s}-{e}" for c, s, e in counts.regions[["chrom", "start", "end"]].itertuples(index=False)]
    return cells(counts.names, places, *counts.all(), counts.notes)


def donor_cells(donors: DonorCounts) -> dict[str, Any]:
    regions = donors.regions[["chrom", "start", "end"]].itertuples(index=False)
    places = [f"{c}:{s}-{e}" for c, s, e in regions]
    tissues = dict(zip((f"tissue of {name}" for name in donors.names), donors.tissues, strict=True))
    return {**cells(donors.names, places, donors.methylated, donors.depth, donors.notes), **tissues}


def bed_cells(path: Path) -> dict[str, Any]:
    return {
        f"{c}:{s}-{e}": (first, last) for c, s, e, first, last in read_bed(path, cpg_indices=True).itertuples(False)
    }


def regions_file_cells(path: Path) -> dict[str, Any]:
    bare = RegionSet(CHROM, START, START + LENGTH, "hg38", None, None, "cpg")
    found = cpg_regions(bare, path)
    ends = zip(found.start.tolist(), found.end.tolist(), strict=True)
    return {bare.name(row): pair for row, pair in enumerate(ends) if pair[1] > pair[0]}


def sheet_cells(path: Path) -> dict[str, Any]:
    return {sample.name: sample for sample in read_sheet(path)}


def donor_sheet_cells(path: Path) -> dict[str, Any]:
    return {row["donor"]: row for row in read_donor_sheet(path).to_dict("records")}


def files_sheet_cells(path: Path) -> dict[str, Any]:
    folder = beside()
    return donor_cells(
        read_donor_files(
            DonorFilesReference(
                source="files", folder=str(folder), sample_sheet=str(path), measure="cpg", genome="hg38",
                regions_bed=str(folder / "regions.bed"),
            )
        )
    )  # fmt: skip


def metadata_cells(path: Path) -> dict[str, Any]:
    folder = beside()
    return donor_cells(
        read_pattern_donors(
            PatternH5Reference(
                source="pattern_h5", file=str(folder / "calls.h5"), metadata=str(path), genome="hg38",
                regions_bed=str(folder / "regions.bed"),
            )
        )
    )  # fmt: skip


def index_cells(path: Path) -> dict[str, Any]:
    """Read a file by its index, which is what is mutated."""
    data = path.with_suffix("")
    shutil.copy(beside() / data.name, data)
    return sample_cells(data)


def data_of_index_cells(path: Path) -> dict[str, Any]:
    shutil.copy(beside() / "indexed.cov.gz.tbi", path.with_name(path.name + ".tbi"))
    return sample_cells(path)


def _texts(write: Any) -> Any:
    return lambda path: path.write_text(write())


def _packed(write: Any) -> Any:
    return lambda path: path.write_bytes(gzip.compress(write().encode(), mtime=0))


# A line of a table has three samples, an edit of a place two regions; the others are of one cell a line.
_WIDE, _NARROW = 6, 2
TARGETS = (
    Target("counts.tsv", _texts(counts_text), sample_cells, _WIDE),
    Target("counts.tsv.gz", _packed(counts_text), sample_cells, _WIDE),
    Target(
        "counts_of_donors.tsv", _texts(counts_text), lambda path: own_cells(read_as("counts", path, Request())), _WIDE
    ),
    Target("beta_table.tsv", _texts(beta_text), sample_cells, _WIDE),
    Target(
        "beta_table_of_donors.tsv",
        _texts(beta_text),
        lambda path: own_cells(read_as("beta_table", path, Request())),
        _WIDE,
    ),
    Target("array.csv", _texts(probes_text), probe_cells, _WIDE),
    Target("atlas.tsv", _texts(atlas_text), lambda path: own_cells(read_atlas(path)), _WIDE),
    Target("bismark.cov", _texts(coverage_text), sample_cells, _NARROW),
    Target("bismark.cov.gz", _packed(coverage_text), sample_cells, _NARROW),
    Target("indexed.cov.gz", indexed, data_of_index_cells, _NARROW),
    Target("indexed.cov.gz.tbi", lambda path: shutil.copy(beside() / "indexed.cov.gz.tbi", path), index_cells, 0),
    Target("methyldackel.bedGraph", _texts(methyldackel_text), sample_cells, _NARROW),
    Target("modkit.bedmethyl", _texts(bedmethyl_text), sample_cells, _NARROW),
    Target("encode.bed", _texts(encode_text), sample_cells, _NARROW),
    Target("s.CX_report.txt", _texts(report_text), sample_cells, _NARROW),
    Target("s.allc.tsv", _texts(allc_text), sample_cells, _NARROW),
    Target("s.CGmap", _texts(cgmap_text), sample_cells, _NARROW),
    Target("pacbio.bed", _texts(pacbio_text), sample_cells, _NARROW),
    Target("s.pat", _texts(pat_text), sample_cells, _NARROW),
    Target("s.pat.gz", _packed(pat_text), sample_cells, _NARROW),
    Target("s.beta", lambda path: path.write_bytes(beta_bytes()), sample_cells, 1),
    Target("regions.bed", _texts(bed_text), bed_cells, _NARROW),
    Target("regions_file.bed", _texts(bed_text), regions_file_cells, _NARROW),
    Target(
        "excluded.bed",
        _texts(lambda: "".join(bed_text().splitlines(keepends=True)[:4])),
        lambda path: dict.fromkeys(np.flatnonzero(excluded_regions(path, REGIONS)).tolist(), True),
        _NARROW,
    ),
    Target("samples.tsv", _texts(samples_text), sheet_cells, _NARROW),
    Target("donors.tsv", _texts(donors_text), donor_sheet_cells, _NARROW),
    Target("donor_files.tsv", _texts(files_text), files_sheet_cells, None),
    Target("metadata.csv", _texts(metadata_text), metadata_cells, None),
)
