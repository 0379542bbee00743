"""The reference: counts of every donor in every region, and which split each donor is in."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from methmix.errors import InputError
from methmix.files.hdf5 import open_hdf5, read_dataset, readable
from methmix.files.new_hdf5 import new_hdf5
from methmix.files.schema import TEXT, Attribute, Dataset, FileSchema
from methmix.rows import first_true, fractions

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

# A region in wgbstools' numbering of the CpGs of a genome; not every source has it.
CPG_COLUMNS = ("start_cpg", "end_cpg")
_TEXTS = ("donors", "tissues", "split")
REGIONS = {
    "regions/chrom": Dataset(TEXT, ("regions",)),
    "regions/start": Dataset("int64", ("regions",), low=0),
    "regions/end": Dataset("int64", ("regions",), low=0),
    **{f"regions/{name}": Dataset("int64", ("regions",), low=0, optional=True) for name in CPG_COLUMNS},
}
SCHEMA = FileSchema(
    made_by="python -m methmix.reference build",
    version=3,
    datasets={
        **dict.fromkeys(_TEXTS, Dataset(TEXT, ("donors",))),
        **REGIONS,
        # `Reference` checks their values, donor by donor: they stay in the file.
        **dict.fromkeys(("methylated", "depth"), Dataset("int32", ("donors", "regions"))),
        "composition": Dataset("float32", ("donors", "tissues"), low=0, high=1),
    },
    attributes={
        **dict.fromkeys(("genome", "source", "measure", "modification", "licence", "terms_of_use"), Attribute("text")),
        **dict.fromkeys(("sha256", "versions", "settings"), Attribute("json object")),
        "seed": Attribute("integer"),
        "notes": Attribute("json list"),
        "composition_known": Attribute("flag"),
        "content_digest": Attribute("text", optional=False),
    },
)


class Fractions:
    """Methylation of donors, computed for those that are indexed: all of them may be more than memory holds.

    ``fractions[rows]`` is float32 [n_rows, n_regions] (``fractions[row]``: [n_regions]), 0-1, NaN where not observed.
    """

    def __init__(self, methylated: npt.NDArray[np.int32], depth: npt.NDArray[np.int32]) -> None:
        self._methylated = methylated
        self._depth = depth
        self.shape = depth.shape

    def __getitem__(self, rows: Any) -> npt.NDArray[np.float32]:
        """Compute some donors; ``rows`` is any NumPy index of rows."""
        return fractions(self._methylated[rows], self._depth[rows])


@dataclass(frozen=True)
class Reference:
    """All donors.

    Parameters
    ----------
    methylated, depth
        Counts, shape [n_donors, n_regions]; depth 0 means that the region was not observed. Those of a file are
        memory-mapped: only what is used is read, and the system can drop it again.
    donors, tissues, split
        Name, tissue and split of each donor, length n_donors.
    regions
        Columns chrom, start, end and, where the source has them, start_cpg, end_cpg; n_regions rows.
    attributes
        source, seed, genome, measure, versions, sha256 of inputs, and notes for the user.
    known_composition
        What the DNA of each donor consists of, float32 [n_donors, n_tissues], rows sum to 1; None for real donors, of
        whom only the label is known.
    """

    methylated: npt.NDArray[np.int32]
    depth: npt.NDArray[np.int32]
    donors: list[str]
    tissues: list[str]
    split: list[Split]
    regions: pd.DataFrame
    attributes: dict[str, Any] = field(default_factory=dict)
    known_composition: npt.NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        shape = (len(self.donors), len(self.regions))
        for name in ("methylated", "depth"):
            if getattr(self, name).shape != shape:
                raise InputError(f"reference: {name} has shape {getattr(self, name).shape}, expected {shape}")
        if len(self.tissues) != len(self.donors) or len(self.split) != len(self.donors):
            raise InputError("reference: donors, tissues and split differ in length")
        if len(set(self.donors)) != len(self.donors):
            raise InputError(f"reference: duplicate donor {max(self.donors, key=self.donors.count)}")
        if set(self.split) - set(SPLITS):
            raise InputError(f"reference: split: expected {SPLITS}, found {sorted(set(self.split))}")
        if self.composition.shape != (len(self.donors), len(self.tissue_names)):
            raise InputError(
                f"reference: composition has shape {self.composition.shape}, "
                f"expected {(len(self.donors), len(self.tissue_names))}"
            )
        if (self.composition < 0).any() or not np.allclose(self.composition.sum(axis=1), 1, atol=1e-5):
            raise InputError("reference: composition: expected rows >= 0 that sum to 1")
        for donor, methylated, depth in zip(self.donors, self.methylated, self.depth, strict=True):
            if (region := first_true((methylated < 0) | (methylated > depth))) is not None:
                raise InputError(
                    f"reference: donor {donor}, region {region}: "
                    f"{methylated[region]} methylated of {depth[region]} reads"
                )

    @property
    def tissue_names(self) -> list[str]:
        """Tissues in alphabetical order: the order of every array with a tissue axis."""
        return sorted(set(self.tissues))

    @property
    def measure(self) -> str:
        """Unit of counting in a region: ``cpg``, single calls; ``fragment``, whole reads."""
        return str(self.attributes.get("measure", "cpg"))

    @property
    def modification(self) -> str:
        """What counts as methylated: ``5mC+5hmC``, which bisulfite and EM-seq read alike, or ``5mC``."""
        return str(self.attributes.get("modification", "5mC+5hmC"))

    @property
    def region_names(self) -> list[str]:
        """``chrom:start-end`` of each region."""
        return [f"{r.chrom}:{r.start}-{r.end}" for r in self.regions.itertuples(index=False)]

    @cached_property
    def composition(self) -> npt.NDArray[np.float32]:
        """What the DNA of each donor consists of, [n_donors, n_tissues]; its label alone where that is not known."""
        if self.known_composition is not None:
            return self.known_composition
        labels = np.array(self.tissues)[:, None] == np.array(self.tissue_names)
        return np.asarray(labels, dtype=np.float32)

    @property
    def fractions(self) -> Fractions:
        """Methylation of each donor."""
        return Fractions(self.methylated, self.depth)

    def pool(self, split: Split) -> dict[str, list[int]]:
        """List the donors (row numbers) that mixtures of a split are made of, per tissue.

        A tissue without a donor of that split uses its training donors (see `shared_tissues`).
        """
        pool = {}
        for tissue in self.tissue_names:
            of_tissue = [i for i, name in enumerate(self.tissues) if name == tissue]
            own = [i for i in of_tissue if self.split[i] == split]
            pool[tissue] = own or [i for i in of_tissue if self.split[i] == "train"]
        return pool

    def shared_tissues(self, split: Split) -> list[str]:
        """List the tissues whose mixtures of a split are made of training donors."""
        pool = self.pool(split)
        return [name for name, rows in pool.items() if any(self.split[row] != split for row in rows)]

    def profiles(self, split: Split = "train") -> npt.NDArray[np.float64]:
        """Average the donors of a split into one methylation profile per tissue.

        Every donor counts the same, however deep it was sequenced, since donors differ more than reads do. The result
        is [n_tissues, n_regions], 0-1, NaN where no donor of the tissue observed the region.
        """
        return np.stack([mean_of_observed(self.fractions[rows]) for rows in self.pool(split).values()])

    def complete_profiles(self, split: Split = "train") -> npt.NDArray[np.float64]:
        """Give `profiles` without NaN: an unknown entry is the mean of the other tissues in that region.

        A region that was observed in no tissue becomes 0.5 for all, which carries no information.
        """
        profiles = self.profiles(split)
        others = np.nan_to_num(mean_of_observed(profiles), nan=0.5)
        return np.where(np.isnan(profiles), others, profiles)

    @cached_property
    def digest(self) -> str:
        """Digest of tissues and regions: equal for data that the same model can be used on."""
        return digest(self.tissue_names, self.region_names)

    @cached_property
    def content_digest(self) -> str:
        """Digest of everything: equal only for the same donors with the same counts in the same splits."""
        text = "\n".join([self.digest, *self.donors, *self.tissues, *self.split])
        made = hashlib.sha256(text.encode())
        for counts in (self.methylated, self.depth):
            for of_donor in counts:
                made.update(of_donor.astype(np.int32).tobytes())
        if self.known_composition is not None:
            made.update(self.known_composition.tobytes())
        return made.hexdigest()


def digest(tissue_names: list[str], region_names: list[str]) -> str:
    """Digest a tissue list and a region set."""
    text = "\n".join([*tissue_names, "", *region_names])
    return hashlib.sha256(text.encode()).hexdigest()


def mean_of_observed(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Average over the first axis, ignoring NaN; NaN (without a warning) where all are NaN."""
    observed = ~np.isnan(values)
    number = observed.sum(axis=0)
    total = np.where(observed, values, 0).sum(axis=0, dtype=np.float64)
    out = np.full(values.shape[1], np.nan)
    np.divide(total, number, out=out, where=number > 0)
    return out


