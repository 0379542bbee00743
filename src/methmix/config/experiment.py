"""The experiment: where its reference comes from, how mixtures are made of it, how arms are compared."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from methmix.arms import ARMS, MAIN
from methmix.config.phases import BackgroundRecipe, Phase, Recipe, number_of
from methmix.config.section import (
    ASCENDING,
    DISTINCT,
    Changes,
    Composition,
    Count,
    Minority,
    Positives,
    Probability,
    Section,
)
from methmix.config.sources import Modification, ReferenceSettings

# The trained arms of `methmix.arms`, for a type checker.
ArmName = Literal["original", "sparse"]
_FolderName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")]
_Tissues = Annotated[list[str], Field(min_length=1)]
_Cuts = Annotated[list[Minority], Field(min_length=1)]
_LookAlikes = Annotated[dict[str, Annotated[list[str], Field(min_length=2)]], DISTINCT]
_Spikes = Annotated[list[Probability], Field(min_length=1), ASCENDING]
_Seeds = Annotated[list[Annotated[int, Field(ge=0)]], DISTINCT]


class MixtureSettings(Section):
    """How many mixtures there are, how deep, and what is in them."""

    mean_depths: Positives = Field([10.0, 30.0, 50.0, 100.0, 500.0], description="mean reads per region; one is drawn")
    n_train_preview: int = Field(100, ge=1, le=1_000_000, description="mixtures in the train file, for inspection only")
    n_validation: int = Field(1000, ge=10, le=1_000_000, description="mixtures in the validation file")
    n_test: int = Field(1000, ge=10, le=1_000_000, description="mixtures in the test file")
    recipes: dict[Phase, Recipe] = Field(min_length=1, description="what the mixtures of each phase consist of")


class EvaluationSettings(Section):
    """How arms are compared."""

    n_bootstrap: int = Field(1000, ge=100, description="bootstrap resamples behind each interval")
    cuts: _Cuts = Field(
        [0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1], description="cuts to try; validation chooses the best"
    )
    look_alikes: _LookAlikes = Field({}, description="name -> indistinguishable tissues, which are also scored as one")


class DetectionSettings(Section):
    """What ``snakemake detection_limit`` measures: one tissue spiked into a background, in a dilution series."""

    background: Composition = Field(min_length=1, description="proportion of each tissue in it; all others are spiked")
    spikes: _Spikes = Field(
        [0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1], description="true proportions of the spiked tissue, ascending"
    )
    depths: Annotated[Positives, ASCENDING] = Field(
        [10.0, 30.0, 100.0, 500.0], description="reads per region, ascending"
    )
    n_background_donors: int = Field(20, ge=20, description="unseen donors of the background, and as many others")
    n_blank: int = Field(400, ge=100, description="blanks per depth and set of backgrounds; at least 20 of each donor")
    n_spiked: Count = Field(40, description="mixtures per tissue, spike and depth; at least one of each background")


class PredictionSettings(Section):
    """What ``snakemake predict`` predicts, and with which model."""

    samples: str = Field(description="samples sheet, TSV: sample, file[, patient, date, name_in_file, group, batch]")
    checkpoint_phase: Phase = Field("phase3", description="phase whose sparse arm predicts; trained first if need be")
    pseudo_depth: Count = Field(30, description="reads that a value of a beta table stands for")
    genome: str | None = Field(None, description="genome build of the samples, if it is to be checked")
    regions_file: str | None = Field(None, description="BED with CpG indices, needed if the reference has none")
    zero_based: bool | None = Field(None, description="whether coverage files count from 0; null: as their lines show")
    modification: Modification | None = Field(
        None, description="what counts as methylated in bedMethyl; null: what does in the reference"
    )
    manifest: str | None = Field(None, description="manifest of the array that the samples were measured with, if one")
    tissues: Annotated[list[str], Field(min_length=2), DISTINCT] | None = Field(
        None, description="tissues among which alone proportions are reported; null: all"
    )
    exclude_regions: str | None = Field(None, description="BED; regions of the model that overlap it are left out")
    control_group: str | None = Field(None, description="group of the sheet that the other groups are compared with")
    background: _Tissues | None = Field(None, description="tissues not of interest; null: the background of a recipe")
    normals: str | None = Field(
        None,
        description="panel of normals: a file of python -m methmix.normals, controls (made of the control group), or "
        "none; null: made of the control group where it is large enough",
    )
    one_depth: float | None = Field(
        None, ge=1, description="mean depth at which groups are compared too; null: what 90 % of the samples reach"
    )
    presence_threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="presence probability from which on tissues get a proportion; null: the model's own",
    )
    explain: bool | None = Field(None, description="which regions drive each call; null: for up to 50 samples")
    unknown: bool = Field(False, description="estimate what samples with a poor fit have beyond the reference tissues")

    @property
    def panel_file(self) -> str | None:
        """File of the panel of normals, if one is named."""
        return None if self.normals in ("controls", "none") else self.normals


class RepeatSettings(Section):
    """Further runs of the whole experiment, under ``results/<name>-seed<n>`` and ``results/<name>-fold<n>``."""

    seeds: _Seeds = Field([], description="further seeds of the ablation: other donors, mixtures, weights")
    draws: int = Field(
        8, ge=2, description="draws of donors, the experiment's own included: its seed and the next ones"
    )
    folds: Annotated[list[Count], DISTINCT] = Field([], description="further folds: other donors in test")


class Experiment(Section):
    """A whole experiment; one file in ``config/``."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="results go to results/<name>")
    seed: int = Field(ge=0, description="master seed; every random stream derives from it")
    reference: ReferenceSettings
    mixtures: MixtureSettings
    arms: dict[Phase, dict[ArmName, str]] = Field(description="configuration file of each trained arm, per phase")
    overrides: Changes = Field({}, description="dotted key (training.epochs) -> value, of all arms that have it")
    evaluation: EvaluationSettings = EvaluationSettings()
    detection: DetectionSettings | None = Field(None, description="nothing is spiked by default")
    prediction: PredictionSettings | None = Field(None, description="no samples are predicted by default")
    sweep: str = Field("config/sweeps/loss_weights.yaml", description="file with the points that a sweep tries")
    ablation: str = Field("config/phase2_ablation.yaml", description="file with the variants of the arms to compare")
    repeats: RepeatSettings = Field(RepeatSettings(), description="none by default")

    @model_validator(mode="after")
    def _sections_fit(self) -> Self:
        for phase in sorted(self.arms.keys() - self.mixtures.recipes):
            raise ValueError(f"arms.{phase}: mixtures.recipes has no {phase}")
        if self.seed in self.repeats.seeds:
            raise ValueError(f"repeats.seeds: {self.seed} is the seed of the experiment itself")
        if self.prediction is None:
            return self
        phase = self.prediction.checkpoint_phase
        if MAIN not in self.arms.get(phase, {}):
            raise ValueError(f"prediction.checkpoint_phase: arms.{phase} has no {MAIN} arm that could predict")
        if self.prediction.control_group and not self.background:
            raise ValueError(
                "prediction.background: with a control_group, expected names of tissues; no recipe has any"
            )
        return self

    @property
    def background(self) -> list[str]:
        """Tissues not of interest when groups of samples are compared: by default those of the last phase with any."""
        if self.prediction and self.prediction.background:
            return self.prediction.background
        recipes = [self.mixtures.recipes[phase] for phase in sorted(self.mixtures.recipes, key=number_of, reverse=True)]
        return next((list(recipe.composition) for recipe in recipes if isinstance(recipe, BackgroundRecipe)), [])


class Variant(Section):
    """One arm with some keys changed."""

    label: str = Field(description="what is changed, for the figure")
    arm: ArmName = Field(description="whose configuration is changed")
    set: Changes = Field(min_length=1, description="dotted arm key (model.purify_donors) -> value")


class Ablation(Section):
    """Variants of the arms, each with something changed."""

    variants: dict[_FolderName, Variant] = Field(min_length=1, description="name -> variant")

    @model_validator(mode="after")
    def _names_distinguish_them(self) -> Self:
        labels = [variant.label for variant in self.variants.values()]
        if len(set(labels)) != len(labels):
            raise ValueError("variants: two have the same label")
        if taken := self.variants.keys() & ARMS.keys():
            raise ValueError(f"variants: {', '.join(sorted(taken))}: is the name of an arm")
        return self
