"""The columns of the sheets, tab-separated tables: of samples to predict, and of the donors of a reference."""

from typing import Literal

from pydantic import Field

from methmix.config.section import Section


class SampleRow(Section):
    """One sample to predict, a row of the sheet that ``prediction.samples`` or ``--sheet`` names."""

    sample: str = Field(min_length=1, description="name of the sample, unique in the sheet")
    file: str = Field(min_length=1, description="file that has it, relative to the working folder")
    patient: str = Field("", description="whose sample it is; samples of one patient are drawn as a course")
    date: str = Field("", pattern=r"^(\d{4}-\d{2}-\d{2})?$", description="when it was taken, YYYY-MM-DD")
    name_in_file: str = Field("", description="its name in a file of several samples, if it is another one")
    group: str = Field("", description="what it is compared as, for example Control")
    batch: str = Field("", description="what it was prepared or sequenced with; tested for whether it explains a group")


class DonorRow(Section):
    """One donor of a reference, a row of the sheet that ``reference.sample_sheet`` names."""

    donor: str = Field(min_length=1, description="name of the donor, as the column of the table is named")
    tissue: str = Field(min_length=1, description="tissue or cell type; donors of one tissue have the same")
    file: str = Field("", description="of the source wgbstools, where it is needed: the donor's file in the folder")
    split: Literal["train", "validation", "test"] | None = Field(
        None, description="where it goes; without this column donors are split at random"
    )


def columns(row: type[Section]) -> tuple[list[str], list[str]]:
    """Name the columns that a sheet must have, and those that it may have."""
    needed = [name for name, column in row.model_fields.items() if column.is_required()]
    return needed, [name for name in row.model_fields if name not in needed]
