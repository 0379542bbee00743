"""Whether donors are what they are taken for: regions within their chromosomes, and methylation like their tissue's."""

import numpy as np
import numpy.typing as npt

from methmix.errors import InputError
from methmix.files.reference import Reference
from methmix.formats.genomes import bare_chrom, build_of_accession, builds, find_build, long_enough
from methmix.formats.identity import LEAST_CORRELATION, likeness

# A donor that leaves so many times as much of its variance unexplained by its own tissue as by another one has,
# perhaps, the label of somebody else; related tissues do not differ so much.
_MUCH_WORSE = 2.0
# In fewer regions, two donors may have equal counts by chance.
_FEWEST_REGIONS = 20


def check_regions(reference: Reference, genome: str) -> list[str]:
    """Refuse regions on chromosomes of another build than the stated one, or behind their ends in it.

    That nothing is known of the stated build is a note.
    """
    build = find_build(genome)
    if build is None:
        # Of a simulation, or of probes by name.
        return [] if genome.startswith("none (") else [
            f"reference.genome: {genome} is none of the known builds ({', '.join(builds())}): whether positions are of "
            "it cannot be checked"
        ]  # fmt: skip
    regions = reference.regions
    for chrom in regions["chrom"].unique():
        if (other := build_of_accession(str(chrom))) not in (None, build.name):
            raise InputError(
                f"reference: has regions on the chromosome {chrom} of {other}; reference.genome is {genome}",
                "correct reference.genome, or give the files of that build",
            )
    names = [bare_chrom(str(name)) for name in regions["chrom"]]
    length = np.array([build.lengths.get(name, np.iinfo(np.int64).max) for name in names])
    behind = (regions["end"].to_numpy() > length).nonzero()[0]
    if len(behind):
        row = int(behind[0])
        chrom, start, end = regions[["chrom", "start", "end"]].iloc[row]
        raise InputError(
            f"reference: region {chrom}:{start}-{end} is behind the end of the chromosome, which has "
            f"{length[row]:,} bases in {build.name}; {long_enough(names[row], int(end))}",
            "correct reference.genome, or give the files of that build",
        )
    return []


def check_donors(reference: Reference) -> list[str]:
    """Refuse donors that are one sample twice, or do not correlate with the other donors of their tissue.

    The latter were counted in another genome build, or their columns are swapped. That a donor is much more like
    another tissue than like its own is a note.
    """
    _check_distinct(reference)
    tissues, notes = reference.tissue_names, []
    unlike: dict[float, tuple[str, str]] = {}
    sums = {name: _sums(reference, np.array(reference.tissues) == name) for name in tissues}
    for row, (donor, tissue) in enumerate(zip(reference.donors, reference.tissues, strict=True)):
        methylated, depth = np.stack([sums[name] for name in tissues], axis=1)
        own = tissues.index(tissue)
        methylated[own] -= reference.methylated[row]
        depth[own] -= reference.depth[row]
        if not depth[own].any():
            continue
        profiles = np.divide(methylated, depth, out=np.full_like(depth, np.nan), where=depth > 0)
        fractions, reads = (
            np.broadcast_to(values[row], profiles.shape) for values in (reference.fractions, reference.depth)
        )
        found = likeness(fractions, reads.astype(np.float64), profiles)
        r, best = found.correlation, int(found.correlation.argmax())
        if found.upper[own] < LEAST_CORRELATION:
            unlike[r[own]] = donor, tissue
        elif 1 - r[own] ** 2 > _MUCH_WORSE * (1 - r[best] ** 2):
            notes.append(
                f"donor {donor} of {tissue} is more like {tissues[best]} (correlation {r[best]:.2f}) than like the "
                f"other donors of {tissue} ({r[own]:.2f}): are labels swapped?"
            )
    if unlike:  # of few donors, one that is wrong makes the others unlike their tissue, but less than itself
        lowest, (donor, tissue) = min(unlike.items())
        raise InputError(
            f"reference: donor {donor}: the correlation of its methylation with that of the "
            f"other donors of {tissue} is {lowest:.2f}; of donors of one tissue it is above 0.7",
            "is its file of another genome build, or are its columns swapped? correct it, or remove the donor",
        )
    return notes


def _sums(reference: Reference, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Sum methylated and depth over donors, [2, n_regions]."""
    both = [values[rows].sum(axis=0, dtype=np.float64) for values in (reference.methylated, reference.depth)]
    return np.stack(both)


def _check_distinct(reference: Reference) -> None:
    """Refuse two donors with the same counts: one would be tested by itself."""
    first: dict[bytes, str] = {}
    for donor, *counts in zip(reference.donors, reference.methylated, reference.depth, strict=True):
        other = first.setdefault(np.stack(counts).tobytes(), donor)
        if other != donor and (counts[1] > 0).sum() >= _FEWEST_REGIONS:
            raise InputError(
                f"reference: donors {other} and {donor} have the same counts in all regions",
                "is it one sample under two names? keep one, with its right tissue",
            )