def write_reference(path: Path, reference: Reference) -> None:
    """Write a reference atomically; the same reference gives the same bytes."""
    text = h5py.string_dtype()
    with new_hdf5(path) as file:
        for name in ("methylated", "depth"):
            # In one piece and as they are, so that they can be mapped.
            file.create_dataset(name, data=getattr(reference, name), dtype=np.int32)
        for name in _TEXTS:
            file.create_dataset(name, data=getattr(reference, name), dtype=text)
        file.create_dataset("composition", data=reference.composition, dtype=np.float32)
        write_regions(file, reference.regions)
        for key, value in reference.attributes.items():
            file.attrs[key] = value
        file.attrs["composition_known"] = reference.known_composition is not None
        file.attrs["content_digest"] = reference.content_digest
        file.attrs["schema_version"] = SCHEMA.version


def write_regions(file: h5py.File, regions: pd.DataFrame) -> None:
    """Write regions, as `Reference` has them, to an open file."""
    file.create_dataset("regions/chrom", data=regions["chrom"].astype(str).tolist(), dtype=h5py.string_dtype())
    for name in ("start", "end", *(name for name in CPG_COLUMNS if name in regions)):
        file.create_dataset(f"regions/{name}", data=regions[name].to_numpy(dtype=np.int64))


def read_regions(path: Path, file: h5py.File, schema: FileSchema) -> pd.DataFrame:
    """Read the regions of an open file."""
    columns = [name for name in REGIONS if name in file]
    regions = pd.DataFrame({name.split("/")[1]: read_dataset(path, file, schema, name) for name in columns})
    if (row := first_true(regions["end"] < regions["start"])) is not None:
        raise InputError(f"{path}: regions: region {row} ends before it begins", schema.remedy)
    return regions


