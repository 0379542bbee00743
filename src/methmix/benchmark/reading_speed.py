"""How long it takes to read whole genomes: coverage, bedMethyl with an index and without, bigWig, many ``.beta`` files.

The files are made on the spot, with as many CpGs as hg38 has, spread evenly over its autosomes.
"""

import gzip
import json
import logging
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pysam

from methmix.benchmark.apart import apart, peak_memory, timed
from methmix.config.load import load_experiment
from methmix.config.sources import SimulatedReference
from methmix.files.atomic import write_text
from methmix.formats.counts import Request
from methmix.formats.file_formats import open_file
from methmix.formats.genomes import builds
from methmix.formats.regions import RegionSet
from methmix.formats.store import CountsStore
from methmix.shipped import found

logger = logging.getLogger("methmix")

# What is aimed at on one core: seconds and MiB.
AIMS = {
    "coverage": (60, 1000),
    "bedmethyl": (60, 1000),
    "indexed": (15, 1000),
    "bigwig": (15, 1000),
    "beta": (90, 1500),
}
# The size of a published reference; genome and number of regions are those of hg38 and of the full-scale experiment.
_N_BETA, _CPGS_OF_REGION = 119, 8
_LINES_PER_BLOCK = 200_000
Integers = npt.NDArray[np.int64]


def measure_reading(output: Path, fraction: float) -> dict[str, dict[str, float]]:
    """Make the files, ``fraction`` of their CpGs and regions, time each way to read them, and write reading.json."""
    times: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="methmix.") as name:
        folder = Path(name)
        made, regions = _make(folder, fraction), _regions(fraction)
        for what, files in made.items():
            times[what] = apart(_timed, [str(path) for path in files], regions)
            seconds, memory = AIMS[what]
            message = "%s: %.1f s of CPU (%.1f s), %.0f MiB; aim at the whole size: %d s, %d MiB"
            logger.info(message, what, *times[what].values(), seconds, memory)
    output.mkdir(parents=True, exist_ok=True)
    write_text(output / "reading.json", json.dumps({"fraction": fraction, **times}, indent=2) + "\n")
    return times


def _n_regions() -> int:
    reference = load_experiment(found("config/full_scale.yaml")).reference
    assert isinstance(reference, SimulatedReference)  # for the type checker
    return reference.n_regions


def _autosomes() -> dict[str, int]:
    return {f"chr{number}": builds()["hg38"].lengths[str(number)] for number in range(1, 23)}


def _cpgs(fraction: float) -> dict[str, Integers]:
    """Place CpGs on the autosomes of hg38, positions from 0."""
    lengths, n_cpgs = _autosomes(), builds()["hg38"].n_cpgs
    assert n_cpgs is not None  # for the type checker
    n, rng = n_cpgs * fraction, np.random.default_rng(1)
    total = sum(lengths.values())
    return {
        chrom: np.unique(rng.integers(5_000, length // 2 - 5_000, int(n * length / total)) * 2)
        for chrom, length in lengths.items()
    }


def _regions(fraction: float) -> RegionSet:
    """Take stretches of a few CpGs, evenly over the genome, with their CpG indices."""
    cpgs = _cpgs(fraction)
    chrom = np.repeat(list(cpgs), list(map(len, cpgs.values())))
    position = np.concatenate(list(cpgs.values()))
    first = np.unique(np.linspace(0, len(position) - 100, max(int(_n_regions() * fraction), 50)).astype(np.int64))
    first = first[chrom[first] == chrom[first + _CPGS_OF_REGION]]
    end = position[first + _CPGS_OF_REGION - 1] + 2
    return RegionSet(
        chrom[first].tolist(), position[first], end, "unknown", first + 1, first + 1 + _CPGS_OF_REGION, "cpg"
    )


def _make(folder: Path, fraction: float) -> dict[str, list[Path]]:
    rng, beta = np.random.default_rng(2), []
    plain = {name: folder / name for name in ("s.cov", "s.bed")}
    with plain["s.cov"].open("w") as cov, plain["s.bed"].open("w") as bed, ExitStack() as stack:
        tracks = [_bigwig(stack, folder / f"s.{name}.bw") for name in ("methylation", "coverage")]
        for chrom, positions in _cpgs(fraction).items():
            depth = rng.poisson(20, len(positions)) + 1
            methylated = rng.binomial(depth, 0.8)
            beta.append(np.stack([methylated, depth], axis=1).astype(np.uint8))
            for track, values in zip(tracks, (methylated / depth, depth), strict=True):
                track.addEntries([chrom] * len(positions), positions, ends=positions + 1, values=values.astype(float))
            for start in range(0, len(positions), _LINES_PER_BLOCK):
                rows = slice(start, start + _LINES_PER_BLOCK)
                lines = list(
                    zip(positions[rows].tolist(), methylated[rows].tolist(), depth[rows].tolist(), strict=True)
                )
                cov.writelines(f"{chrom}\t{p + 1}\t{p + 1}\t{100 * m / d:.6g}\t{m}\t{d - m}\n" for p, m, d in lines)
                bed.writelines(
                    f"{chrom}\t{p}\t{p + 1}\tm\t{d}\t.\t{p}\t{p + 1}\t255,0,0\t{d}\t{100 * m / d:.2f}\t{m}\t{d - m}"
                    "\t0\t0\t0\t0\t0\n"
                    for p, m, d in lines
                )
    for path in plain.values():
        with path.open("rb") as text, gzip.open(f"{path}.gz", "wb", compresslevel=6) as packed:
            while some := text.read(1 << 22):
                packed.write(some)
    pysam.tabix_compress(str(plain["s.bed"]), str(folder / "i.bed.gz"), force=True)
    pysam.tabix_index(str(folder / "i.bed.gz"), preset="bed", force=True)
    # One file under many names: what is read is cached by the system, as the files of a laboratory are not.
    np.concatenate(beta).tofile(folder / "s.beta")
    return {
        "coverage": [folder / "s.cov.gz"],
        "bedmethyl": [folder / "s.bed.gz"],
        "indexed": [folder / "i.bed.gz"],
        "bigwig": [folder / "s.methylation.bw"],
        "beta": [folder / "s.beta"] * max(int(_N_BETA * fraction), 2),
    }


def _bigwig(stack: ExitStack, path: Path) -> Any:
    """Begin a bigWig file of the autosomes, which is complete when the stack ends."""
    import pyBigWig  # of the extra bigwig

    file = stack.enter_context(closing(pyBigWig.open(str(path), "w")))
    file.addHeader(list(_autosomes().items()))
    return file


def _timed(files: Sequence[str], regions: RegionSet) -> dict[str, Any]:
    """Read files into one store of the regions: CPU seconds, seconds, and peak memory, MiB.

    The regions are made elsewhere: all CpGs of the genome would be in the peak memory.
    """
    times: dict[str, float] = {}
    with timed(times), CountsStore(len(regions), np.int32) as store:
        request = Request(regions, store)
        for name in files:
            counts = open_file(Path(name), request).load()
            assert counts.found.all()  # made so
    return {**times, "memory_mib": peak_memory()}
