"""A file of single CpGs read both ways: as a sample, and as a donor of a reference."""

from pathlib import Path

import numpy as np

from methmix.config.sources import DonorFilesReference
from methmix.formats.samples import open_samples
from methmix.reference.donor_files import read_donor_files


def as_sample(path: Path, region_set, **options):
    with open_samples(path, region_set, **options) as samples:
        methylated, depth = samples.counts.all()
        return np.array([methylated[0], depth[0]]), samples.notes


def as_donor(path: Path, region_set, zero_based=None, modification=None):
    folder = path.parent
    columns = region_set.chrom, region_set.start, region_set.end
    rows = "".join("\t".join(map(str, row)) + "\n" for row in zip(*columns, strict=True))
    (folder / "regions.bed").write_text(rows)
    (folder / "sheet.tsv").write_text(f"donor\ttissue\tfile\nd\tLiver\t{path.name}\n")
    settings = DonorFilesReference(
        source="files",
        folder=str(folder),
        sample_sheet=str(folder / "sheet.tsv"),
        regions_bed=str(folder / "regions.bed"),
        measure="cpg",
        genome=region_set.genome,
        zero_based=zero_based,
        modification=modification or region_set.modification,
    )
    donors = read_donor_files(settings)
    return np.array([donors.methylated[0], donors.depth[0]]), donors.notes
