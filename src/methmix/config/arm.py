"""One trained arm: its model, loss and training.

What the arms differ in, the two stages and the weights of the losses, is the experiment and has no defaults.
"""

import hashlib
import json
from typing import Annotated, Any, Literal, NamedTuple, Self, get_args

from pydantic import Discriminator, Field, Tag, model_validator

from methmix.config.phases import Phase, number_of
from methmix.config.section import Count, Fraction, Positive, Probability, Section, Weight, Width, Widths

Auto = Annotated[Literal["auto"], Tag("auto")]
_EITHER = Discriminator(lambda value: "auto" if isinstance(value, str) else "stated")
_AutoNumber = Annotated[Auto | Annotated[int, Field(ge=0), Tag("stated")], _EITHER]
_AutoSwitch = Annotated[Auto | Annotated[bool, Tag("stated")], _EITHER]


class LeastSquares(NamedTuple):
    """How the least squares are solved; the defaults are for references with several donors per tissue."""

    markers_per_tissue: int = 0
    errors_in_variables: bool = True
    sum_to_one: bool = True
    residual_variance: float = 1e-3

    @property
    def options(self) -> tuple[int, bool, float]:
        """What `methmix.least_squares.regress` is given beside profiles, which are exact or not, and mixtures."""
        return self.markers_per_tissue, self.sum_to_one, self.residual_variance


class _Backbone(Section):
    dropout: Fraction = Field(0.1, description="dropout probability")
    purify_donors: bool = Field(True, description="remove admixture from training donors, if the median tissue has 3")


class MlpSettings(_Backbone):
    """Hidden layers, each a linear map, batch normalisation, ReLU and dropout."""

    backbone: Literal["mlp"]
    hidden_sizes: Widths = Field([512, 512, 512, 2048], description="width of each layer")


class ReferenceBackboneSettings(_Backbone):
    """Least squares on the donors' profiles, then a small network.

    What is ``auto`` is chosen from the training donors (`methmix.training.least_squares_choice`) before a model is
    made; its configuration then states the values.
    """

    backbone: Literal["reference"]
    head_size: Width = Field(48, description="width of the small network")
    errors_in_variables: _AutoSwitch = Field(
        "auto", description="account for the sampling error of the profiles; auto: chosen from the training donors"
    )
    markers_per_tissue: _AutoNumber = Field(
        "auto", description="number of marker regions used per tissue; 0: all regions; auto: see errors_in_variables"
    )
    sum_to_one: _AutoSwitch = Field(
        "auto", description="constrain the least squares to sum to 1; false: normalise afterwards; auto: as above"
    )

    residual_variance: Positive = Field(
        LeastSquares().residual_variance,
        description="variance of a mixture's methylation that remains at any depth, if all regions are used",
    )

    @property
    def stated(self) -> dict[str, Any]:
        """The settings of the least squares that are not left to ``auto``."""
        values = {name: getattr(self, name) for name in LeastSquares._fields}
        return {name: value for name, value in values.items() if value != "auto"}

    @property
    def least_squares(self) -> LeastSquares:
        """How the least squares are solved; what is still ``auto`` has the default of `LeastSquares`."""
        return LeastSquares(**self.stated)


class _TwoStages(Section):
    use_two_stage: bool = Field(description="false: exactly the original model, with the backbone mlp")
    gate_threshold: Probability = Field(
        alias="presence_threshold", description="presence probability from which a tissue is present at inference"
    )


class TwoStageMlpSettings(MlpSettings, _TwoStages):
    """The two stages on hidden layers."""


class TwoStageReferenceSettings(ReferenceBackboneSettings, _TwoStages):
    """The two stages on least squares."""


OriginalModelSettings = MlpSettings | ReferenceBackboneSettings
SparseModelSettings = TwoStageMlpSettings | TwoStageReferenceSettings


class OriginalLossSettings(Section):
    """Loss of the original model."""

    mse_weight: Weight = Field(description="weight of the squared error; its unit is the error of a uniform guess")


# Of the interval loss, which has no key: intervals learn from nothing else, and what they learn from does not change.
INTERVAL_WEIGHT = 1.0


class SparseLossSettings(OriginalLossSettings):
    """Loss of the sparse model."""

    mae_weight: Weight = Field(1.0, description="backbone reference: weight of the absolute error, in the same unit")
    presence_weight: Weight = Field(description="weight of the presence cross-entropy")
    sparsity_weight: Weight = Field(description="weight of the expected number of tissues that are present")
    teacher_forcing: bool = Field(description="in training, open the gate also for the tissues that are truly present")
    # The default is `methmix.metrics.PRESENT`.
    label_threshold: Probability = Field(
        0.01, alias="presence_threshold", description="true proportion from which a tissue is labelled present"
    )


# Fraction of mixtures of any kind where they cost nothing.
_ANY = 0.3


