"""Samples aligned to the regions of a model, block by block."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from methmix import cli
from methmix.formats.model_regions import region_set
from methmix.formats.regions import RegionSet
from methmix.formats.samples import SampleBlock, Samples, check_files
from methmix.reference.inputs import data_file
from methmix.samples.sample_sheet import Sample
from methmix.training.state import Checkpoint

_BLOCK = 128
# Options of commands that say how files are read, as `open_samples` has them; of some the value is a file.
_READING = ("regions_file", "genome", "zero_based", "modification", "manifest")
_FILES = ("regions_file", "manifest")


def reading_options(options: object) -> dict[str, Any]:
    """Collect what options, or the section ``prediction`` of a configuration, say of how files are read."""
    values: dict[str, Any] = {name: getattr(options, name, None) for name in _READING}
    return values | {name: Path(values[name]) for name in _FILES if values[name] is not None}


def regions_of(checkpoint: Checkpoint) -> RegionSet:
    """Collect the regions of a model, to which samples are aligned."""
    return region_set(checkpoint.regions, checkpoint.genome, checkpoint.identity.get("reference"))


def check_readable(files: Iterable[Path], checkpoint: Checkpoint, options: object) -> None:
    """Refuse now what can be refused of files without reading all of them, which may take minutes."""
    check_files([data_file(str(file)) for file in files], regions_of(checkpoint), **reading_options(options))


def chosen_blocks(samples: Samples, chosen: Mapping[str, Sample]) -> Iterator[SampleBlock]:
    """Yield the blocks of a file, reduced to the samples that are chosen by their names in it."""
    n_blocks = -(-len(samples.names) // _BLOCK)
    for block in cli.progress(samples.blocks(_BLOCK), "samples", n_blocks):
        rows = [row for row, name in enumerate(block.names) if name in chosen]
        if rows:
            yield SampleBlock([block.names[row] for row in rows], block.methylation[rows], block.depth[rows])
