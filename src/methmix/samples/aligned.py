"""Samples aligned to the regions of a model, block by block."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from methmix import cli
from methmix.formats.regions import Measure, RegionSet
from methmix.formats.samples import SampleBlock, Samples
from methmix.samples.sample_sheet import Sample
from methmix.training.checkpoint import Checkpoint

_BLOCK = 128


def regions_of(checkpoint: Checkpoint) -> RegionSet:
    """Collect the regions of a model, to which samples are aligned."""
    found = checkpoint.regions
    names = ("start", "end", "start_cpg", "end_cpg")
    columns: dict[str, Any] = {name: found[name].numpy() if name in found else None for name in names}
    measure, digest = cast(Measure, checkpoint.measure), checkpoint.identity.get("reference")
    return RegionSet(found["chrom"], genome=checkpoint.genome, measure=measure, reference_digest=digest, **columns)


def chosen_blocks(samples: Samples, chosen: Mapping[str, Sample]) -> Iterator[SampleBlock]:
    """Yield the blocks of a file, reduced to the samples that are chosen by their names in it."""
    n_blocks = -(-len(samples.names) // _BLOCK)
    for block in cli.progress(samples.blocks(_BLOCK), "samples", n_blocks):
        rows = [row for row, name in enumerate(block.names) if name in chosen]
        if rows:
            yield SampleBlock([block.names[row] for row in rows], block.methylation[rows], block.depth[rows])
