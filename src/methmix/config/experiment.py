"""The experiment: where its reference comes from, how mixtures are made of it, how arms are compared."""

from itertools import pairwise
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from methmix.arms import MAIN
from methmix.config.recipes import BackgroundRecipe, Composition, Recipe, check_composition
from methmix.config.section import Section
from methmix.config.sources import ReferenceSettings

Phase = Literal["phase1", "phase2", "phase3"]
ArmName = Literal["original", "sparse"]


class MixtureSettings(Section):
    """How many mixtures there are, how deep, and what is in them."""

    mean_depths: list[Annotated[float, Field(gt=0)]] = Field(
        min_length=1, strict=False, description="mean reads a region; drawn with equal probability"
    )
    n_train_preview: int = Field(ge=1, description="mixtures in the train file, which is for inspection only")
    n_validation: int = Field(ge=10, description="mixtures in the validation file")
    n_test: int = Field(ge=10, description="mixtures in the test file")
    recipes: dict[Phase, Recipe] = Field(min_length=1, description="what a mixture of each phase consists of")


class EvaluationSettings(Section):
    """How arms are compared."""

    n_bootstrap: int = Field(ge=100, description="bootstrap resamples behind each interval")
    cuts: list[Annotated[float, Field(gt=0, lt=0.5)]] = Field(
        min_length=1, description="candidate cuts of nnls_cut and em; the best on validation is used"
    )
    look_alikes: dict[str, Annotated[list[str], Field(min_length=2)]] = Field(
        default_factory=dict,
        description="name -> tissues that are too alike to be told apart; they are also scored as one",
    )

    @model_validator(mode="after")
    def _tissues_are_in_one_group(self) -> Self:
        names = [name for group in self.look_alikes.values() for name in group]
        if len(set(names)) != len(names):
            raise ValueError("look_alikes: a tissue is named twice")
        return self


class DetectionSettings(Section):
    """What ``snakemake detection_limit`` measures: one tissue spiked into a background, at known shares and depths."""

    background: Composition = Field(
        min_length=1,
        description="share of each tissue in the background; every other tissue of the reference is spiked",
    )
    spikes: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        min_length=1, description="shares of the spiked tissue, ascending; blanks, without any, are made anyway"
    )
    depths: list[Annotated[float, Field(gt=0)]] = Field(min_length=1, description="mean reads a region, ascending")
    n_blank: int = Field(ge=100, description="mixtures without a spike, per depth; of test and of validation donors")
    n_spiked: int = Field(ge=1, description="mixtures per tissue, spike and depth")

    @model_validator(mode="after")
    def _is_a_dilution_series(self) -> Self:
        check_composition(self.background)
        for name in ("spikes", "depths"):
            values = getattr(self, name)
            if any(after <= before for before, after in pairwise(values)):
                raise ValueError(f"{name}: expected ascending values without repeats, got {values}")
        return self


class PredictionSettings(Section):
    """What ``snakemake predict`` predicts, and with which model."""

    samples: str = Field(description="samples sheet, TSV: sample, file[, patient, date, name_in_file, group]")
    checkpoint_phase: Phase = Field(
        default="phase3", description="the sparse arm of this phase predicts; it is trained first if need be"
    )
    pseudo_depth: int = Field(default=30, ge=1, description="reads that a value of a beta table stands for")
    genome: str | None = Field(default=None, description="genome build of the samples, if it is to be checked")
    regions_file: str | None = Field(
        default=None, description="BED with CpG indices, for .beta and .pat.gz if the reference has none"
    )
    control_group: str | None = Field(
        default=None, description="group of the sheet that the others are compared with; by default none are compared"
    )
    background: list[str] | None = Field(
        default=None,
        min_length=1,
        description="tissues that are not of interest in that; by default the background of the phase 3 mixtures",
    )
    unknown: bool = Field(
        default=False, description="estimate what samples that do not fit have beyond the tissues of the reference"
    )


class SweepSettings(Section):
    """What ``snakemake sweep_phase2`` tries, on validation."""

    learning_rates: list[Annotated[float, Field(gt=0)]] = Field(min_length=1, description="peaks to try")


class RepeatSettings(Section):
    """Further runs of the whole experiment, under ``results/<name>-seed<n>`` and ``results/<name>-fold<n>``."""

    seeds: list[Annotated[int, Field(ge=0)]] = Field(
        default_factory=list, description="further seeds: other simulated donors, mixtures and initial weights"
    )
    folds: list[Annotated[int, Field(ge=1)]] = Field(
        default_factory=list, description="further folds: another donor of each tissue in test"
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for name in ("seeds", "folds"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name}: one is named twice")
        return self


class Experiment(Section):
    """A whole experiment; one file in ``config/``."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="results go to results/<name>")
    seed: int = Field(ge=0, description="master seed; every random stream derives from it")
    reference: ReferenceSettings
    mixtures: MixtureSettings
    arms: dict[Phase, dict[ArmName, str]] = Field(description="configuration file of each trained arm, per phase")
    overrides: dict[str, bool | int | float | str | list[int]] = Field(
        default_factory=dict,
        description="dotted arm keys (training.epochs) that this experiment sets for all its arms alike",
    )
    evaluation: EvaluationSettings
    detection: DetectionSettings | None = Field(default=None, description="nothing is spiked by default")
    prediction: PredictionSettings | None = Field(default=None, description="no samples are predicted by default")
    sweep: SweepSettings
    ablation: str = Field(
        default="config/phase2_ablation.yaml", description="file with the variants that are compared with the arms"
    )
    repeats: RepeatSettings = Field(default_factory=RepeatSettings, description="none by default")

    @model_validator(mode="after")
    def _phases_have_recipes(self) -> Self:
        for phase in self.arms:
            if phase not in self.mixtures.recipes:
                raise ValueError(f"arms.{phase}: mixtures.recipes has no {phase}")
        if self.prediction and MAIN not in self.arms.get(self.prediction.checkpoint_phase, {}):
            phase = self.prediction.checkpoint_phase
            raise ValueError(f"prediction.checkpoint_phase: arms.{phase} has no {MAIN} arm that could predict")
        if self.prediction and self.prediction.control_group and not self.background:
            raise ValueError(
                "prediction.background: with a control_group, expected names of tissues, as mixtures.recipes has no "
                "phase3 whose background could be meant"
            )
        if self.seed in self.repeats.seeds:
            raise ValueError(f"repeats.seeds: {self.seed} is the seed of the experiment itself")
        return self

    @property
    def background(self) -> list[str]:
        """Tissues that are not of interest when groups of samples are compared, as the prediction or phase 3 says."""
        if self.prediction and self.prediction.background:
            return self.prediction.background
        recipe = self.mixtures.recipes.get("phase3")
        if not isinstance(recipe, BackgroundRecipe):
            return []
        return list(recipe.composition)

    @property
    def results(self) -> PurePosixPath:
        """Folder of everything that this experiment writes, relative to the working directory."""
        return PurePosixPath("results") / self.name
