"""Source ``counts``: methylated and total counts of each donor in a table."""

import logging
import re
from pathlib import Path

import numpy as np
import pandas as pd

from methmix.config.experiment import CountsReference
from methmix.errors import InputError
from methmix.files.reference import SPLITS
from methmix.formats.tables import counts_names
from methmix.formats.text import UNREADABLE

logger = logging.getLogger("methmix")


def read_counts_table(
    path: Path, duplicate_regions: str = "error"
) -> tuple[list[str], pd.DataFrame, np.ndarray, np.ndarray]:
    """Read a counts table.

    Parameters
    ----------
    path
        TSV with columns ``CHROM START END <name>_METH <name>_DEPTH ...``, plain or gzip.
    duplicate_regions
        ``error``, or ``deepest``: of several rows of one region keep the one with most reads.

    Returns
    -------
    names, regions, methylated, depth
        Sample names; DataFrame chrom, start, end; counts, int32 [n_samples, n_regions].

    Raises
    ------
    InputError
        A column is missing or doubled, a count is not a whole number, negative or larger than its depth, a
        region is there twice; the message names row and column.
    """
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, header=None)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except UNREADABLE as error:
        raise InputError(f"{path}: is not a readable table ({error})") from None
    header, table = table.iloc[0].tolist(), table.iloc[1:].reset_index(drop=True)
    names = counts_names(path, header)
    if table.empty:
        raise InputError(f"{path}: has a header but no regions")
    table.columns = pd.Index(header)
    numbers = _whole_numbers(path, table[[c for c in header if c != "CHROM"]])
    regions = pd.DataFrame({"chrom": table["CHROM"], "start": numbers["START"], "end": numbers["END"]})
    if (regions["end"] <= regions["start"]).any():
        row = int(np.argmax(regions["end"] <= regions["start"]))
        raise InputError(f"{path}: line {row + 2}: END must be larger than START")
    methylated = np.stack([numbers[f"{name}_METH"] for name in names])
    depth = np.stack([numbers[f"{name}_DEPTH"] for name in names])
    if (methylated > depth).any():
        donor, row = np.argwhere(methylated > depth)[0]
        raise InputError(
            f"{path}: line {row + 2}, {names[donor]}: {methylated[donor, row]} methylated "
            f"of {depth[donor, row]} reads; expected METH <= DEPTH",
            "are the two columns swapped?",
        )
    keep = _unique_regions(path, regions, depth, duplicate_regions)
    return names, regions.iloc[keep].reset_index(drop=True), methylated[:, keep], depth[:, keep]


def read_counts(
    settings: CountsReference, path: Path, sample_sheet: Path | None
) -> tuple[list[str], list[str], list[str] | None, pd.DataFrame, np.ndarray, np.ndarray]:
    """Read the donors of a counts source.

    Returns
    -------
    donors, tissues, splits, regions, methylated, depth
        ``splits`` is None unless the sample sheet has a column ``split``; the rest as `read_counts_table`.

    Raises
    ------
    InputError
        As for `read_counts_table`; a tissue cannot be told; table and sheet do not match.
    """
    names, regions, methylated, depth = read_counts_table(path, settings.duplicate_regions)
    if sample_sheet is None:
        donors, tissues, splits = names, [parse_tissue(path, name) for name in names], None
    else:
        donors, tissues, splits = _read_sheet(sample_sheet, path, names)
        rows = [names.index(donor) for donor in donors]
        methylated, depth = methylated[rows], depth[rows]
    unknown = sorted(set(settings.merge_tissues) - set(tissues))
    if unknown:
        raise InputError(
            f"reference.merge_tissues: {unknown[0]!r} is not a tissue of {path}; "
            f"it has {', '.join(sorted(set(tissues)))}"
        )
    tissues = [settings.merge_tissues.get(tissue, tissue) for tissue in tissues]
    return donors, tissues, splits, regions, methylated, depth


def _whole_numbers(path: Path, table: pd.DataFrame) -> dict[str, np.ndarray]:
    numbers = {}
    for name in table.columns:
        values = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=float)
        bad = ~(np.isfinite(values) & (values == np.floor(values)) & (values >= 0) & (values < 2**31))
        if bad.any():
            row = int(np.argmax(bad))
            raise InputError(
                f"{path}: line {row + 2}, column {name}: expected a whole number >= 0, found {table[name].iloc[row]!r}",
                "a region without reads has METH 0 and DEPTH 0",
            )
        numbers[name] = values.astype(np.int32)
    return numbers


def _unique_regions(path: Path, regions: pd.DataFrame, depth: np.ndarray, policy: str) -> np.ndarray:
    duplicated = regions.duplicated(keep=False).to_numpy()
    if duplicated.any() and policy == "error":
        row = int(np.argmax(regions.duplicated()))
        region = regions.iloc[row]
        raise InputError(
            f"{path}: line {row + 2}: region {region['chrom']}:{region['start']}-{region['end']} is there twice",
            "set reference.duplicate_regions to deepest to keep the row with most reads",
        )
    ranked = regions.assign(reads=depth.sum(axis=0, dtype=np.int64)).sort_values(
        "reads", ascending=False, kind="stable"
    )
    keep: np.ndarray = np.sort(ranked.drop_duplicates(["chrom", "start", "end"]).index.to_numpy())
    return keep


def parse_tissue(path: Path, donor: str) -> str:
    """Tell the tissue of a donor that is named ``<tissue>-<number>``.

    Raises
    ------
    InputError
        It is named otherwise.
    """
    match = re.fullmatch(r"(.+)-\d+", donor)
    if not match:
        raise InputError(
            f"{path}: donor {donor!r}: cannot tell its tissue, expected <tissue>-<number>",
            "name tissues in a sample sheet (reference.sample_sheet: columns donor, tissue)",
        )
    return match.group(1)


def _read_sheet(sheet: Path, table: Path, names: list[str]) -> tuple[list[str], list[str], list[str] | None]:
    try:
        content = pd.read_csv(sheet, sep="\t", dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise InputError(f"{sheet}: there is no such file") from None
    except UNREADABLE as error:
        raise InputError(f"{sheet}: is not a readable sample sheet ({error})") from None
    for column in ("donor", "tissue"):
        if column not in content.columns:
            raise InputError(f"{sheet}: column {column} is missing; found {', '.join(content.columns)}")
    donors = content["donor"].tolist()
    if len(set(donors)) != len(donors):
        raise InputError(f"{sheet}: donor {max(donors, key=donors.count)} is there twice")
    absent = [donor for donor in donors if donor not in names]
    if absent:
        raise InputError(f"{sheet}: donor {absent[0]} is not in {table}; that has {', '.join(names[:3])} ...")
    unlisted = [name for name in names if name not in set(donors)]
    if unlisted:
        logger.warning("%s: donors that %s does not list are left out: %s", table, sheet, ", ".join(unlisted))
    if (content["tissue"] == "").any():
        raise InputError(f"{sheet}: donor {donors[int(np.argmax(content['tissue'] == ''))]} has no tissue")
    splits = content["split"].tolist() if "split" in content.columns else None
    if splits and set(splits) - set(SPLITS):
        wrong = next(s for s in splits if s not in SPLITS)
        raise InputError(f"{sheet}: split: expected one of {', '.join(SPLITS)}, found {wrong!r}")
    return donors, content["tissue"].tolist(), splits
