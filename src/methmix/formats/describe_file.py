"""What a file is, of which build it can be, and what a model would read of it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from methmix.errors import InputError
from methmix.formats.beginning import Beginning
from methmix.formats.bigwig import builds_of_bigwig
from methmix.formats.counts import Request
from methmix.formats.cpg_lines import CpgLines
from methmix.formats.file_formats import Format, open_file, recognise
from methmix.formats.genomes import bare_chrom, build_of_accession, builds
from methmix.formats.identity import likeness
from methmix.formats.regions import RegionSet
from methmix.formats.samples import Samples, open_samples
from methmix.formats.text import read_rows
from methmix.formats.wgbstools import n_cpgs_of_beta

_MOST_SAMPLES = 10


def describe_file(
    path: Path, model: tuple[RegionSet, Mapping[str, Any]] | None = None, **reading: Any
) -> Iterator[str]:
    """Yield lines about a file; ``model`` is what `read_model_regions` gives, ``reading`` is for `open_samples`."""
    known, beginning = recognise(path)
    yield f"{path}: {known.description}"
    if beginning.number:
        separator = {"\t": "tabs", ",": "commas", ";": "semicolons"}.get(beginning.separator, "white space")
        packed = "gzip, " if beginning.compression else ""
        first = f"line {beginning.number}: {beginning.line[:80]!r}"
        yield f"  {packed}{beginning.encoding}, separated by {separator}; {first}"
    yield from _builds(known, beginning)
    if model is None:
        if known.name in {"counts", "beta_table", "probes"}:
            yield f"  samples: {_some(open_file(path, Request()).names)}"
        yield "  coverage of a model's regions: with --checkpoint"
        return
    try:
        with open_samples(path, model[0], **reading) as samples:
            yield from _of_model(samples, *model)
    except InputError as error:
        yield f"  refused: {str(error).removeprefix(f'{path}: ')}"


def _of_model(samples: Samples, regions: RegionSet, recorded: Mapping[str, Any]) -> Iterator[str]:
    yield f"  samples: {_some(samples.names)}"
    yield f"  regions: {samples.n_found} of {len(regions)} of the model, {regions.genome}"
    for block in samples.blocks(_MOST_SAMPLES):
        profile = recorded.get("mean_methylation")
        found = None if profile is None else likeness(block.methylation, block.depth, profile.numpy()).correlation
        for row, name in enumerate(block.names):
            depth = block.depth[row]
            mean = depth.sum(dtype=np.float64) / max((depth > 0).sum(), 1)
            like = "" if found is None else f", correlation with the model's mean profile {found[row]:.2f}"
            yield f"  {name}: reads in {(depth > 0).sum()} regions, {mean:.1f} on average{like}"
        break
    yield from (f"  note: {note}" for note in samples.notes)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_SAMPLES} more" if len(names) > _MOST_SAMPLES else ""
    return f"{len(names)}: {', '.join(names[:_MOST_SAMPLES])}{more}"


def _builds(known: Format, beginning: Beginning) -> Iterator[str]:
    """State which of the known builds the file can be of."""
    if known.name == "beta":
        n_cpgs = n_cpgs_of_beta(beginning.path)
        found = [build.name for build in builds().values() if build.n_cpgs == n_cpgs]
        yield f"  {n_cpgs:,} CpGs: {found[0] if found else 'of no build that is known here'}"
    elif known.name == "bigwig":
        found = builds_of_bigwig(beginning.path)
        yield f"  by the lengths of chromosomes it is of {', '.join(found) or 'no build that is known here'}"
    elif known.layout is not None:
        yield _builds_of_positions(beginning, known.layout)


def _builds_of_positions(beginning: Beginning, lines: CpgLines) -> str:
    columns = {number: kind for number, kind in lines.columns.items() if kind[0] in {"chromosome", "start"}}
    last: dict[str, int] = {}
    n_lines = 0
    for block in read_rows(beginning, columns, lines.separator):
        n_lines += len(block)
        for name, start in block.groupby("chromosome", observed=True)["start"].max().items():
            last[str(name)] = max(last.get(str(name), 0), int(start))
    stated = {build for name in last if (build := build_of_accession(name))}
    possible = [
        build.name
        for build in builds().values()
        if all(end <= build.lengths.get(bare_chrom(name), end) for name, end in last.items())
        and stated <= {build.name}
        and any(bare_chrom(name) in build.lengths for name in last)
    ]
    found = ", ".join(possible) or "no build that is known here"
    return f"  {n_lines:,} lines; by the ends of chromosomes it can be of {found}"
