"""Whether donors are what they are taken for: regions within their chromosomes, and methylation like their tissue's."""

import numpy as np

from methmix.errors import InputError
from methmix.files.reference import Reference
from methmix.formats.genomes import bare_chrom, find_build, long_enough
from methmix.formats.identity import LEAST_CORRELATION, likeness


def check_regions(reference: Reference, genome: str) -> None:
    """Refuse regions that end behind their chromosome in the stated build."""
    build = find_build(genome)
    if build is None:
        return
    regions = reference.regions
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


def check_donors(reference: Reference) -> None:
    """Refuse a donor whose methylation does not correlate with that of the other donors of its tissue.

    Such a donor was counted in another genome build, or its columns are swapped.
    """
    tissues = np.array(reference.tissues)
    for donor, tissue in enumerate(reference.tissues):
        others = np.flatnonzero((tissues == tissue) & (np.arange(len(tissues)) != donor))
        if not len(others):
            continue
        depth = reference.depth[others].sum(axis=0, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            profile = np.where(depth > 0, reference.methylated[others].sum(axis=0) / depth, np.nan)
        own = reference.depth[[donor]].astype(np.float64)
        found = likeness(reference.fractions[[donor]], own, profile)
        if found.upper[0] < LEAST_CORRELATION:
            raise InputError(
                f"reference: donor {reference.donors[donor]}: the correlation of its methylation with that of the "
                f"other donors of {tissue} is {found.correlation[0]:.2f}; of donors of one tissue it is above 0.7",
                "is its file of another genome build, or are its columns swapped? correct it, or remove the donor",
            )
