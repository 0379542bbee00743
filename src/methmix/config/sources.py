"""The sources of a reference, one section each; ``reference.source`` chooses."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from methmix.config.section import Section


class SplitSettings(Section):
    """How the donors of a tissue are divided before anything is mixed."""

    validation: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        description="share of a tissue's donors for validation; at least one donor where there are three"
    )
    test: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        description="share of a tissue's donors for the test; at least one donor where there are two"
    )
    allow_single_donor: bool = Field(
        description="accept tissues with one donor, which is then in all splits: their errors are optimistic"
    )
    fold: int = Field(
        default=0, ge=0, description="which donors are in test and validation: each fold takes the next ones"
    )


class MarkerRegions(Section):
    """Keep the regions that tell the tissues best, as the training donors show them."""

    top_k_per_tissue: int = Field(ge=1, description="number of regions kept for each tissue; tissues may share some")


def _kind_of_regions(value: Any) -> str:
    return "markers" if isinstance(value, dict | MarkerRegions) else "all"


# What several sources have alike.
Genome = Annotated[str, Field(description="genome build of the coordinates, for example hg38")]
MergedTissues = Annotated[dict[str, str], Field(description="tissue name in the source -> name to use; joins tissues")]
Regions = Annotated[
    Annotated[Literal["all"], Tag("all")] | Annotated[MarkerRegions, Tag("markers")],
    Discriminator(_kind_of_regions),
    Field(description="all, or top_k_per_tissue: only the regions that tell the tissues best"),
]
SampleSheet = Annotated[
    str | None, Field(description="TSV with columns donor, tissue[, split]; without one, donors are <tissue>-<number>")
]


class SimulatedReference(Section):
    """A reference drawn from a seed, with the donor variation that was fitted to real replicates."""

    source: Literal["simulated"]
    tissues: dict[str, list[str]] = Field(
        min_length=1, description="groups of related tissues; tissues of a group share methylation changes"
    )
    n_regions: int = Field(ge=10, description="number of regions")
    n_donors: int = Field(ge=3, description="number of donors in all, at least 3 a tissue")
    coverage: float = Field(gt=0, description="mean sequencing coverage of a donor, reads per CpG")
    donor_variation: Literal["healthy", "tumour"] = Field(
        description="which replicates the between-donor variation was fitted to"
    )
    regions: Regions = "all"
    split: SplitSettings

    @model_validator(mode="after")
    def _counts_fit(self) -> Self:
        names = [name for group in self.tissues.values() for name in group]
        if len(set(names)) != len(names):
            raise ValueError("tissues: a tissue is named twice")
        if len(names) < 2:
            raise ValueError("tissues: at least two tissues are needed")
        if self.n_donors < 3 * len(names):
            raise ValueError(
                f"n_donors: {self.n_donors} is too few, {len(names)} tissues need at least {3 * len(names)}"
            )
        return self


class CountsReference(Section):
    """Methylated and total counts of each donor (the MetDecode / CelFiE table)."""

    source: Literal["counts"]
    file: str = Field(description="TSV: CHROM START END <donor>_METH <donor>_DEPTH ...; METHMIX_DATA/ may lead")
    sample_sheet: SampleSheet = None
    genome: Genome
    merge_tissues: MergedTissues = Field(default_factory=dict)
    duplicate_regions: Literal["error", "deepest"] = Field(
        description="error, or deepest: of the rows of one region keep the one with most reads"
    )
    regions: Regions = "all"
    split: SplitSettings


class UxmAtlasReference(Section):
    """A wgbstools / UXM atlas of tissue means; donors are drawn around them."""

    source: Literal["uxm_atlas"]
    file: str = Field(description="TSV: chr start end startCpG endCpG target name direction <tissue>...")
    genome: Genome
    donors_per_tissue: int = Field(ge=3, description="donors drawn around each mean")
    pseudo_depth: int = Field(ge=10, description="depth given to the drawn fractions")
    donor_variation: Literal["healthy", "tumour"] = Field(
        description="which replicates the between-donor variation was fitted to"
    )
    regions: Regions = "all"
    split: SplitSettings


class BetaTableReference(Section):
    """Methylation of each donor as fractions, without the number of reads (``wgbstools beta_to_table``)."""

    source: Literal["beta_table"]
    file: str = Field(description="TSV: chr start end startCpG endCpG <donor>..., 0-1 or NA; METHMIX_DATA/ may lead")
    sample_sheet: SampleSheet = None
    genome: Genome
    merge_tissues: MergedTissues = Field(default_factory=dict)
    pseudo_depth: int = Field(ge=10, description="depth given to every fraction")
    regions: Regions = "all"
    split: SplitSettings


class PatternH5Reference(Section):
    """Single CpG calls of each sample in HDF5, padded to one number of positions, and a table of the samples."""

    source: Literal["pattern_h5"]
    file: str = Field(
        description="HDF5: methylation [samples, regions, positions] uint8, 0, 1 or 2 (missing); METHMIX_DATA/ may lead"
    )
    metadata: str = Field(
        description="CSV, a row a sample: sample_name, tissue_top_level, aug_version, is_synthetic, original_sample"
    )
    regions_bed: str = Field(description="BED with the coordinates of the regions, in order: the HDF5 has none")
    genome: Genome
    merge_tissues: MergedTissues = Field(default_factory=dict)
    regions: Regions = "all"
    split: SplitSettings


class WgbstoolsReference(Section):
    """Files of wgbstools, one a donor, whose reads are counted in regions."""

    source: Literal["wgbstools"]
    folder: str = Field(description="folder of the files; METHMIX_DATA/ may lead")
    sample_sheet: str = Field(
        description="TSV with columns donor, tissue, file[, split]; file is a .beta or .pat.gz in the folder"
    )
    regions_bed: str = Field(description="BED without a header: chrom start end start_cpg end_cpg (end not included)")
    measure: Literal["cpg", "fragment"] = Field(
        description="what is counted: cpg, the calls of single CpGs; fragment, whole fragments (.pat.gz only)"
    )
    genome: Genome
    merge_tissues: MergedTissues = Field(default_factory=dict)
    regions: Regions = "all"
    split: SplitSettings


ReferenceSettings = Annotated[
    SimulatedReference
    | CountsReference
    | UxmAtlasReference
    | BetaTableReference
    | PatternH5Reference
    | WgbstoolsReference,
    Field(discriminator="source"),
]