class TrainingSettings(Section):
    """Optimisation; the learning-rate schedule is sized in optimiser steps."""

    warm_start: Phase | None = Field(None, description="earlier phase whose weights it starts from; null: random")
    epochs: Count = Field(30, description="passes; every mixture of every pass is new")
    mixtures_per_epoch: Count = Field(5000, description="mixtures per epoch, a multiple of batch_size")
    batch_size: int = Field(125, ge=2, description="mixtures in one optimiser step")
    leave_donors_out: bool = Field(
        True, description="mix donors that are left out of the profiles, or drawn around them; false: all as they are"
    )
    pure_fraction: Fraction = Field(0.2, description="fraction of the training mixtures that consist of one tissue")
    any_fraction: Fraction | None = Field(
        0.0,
        description="fraction of the training mixtures of any kind: few or all tissues, with a background or traces; "
        "null: 0.3, but none where only the labels of donors are known",
    )
    partial_fraction: Fraction = Field(
        0.0, description="fraction of the training mixtures in which only a part of the regions is observed"
    )
    learning_rate: Positive = Field(0.002, description="peak learning rate of AdamW")
    weight_decay: Weight = Field(0.01, description="weight decay of AdamW")
    beta2: Fraction = Field(0.999, description="decay of AdamW's mean of squared gradients")
    warmup_fraction: Fraction = Field(0.05, description="fraction of all steps before the peak; a cosine follows it")
    early_stopping_patience: Count = Field(10, description="epochs without a lower validation MAE before it stops")

    @model_validator(mode="after")
    def _epoch_is_whole(self) -> Self:
        if self.mixtures_per_epoch % self.batch_size:
            number = self.mixtures_per_epoch
            raise ValueError(f"mixtures_per_epoch: {number} is not a multiple of batch_size {self.batch_size}")
        return self

    @model_validator(mode="after")
    def _fractions_of_one_whole(self) -> Self:
        if self.pure_fraction + self.of_any_kind(True) > 1:
            given = self.any_fraction if self.any_fraction is not None else f"null (up to {_ANY})"
            raise ValueError(f"any_fraction: {given} and pure_fraction {self.pure_fraction} are more than all mixtures")
        return self

    def of_any_kind(self, composition_known: bool) -> float:
        """Give the fraction of mixtures of any kind.

        Where donors look like mixtures themselves, a trace in them cannot be distinguished from one in the mixture, and
        to learn from traces raises the error.
        """
        if self.any_fraction is not None:
            return self.any_fraction
        return _ANY if composition_known else 0.0

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in one epoch."""
        return self.mixtures_per_epoch // self.batch_size

    @property
    def total_steps(self) -> int:
        """Optimiser steps in the whole training, without early stopping."""
        return self.epochs * self.steps_per_epoch


class _Arm(Section):
    experiment: str = Field("config/default.yaml", description="the experiment's file, unless --experiment names one")
    phase: Phase = Field(description="which mixtures the arm is trained on")
    output: str | None = Field(
        None, description="run folder, unless --output names one; null: results/<name>/<phase>/<arm>"
    )
    training: TrainingSettings = TrainingSettings()

    @model_validator(mode="before")
    @classmethod
    def _one_backbone(cls, content: Any) -> Any:
        """Accept an earlier record, which has the keys of both backbones; without two stages, a model is an MLP."""
        model = content.get("model")
        if isinstance(model, dict) and (model.keys() >= _ONCE_IN_ALL or model.get("use_two_stage") is False):
            return {**content, "model": of_one_backbone(model)}
        return content

    @model_validator(mode="after")
    def _starts_from_an_earlier_phase(self) -> Self:
        start = self.training.warm_start
        if start is not None and number_of(start) >= number_of(self.phase):
            raise ValueError(f"training.warm_start: {start} does not come before {self.phase}")
        return self


class OriginalArm(_Arm):
    """Sigmoid and L1 normalisation."""

    arm: Literal["original"]
    model: OriginalModelSettings = Field(discriminator="backbone")
    loss: OriginalLossSettings


class SparseArm(_Arm):
    """Two stages: which tissues are present, then their proportions."""

    arm: Literal["sparse"]
    model: SparseModelSettings = Field(discriminator="backbone")
    loss: SparseLossSettings


ArmSettings = OriginalArm | SparseArm
# Keys that only one backbone has.
_MLP = MlpSettings.model_fields.keys() - ReferenceBackboneSettings.model_fields.keys()
_REFERENCE = ReferenceBackboneSettings.model_fields.keys() - MlpSettings.model_fields.keys()
# Keys of both backbones in the record of an earlier version.
_ONCE_IN_ALL = {"hidden_sizes", "head_size", "errors_in_variables", "markers_per_tissue", "sum_to_one"}
_MODELS = [("model", section) for section in get_args(SparseModelSettings)]
# All dotted keys that some arm has.
ARM_KEYS = {
    f"{name}.{field.alias or key}"
    for name, section in [*_MODELS, ("loss", SparseLossSettings), ("training", TrainingSettings)]
    for key, field in section.model_fields.items()
}


def of_one_backbone(model: dict[str, Any]) -> dict[str, Any]:
    """Drop the keys of the other backbone from the content of a model; one without two stages is an MLP."""
    backbone = "mlp" if model.get("use_two_stage") is False else str(model.get("backbone"))
    foreign = keys_of_other_backbones(backbone)
    return {**{key: value for key, value in model.items() if key not in foreign}, "backbone": backbone}


def keys_of_other_backbones(backbone: str) -> set[str]:
    """Give the keys of a model that only other backbones have."""
    return {"mlp": _REFERENCE, "reference": _MLP}.get(backbone, set())


def settings_digest(arm: ArmSettings) -> str:
    """Digest the settings that determine the weights; without defaults, so that a key added later changes nothing.

    A changed default is changed code, which a training that is resumed must have in common as well.
    """
    content = arm.model_dump(mode="json", exclude={"experiment", "output"}, exclude_defaults=True)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
