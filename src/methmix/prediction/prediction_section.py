"""What the workflow needs to know of the section ``prediction`` of a configuration."""

from pathlib import Path

from methmix.config.experiment import Experiment
from methmix.errors import InputError
from methmix.prediction.sample_sheet import files_of_sheet
from methmix.reference.inputs import data_file


def sheet_and_files(experiment: Experiment, config: str | Path) -> list[str]:
    """Give what a prediction of the workflow reads: the samples sheet first, then its files.

    Raises
    ------
    InputError
        The configuration has no such section, or as for `files_of_sheet`.
    """
    settings = experiment.prediction
    if settings is None:
        raise InputError(
            f"{config}: missing key prediction, so there is nothing to predict",
            "write, for example:\n    prediction:\n      samples: config/samples.tsv\n      checkpoint_phase: phase2",
        )
    return [settings.samples, *(str(data_file(str(file))) for file in files_of_sheet(Path(settings.samples)))]


def options(experiment: Experiment) -> list[str]:
    """Give the options of ``python -m methmix.prediction`` that the section stands for."""
    settings = experiment.prediction
    if settings is None:
        return []
    given = settings.model_dump(include={"pseudo_depth", "genome", "regions_file", "control_group"}, exclude_none=True)
    words = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    if settings.control_group:
        words += ["--background", *experiment.background]
    return [*words, "--unknown"] if settings.unknown else words
