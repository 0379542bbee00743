"""What every reader of a format is asked for and what it returns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix.errors import InputError
from methmix.formats.bed import cpg_regions
from methmix.formats.beginning import Beginning
from methmix.formats.regions import CpgRegions, Modification, RegionSet
from methmix.formats.store import CountsStore, Pair
from methmix.formats.text import MOST_OF_NUMBER

Duplicates = Literal["error", "deepest", "same", "sum", "mean"]


@dataclass(frozen=True)
class Request:
    """What to read a file for.

    Parameters
    ----------
    regions, store
        Regions that the samples are aligned to, and where they are put; None for the regions of the file itself.
    regions_file
        Regions with CpG indices, for files of wgbstools if ``regions`` has none.
    pseudo_depth
        Reads that a fraction stands for in a table without depth.
    duplicates
        What becomes of several rows of one region. ``error``: they are refused. Where samples are aligned, also
        ``sum``: counts are summed, fractions averaged. For the file's own regions, also ``deepest``: the row with most
        reads over all samples is kept, of equal ones the first; ``same``: identical rows are one, others refused; and
        ``mean``: rows are averaged.
    zero_based
        Whether files with a line for each CpG count from 0 (True) or 1; None: as their format says or their lines show.
    modification
        What counts as methylated; None: what does in the reference of the regions.
    manifest
        Where the probes of arrays lie (`methmix.formats.manifest`), for regions with coordinates.
    """

    regions: RegionSet | None = None
    store: CountsStore | None = None
    regions_file: Path | None = None
    pseudo_depth: int = 30
    duplicates: Duplicates = "error"
    zero_based: bool | None = None
    modification: Modification | None = None
    manifest: Path | None = None

    def __post_init__(self) -> None:
        allowed = ("error", "deepest", "same", "mean") if self.regions is None else ("error", "sum")
        if self.duplicates not in allowed:
            raise ValueError(f"duplicates: expected one of {allowed}, found {self.duplicates}")

    @cached_property
    def cpg_regions(self) -> CpgRegions:
        """The regions in CpG indices."""
        return cpg_regions(self.target()[0], self.regions_file)

    def target(self) -> tuple[RegionSet, CountsStore]:
        """Return regions and store, for a format that has no regions of its own."""
        if self.regions is None or self.store is None:
            raise ValueError("expected regions, and a store for what is aligned to them")
        return self.regions, self.store


@dataclass(frozen=True)
class Counts:
    """Samples of one file.

    ``read`` returns methylated and depth of some samples, [n, n_regions] each, depth 0 where there are no reads.
    ``found``, [n_regions]: the file has a row or a CpG with reads. ``example`` is a place in the file, to show beside a
    region of the model. ``regions`` are the file's own, as `methmix.formats.bed.read_bed` has them; none if aligned.
    """

    names: list[str]
    read: Callable[[slice], Pair]
    found: npt.NDArray[np.bool_]
    example: str = ""
    notes: Sequence[str] = ()
    regions: pd.DataFrame = field(default_factory=pd.DataFrame)

    def all(self) -> Pair:
        """Return methylated and depth of all samples."""
        return self.read(slice(0, len(self.names)))


@dataclass(frozen=True)
class OpenedFile:
    """A file that is right as far as can be seen without reading it; ``load`` reads it to its end."""

    names: list[str]
    load: Callable[[], Counts]


def stored(store: CountsStore, rows: slice) -> Callable[[slice], Pair]:
    """Make `Counts.read` of samples that are in a store, in ``rows`` of it."""
    return lambda samples: store.read(slice(rows.start + samples.start, rows.start + samples.stop))


def one_sample(
    beginning: Beginning, store: CountsStore, counts: Pair, found: npt.NDArray[np.bool_], example: str,
    notes: Sequence[str] = (), name: str = "",
) -> Counts:  # fmt: skip
    """Store methylated and depth, [n_regions] each, of the only sample of a file, which has its name if no other."""
    methylated, depth = counts
    if depth.max(initial=0) > MOST_OF_NUMBER:
        raise InputError(
            f"{beginning.path}: a region has {depth.max():,} reads of its CpGs; expected at most {MOST_OF_NUMBER:,}",
            "are these numbers of reads? no sequencer gives so many",
        )
    return Counts(
        [name or beginning.sample_name],
        stored(store, store.append(methylated[None], depth[None])),
        found,
        example,
        notes,
    )
