"""Tables with a row for each region and columns for many samples: counts, fractions, and atlases of tissue means.

The rows are aligned to given regions, or bring their own (`methmix.formats.counts.Request`). Either way a missing value
(NA) means no reads, an empty field is an error, and every row is checked, also those of regions not asked for.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix.errors import InputError
from methmix.formats.bed import REGION, check_extent, duplicate_region, place_name, refuse_duplicates
from methmix.formats.beginning import Beginning, read_beginning
from methmix.formats.counts import Counts, Duplicates, OpenedFile, Request, stored
from methmix.formats.manifest import Manifest, read_manifest
from methmix.formats.regions import RENAMED, Integers, RegionSet
from methmix.formats.store import Pair
from methmix.formats.table_headers import (
    BETA_COORDINATES,
    COUNTS_COORDINATES,
    CPGS,
    PROBE,
    probe_name,
    read_header,
    refuse_no_samples,
)
from methmix.formats.table_rows import Values, numbers_of, positions, table_blocks, texts
from methmix.formats.text_errors import CORRECT
from methmix.rows import first_true

_ATLAS_TEXT = ("target", "name", "direction")


@dataclass(frozen=True)
class _Table:
    """How a table is laid out: header, columns that place a region, samples, and the columns with their values.

    ``values`` returns methylated and depth, [n_rows, n_samples], of rows from a line on; ``most_reads`` is how many
    reads a fraction stands for in a table without depth; ``manifest`` has the places of probes, if they are asked for.
    """

    beginning: Beginning
    header: list[str]
    coordinates: tuple[str, ...]
    names: list[str]
    columns: list[str]
    values: Callable[[pd.DataFrame, int], Pair]
    most_reads: int | None = None
    manifest: Manifest | None = None

    def opened(self, request: Request) -> OpenedFile:
        """Return the table, to be loaded as it is asked for."""
        return OpenedFile(self.names, partial(_own if request.regions is None else _aligned, self, request))


def open_counts_table(beginning: Beginning, request: Request) -> OpenedFile:
    """Open a counts table ``CHROM START END <name>_METH <name>_DEPTH ...``, which is read in blocks of rows.

    NA in one of the two columns of a sample means that it has no reads there.
    """
    path, expected = beginning.path, "expected CHROM START END <name>_METH <name>_DEPTH ..."
    header, others = read_header(beginning, COUNTS_COORDINATES, expected)
    names = [name.removesuffix("_METH") for name in others if name.endswith("_METH")]
    columns = [f"{name}{ending}" for ending in ("_METH", "_DEPTH") for name in names]
    unpaired = sorted(set(columns).symmetric_difference(others))
    if unpaired:
        raise InputError(
            f"{path}: column {unpaired[0]} has no partner; expected <name>_METH and <name>_DEPTH",
            "give every sample both columns",
        )
    if not names:
        raise InputError(f"{path}: has no sample; expected columns <name>_METH and <name>_DEPTH")

    def values(block: pd.DataFrame, line: int) -> Pair:
        both = numbers_of(path, block, line, "a whole number >= 0")
        methylated, depth = both[:, : len(names)], both[:, len(names) :]
        if (methylated > depth).any():
            row, sample = np.argwhere(methylated > depth)[0]
            raise InputError(
                f"{path}: line {line + row}, {names[sample]}: {methylated[row, sample]:.0f} methylated "
                f"of {depth[row, sample]:.0f} reads; expected METH <= DEPTH",
                "are the two columns swapped?",
            )
        unknown = np.isnan(methylated) | np.isnan(depth)
        return np.where(unknown, 0, methylated).astype(np.int32), np.where(unknown, 0, depth).astype(np.int32)

    return _Table(beginning, header, COUNTS_COORDINATES, names, columns, values).opened(request)


def open_beta_table(beginning: Beginning, request: Request) -> OpenedFile:
    """Open a beta table ``chr start end [startCpG endCpG] <name> ...`` of fractions 0-1 or NA, read in blocks of rows.

    Each fraction stands for ``request.pseudo_depth`` reads; methylated is not rounded to whole ones.
    """
    header, others = read_header(beginning, BETA_COORDINATES, "expected chr start end startCpG endCpG <name> ...")
    return _fractions(beginning, request, header, BETA_COORDINATES, [name for name in others if name not in CPGS])


def open_probe_table(beginning: Beginning, request: Request) -> OpenedFile:
    """Open a table of an array, ``<probe> <name> ...``, fractions 0-1 or NA; a probe is a region with its name alone.

    With a manifest it is the CpG that the probe measures, and counts for the regions that this lies in. Probes that an
    array has several times (EPICv2: ``cg00000029_TC21``, ``_TC22``) are averaged, as are those of one region.
    """
    header, names = read_header(beginning, PROBE, "expected a column of probes (cg...) and one of each sample")
    duplicates: Duplicates = "mean" if request.regions is None else "sum"
    manifest = read_manifest(request.manifest) if request.manifest else None
    if manifest and request.regions is not None and request.regions.measure == "fragment":
        raise InputError(
            f"{beginning.path}: has the methylation of single CpGs, but the model has proportions of fragments",
            "use a model of mean methylation (measure: cpg)",
        )
    return _fractions(beginning, replace(request, duplicates=duplicates), header, PROBE, names, manifest)


def _fractions(
    beginning: Beginning, request: Request, header: list[str], coordinates: tuple[str, ...], names: list[str],
    manifest: Manifest | None = None,
) -> OpenedFile:  # fmt: skip
    if not names:
        raise InputError(f"{beginning.path}: has no sample", f"expected {' '.join(coordinates)} <name> ...")
    refuse_no_samples(beginning, names)

    def values(block: pd.DataFrame, line: int) -> Pair:
        fractions = numbers_of(beginning.path, block, line, "a fraction 0-1")
        depth = np.where(np.isnan(fractions), 0.0, request.pseudo_depth)
        return np.nan_to_num(fractions) * depth, depth

    return _Table(beginning, header, coordinates, names, names, values, request.pseudo_depth, manifest).opened(request)


def read_atlas(path: Path) -> Counts:
    """Read a UXM atlas ``chr start end startCpG endCpG target name direction <tissue> ...`` with its own regions.

    Its values are proportions of unmethylated fragments (rows of direction U) or of methylated ones (M); they become
    the methylation of each tissue, 0-1, as ``methylated`` at a depth of 1. A region that is the marker of two tissues
    has two rows with the same values; it is taken once.
    """
    beginning = read_beginning(path)
    expected = f"expected chr start end startCpG endCpG {' '.join(_ATLAS_TEXT)} <tissue> ..."
    leading = (*BETA_COORDINATES, *CPGS, *_ATLAS_TEXT)
    header, tissues = read_header(beginning, leading, expected)
    if len(tissues) < 2:
        raise InputError(f"{path}: expected at least two tissue columns, found {len(tissues)}", expected)

    def values(block: pd.DataFrame, line: int) -> Pair:
        direction = block["direction"].to_numpy()
        if (row := first_true(~np.isin(direction, ["U", "M"]))) is not None:
            raise InputError(
                f"{path}: line {line + row}, column direction: expected U or M, found {direction[row]!r}", CORRECT
            )
        found = numbers_of(path, block[tissues], line, "a fraction 0-1")
        methylation = np.where((direction == "U")[:, None], 1 - found, found)
        return np.nan_to_num(methylation), (~np.isnan(methylation)).astype(np.int32)

    table = _Table(beginning, header, BETA_COORDINATES, tissues, ["direction", *tissues], values)
    counts = table.opened(Request(duplicates="same")).load()
    return replace(counts, notes=[*counts.notes, *beginning.notes])


def _aligned(table: _Table, request: Request) -> Counts:
    """Put the rows of a table into the places of the regions that are asked for."""
    regions, store = request.target()
    rows, n_rows = store.extend(len(table.names)), np.zeros(len(regions), dtype=np.int64)
    own_chrom = np.array(regions.chrom, dtype=object)
    example, renamed = "", False
    for places, pair in _blocks(table):
        chrom = places["chrom"].to_numpy(dtype=object)
        example = example or place_name(places, 0)
        found, region = _matched(table, regions, places)
        again = (n_rows[region] > 0) | pd.Series(region).duplicated().to_numpy()
        if request.duplicates == "error" and (row := first_true(again)) is not None:
            raise duplicate_region(table.beginning.path, places.iloc[found], row)
        n_rows += np.bincount(region, minlength=len(regions))
        renamed = renamed or bool((own_chrom[region] != chrom[found]).any())
        mapped = store.mapped(rows)
        for number, values in enumerate(pair):
            _add(mapped[:, number], region, values[found].T)
    notes = [RENAMED] * renamed
    duplicates = int((n_rows > 1).sum())
    if duplicates:
        done = "averaged" if table.most_reads else "summed"
        notes.append(f"regions with more than one row: {duplicates}; their rows are {done}")
    if table.most_reads:
        notes.append(f"the table has no depth; every value is taken as {table.most_reads} reads")
    if regions.measure == "fragment":
        notes.append(
            "values are taken as proportions of fragments that are not unmethylated, as the model has them; "
            "the table does not state what they are"
        )
    read = stored(store, rows)
    return Counts(table.names, _averaged(read, table.most_reads), n_rows > 0, example, notes)


def _matched(table: _Table, regions: RegionSet, places: pd.DataFrame) -> tuple[Integers, Integers]:
    """Pair rows with the region of exactly their place, or, if they are CpGs of probes, with those that hold them."""
    if table.manifest is None:
        region = regions.find(places["chrom"], places["start"].tolist(), places["end"].tolist())
        if (region < 0).all():
            _refuse_counted_from_1(table.beginning.path, places, regions)
        return np.flatnonzero(region >= 0), region[region >= 0]
    pairs = [
        (rows[query], region)
        for chrom, rows in places.groupby("chrom").indices.items()
        for query, region in [regions.holding(str(chrom), places["start"].to_numpy()[rows])]
    ]
    found, region = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    return found, region


def _refuse_counted_from_1(path: Path, places: pd.DataFrame, regions: RegionSet) -> None:
    """Refuse places that are regions but for their start, which is one larger."""
    region = regions.find(places["chrom"], (places["start"] - 1).tolist(), places["end"].tolist())
    if (region >= 0).any():
        row = int((region >= 0).argmax())
        raise InputError(
            f"{path}: line {places.index[row]}: {place_name(places, row)} is {regions.name(region[row])} of the model, "
            "counted from 1",
            "subtract 1 from the starts: as in a BED file, positions count from 0, and the end is not included",
        )


def _add(total: npt.NDArray[Any], region: Integers, values: npt.NDArray[Any]) -> None:
    """Add values [n_samples, n] of regions in any order, also the same one several times, to a total per region."""
    unique, position = np.unique(region, return_inverse=True)
    if len(unique) < len(region):
        sums = np.zeros((len(unique), len(values)), dtype=total.dtype)
        np.add.at(sums, position, values.T)
        region, values = unique, sums.T
    total[:, region] += values


def _averaged(read: Callable[[slice], Pair], most_reads: int | None) -> Callable[[slice], Pair]:
    """Turn the sum of several fractions of one region into their average, which is no deeper than one of them."""
    if most_reads is None:
        return read

    def averaged(samples: slice) -> Pair:
        methylated, depth = read(samples)
        n = np.maximum(depth / most_reads, 1)
        return methylated / n, depth / n

    return averaged


def _own(table: _Table, request: Request) -> Counts:
    """Take the regions of the table itself, in its order."""
    places, pairs = zip(*_blocks(table, [name for name in CPGS if name in table.header]), strict=True)
    regions = pd.concat(places)
    methylated, depth = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    if request.duplicates == "mean":
        regions, methylated, depth = _mean_of_duplicates(regions, methylated, depth)
    kept = _kept(table.beginning.path, regions, (methylated, depth), request.duplicates)
    columns = [np.ascontiguousarray(values[kept].T) for values in (methylated, depth)]
    return Counts(
        table.names,
        lambda samples: (columns[0][samples], columns[1][samples]),
        np.ones(len(kept), dtype=bool),
        regions=regions.iloc[kept].reset_index(drop=True),
    )


def _mean_of_duplicates(regions: pd.DataFrame, *pair: Values) -> tuple[pd.DataFrame, Values, Values]:
    """Average the values of each region over its rows that have one; [n_rows, n_samples] each."""
    region = regions.groupby(REGION, sort=False).ngroup().to_numpy()
    first = np.unique(region, return_index=True)[1]
    methylated, depth = (np.zeros((len(first), values.shape[1])) for values in pair)
    n_values = np.zeros(depth.shape)
    for total, values in ((methylated, pair[0]), (depth, pair[1]), (n_values, pair[1] > 0)):
        np.add.at(total, region, values)
    n_values = np.maximum(n_values, 1)
    return regions.iloc[first], methylated / n_values, depth / n_values


def _kept(path: Path, regions: pd.DataFrame, pair: Pair, duplicates: str) -> Integers:
    """Choose the rows that are kept where a region has several."""
    row = np.arange(len(regions))
    if duplicates == "deepest":
        by_reads = np.argsort(-pair[1].sum(axis=1, dtype=np.int64), kind="stable")
        return np.sort(by_reads[~regions.iloc[by_reads].duplicated(REGION).to_numpy()])
    if duplicates == "same":
        content = pd.concat([regions[REGION].reset_index(drop=True), *map(pd.DataFrame, pair)], axis=1)
        row = row[~content.duplicated().to_numpy()]
    refuse_duplicates(path, regions.iloc[row])
    return row


def _blocks(table: _Table, cpgs: Sequence[str] = ()) -> Iterator[tuple[pd.DataFrame, Pair]]:
    """Yield regions (as `read_bed` has them), and methylated and depth [n_rows, n_samples] of some rows at a time."""
    path = table.beginning.path
    columns = dict(zip((*table.coordinates[1:], *cpgs), ("start", "end", *(CPGS[name] for name in cpgs)), strict=False))
    for line, block in table_blocks(table.beginning, table.header, [table.coordinates[0], *columns]):
        numbers = {to: positions(path, block[name], line) for name, to in columns.items()}
        pair = table.values(block[table.columns], line)
        lines = np.arange(line, line + len(block))
        if table.coordinates == PROBE:
            names = [probe_name(name) for name in texts(path, block["probe"], line)]
            places = pd.DataFrame({"chrom": names, "start": 0, "end": 1})
            if table.manifest is not None:
                rows, places = table.manifest.find(names)
                lines, pair = lines[rows], (pair[0][rows], pair[1][rows])
        else:
            places = pd.DataFrame({"chrom": texts(path, block[table.coordinates[0]], line), **numbers})
        places.index = pd.Index(lines)
        check_extent(path, places)
        if len(places):
            yield places, pair
