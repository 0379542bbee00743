"""The sources of a reference, one section each; ``reference.source`` chooses."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from methmix.bounds import LIFT, is_lifted
from methmix.config.section import DISTINCT, Minority, Section

# A thousand donors in five million regions: 40 GB.
_MOST_COUNTS = 5 * 10**9


class SplitSettings(Section):
    """How the donors of a tissue are divided before anything is mixed."""

    validation: Minority = Field(0.2, description="fraction of a tissue's donors; at least one of three")
    test: Minority = Field(0.2, description="fraction of a tissue's donors; at least one of two")
    allow_single_donor: bool = Field(False, description="accept tissues of one donor, in all splits: optimistic errors")
    training_donors: int | None = Field(None, ge=1, description="train with so many per tissue, test with all others")
    fold: int = Field(0, ge=0, description="which donors are in test and validation: each fold takes the next ones")


class MarkerRegions(Section):
    """Keep the most informative marker regions of each tissue, chosen from the training donors."""

    top_k_per_tissue: int = Field(ge=1, description="regions kept per tissue; tissues may have some in common")


# Keys of several sources.
Genome = Annotated[str, Field(min_length=1, description="genome build of the coordinates, for example hg38")]
Regions = Annotated[
    Annotated[Literal["all"], Tag("all")] | Annotated[MarkerRegions, Tag("markers")],
    Discriminator(lambda value: "markers" if isinstance(value, dict | MarkerRegions) else "all"),
    Field(description="all, or top_k_per_tissue: only the most informative marker regions of each tissue"),
]
SampleSheet = Annotated[
    str | None, Field(description="TSV: donor, tissue[, split]; null: donors are <tissue>-<number>")
]
Modification = Annotated[
    Literal["5mC", "5mC+5hmC"],
    Field(description="what counts as methylated; bisulfite and EM-seq do not distinguish 5mC and 5hmC"),
]
Variation = Annotated[Literal["healthy", "tumour"], Field(description="replicates that the variation was fitted to")]
_Groups = Annotated[dict[str, list[str]], DISTINCT]


class _Reference(Section):
    # Whether another seed draws other donors; if not, they are those of the file.
    drawn_donors: ClassVar[bool] = False
    source: str
    regions: Regions = "all"
    split: SplitSettings = SplitSettings()
    licence: str = Field("", description="SPDX identifier of the licence of the data, such as MIT; else: other")
    terms_of_use: str = Field("", description="who may use a model that is trained on these data; the card states it")


class _DonorReference(_Reference):
    genome: Genome
    modification: Modification = "5mC+5hmC"
    merge_tissues: dict[str, str] = Field({}, description="tissue name in the source -> name to use; joins tissues")


class SimulatedReference(_Reference):
    """A reference drawn from a seed, with the donor variation that was fitted to real replicates."""

    drawn_donors: ClassVar[bool] = True
    source: Literal["simulated"]
    tissues: _Groups = Field(min_length=1, description="groups of tissues with common methylation changes")
    n_regions: int = Field(ge=10, description="number of regions")
    n_donors: int = Field(ge=3, description="number of donors in all, at least 3 per tissue")
    coverage: float = Field(30.0, gt=0, description="mean sequencing coverage of a donor, reads per CpG")
    donor_variation: Variation = "healthy"

    @model_validator(mode="after")
    def _counts_fit(self) -> Self:
        n = sum(map(len, self.tissues.values()))
        if n < 2:
            raise ValueError("tissues: at least two tissues are needed")
        if self.n_donors < 3 * n:
            raise ValueError(f"n_donors: {self.n_donors} is too few, {n} tissues need at least {3 * n}")
        counts = self.n_donors * self.n_regions
        if counts > _MOST_COUNTS and not is_lifted():
            raise ValueError(
                f"n_donors: {counts:,} counts of all donors and regions, more than the bound of {_MOST_COUNTS:,}, "
                f"which {LIFT}=1 in the environment lifts"
            )
        return self


class CountsReference(_DonorReference):
    """Methylated and total counts of each donor (the MetDecode / CelFiE table)."""

    source: Literal["counts"]
    file: str = Field(description="TSV: CHROM START END <donor>_METH <donor>_DEPTH ...; METHMIX_DATA/ may lead")
    sample_sheet: SampleSheet = None
    duplicate_regions: Literal["error", "deepest"] = Field("error", description="deepest: keep the row with most reads")


class _AtlasReference(_Reference):
    drawn_donors: ClassVar[bool] = True
    file: str
    genome: Genome
    donors_per_tissue: int = Field(ge=3, description="donors drawn around each mean")
    pseudo_depth: int = Field(ge=10, description="depth given to the drawn fractions")
    donor_variation: Variation = "healthy"


class UxmAtlasReference(_AtlasReference):
    """A wgbstools / UXM atlas of tissue means; donors are drawn around them."""

    source: Literal["uxm_atlas"]
    file: str = Field(description="TSV: chr start end startCpG endCpG target name direction <tissue>...")


class ArrayAtlasReference(_AtlasReference):
    """Means of tissues of an array, a row per probe, such as meth_atlas; donors are drawn around them."""

    source: Literal["array_atlas"]
    file: str = Field(description="CSV or TSV: a column of probes (cg...), one of each tissue, 0-1 or NA")
    genome: Genome = "none (probes)"
    manifest: str | None = Field(
        None, description="the array's manifest: regions are the CpGs in genome then, not the probes; null: probes"
    )

    @model_validator(mode="after")
    def _places_are_of_a_genome(self) -> Self:
        if self.manifest is not None and self.genome == "none (probes)":
            raise ValueError("genome: missing; the places of a manifest are of a genome, such as hg38")
        return self


class BetaTableReference(_DonorReference):
    """Methylation of each donor as fractions, without the number of reads (``wgbstools beta_to_table``)."""

    source: Literal["beta_table"]
    file: str = Field(description="TSV: chr start end startCpG endCpG <donor>..., 0-1 or NA; METHMIX_DATA/ may lead")
    sample_sheet: SampleSheet = None
    pseudo_depth: int = Field(ge=10, description="depth given to every fraction")


class PatternH5Reference(_DonorReference):
    """Single CpG calls of each sample in HDF5, padded to one number of positions, and a table of the samples."""

    source: Literal["pattern_h5"]
    file: str = Field(description="HDF5: methylation [samples, regions, positions] uint8, 0, 1 or 2 (missing)")
    metadata: str = Field(description="CSV: sample_name, tissue_top_level, aug_version, is_synthetic, original_sample")
    regions_bed: str = Field(description="BED with the coordinates of the regions, in order: the HDF5 has none")


class DonorFilesReference(_DonorReference):
    """Files of one donor each, of wgbstools or with counts of single CpGs, whose reads are counted in regions."""

    source: Literal["wgbstools", "files"] = Field(description="files of one donor each; both names mean the same")
    folder: str = Field(description="folder of the files; METHMIX_DATA/ may lead")
    sample_sheet: str = Field(description="TSV: donor, tissue, file[, split]; file of one donor in the folder")
    regions_bed: str = Field(description="BED without a header: chrom start end; for wgbstools also start_cpg end_cpg")
    zero_based: bool | None = Field(None, description="whether coverage files count from 0; null: as their lines show")
    measure: Literal["cpg", "fragment"] = Field(description="count calls of CpGs, or whole fragments (.pat.gz only)")


_FromDonors = CountsReference | BetaTableReference | PatternH5Reference | DonorFilesReference
ReferenceSettings = Annotated[
    SimulatedReference | UxmAtlasReference | ArrayAtlasReference | _FromDonors, Field(discriminator="source")
]