def read_reference(path: Path) -> Reference:
    """Read a reference; its counts are mapped into memory."""
    file, attributes = open_hdf5(path, SCHEMA)
    with file:
        known, written = attributes.pop("composition_known", False), attributes.pop("content_digest")
        content: dict[str, Any] = {
            **{name: read_dataset(path, file, SCHEMA, name) for name in _TEXTS},
            "regions": read_regions(path, file, SCHEMA),
            "known_composition": read_dataset(path, file, SCHEMA, "composition") if known else None,
        }
        with readable(path, SCHEMA):
            content |= {name: _mapped(path, file[name]) for name in ("methylated", "depth")}
    attributes.pop("schema_version")
    try:
        reference = Reference(**content, attributes=attributes)
    except InputError as error:
        raise InputError(f"{path}: {error}", SCHEMA.remedy) from None
    if written != reference.content_digest:
        raise InputError(f"{path}: is damaged: its content is not what was written", SCHEMA.remedy)
    return reference


def _mapped(path: Path, dataset: h5py.Dataset) -> npt.NDArray[np.int32]:
    """Map a dataset that stands in one piece in its file."""
    place = dataset.id.get_offset()
    if place is None:
        whole: npt.NDArray[np.int32] = dataset[:]
        return whole
    return np.memmap(path, dataset.dtype, mode="r", offset=place, shape=dataset.shape)
