"""One trained arm: its model, loss and training. The keys are those of the design note."""

from typing import Annotated, Literal, Self

from pydantic import Field, TypeAdapter, model_validator

from methmix.config.experiment import Phase
from methmix.config.section import Section

Share = Annotated[float, Field(gt=0, lt=1)]
Weight = Annotated[float, Field(ge=0)]


class OriginalModelSettings(Section):
    """From the regions to features, which both arms have alike."""

    hidden_sizes: list[Annotated[int, Field(ge=1)]] = Field(
        min_length=1, description="backbone mlp: width of each layer"
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(description="dropout probability")
    backbone: Literal["mlp", "reference"] = Field(
        description="mlp: hidden layers, each a linear map, batch normalisation, ReLU and dropout; "
        "reference: least squares on the donors' profiles, then a small network"
    )
    head_size: int = Field(ge=1, description="backbone reference: width of that small network")
    purify_donors: bool = Field(
        description="backbone reference: take from each training donor what it has of other tissues, if the median "
        "tissue has three of them"
    )
    errors_in_variables: bool = Field(
        description="backbone reference: reckon with the noise of the profiles, which are means of few donors"
    )
    markers_per_tissue: int = Field(
        ge=0, description="backbone reference: use only so many regions of each tissue, those that tell it best; 0: all"
    )
    sum_to_one: bool = Field(
        description="backbone reference: let the shares sum to 1 in the least squares; false: only afterwards"
    )


class SparseModelSettings(OriginalModelSettings):
    """The backbone and the two stages on it."""

    use_two_stage: bool = Field(description="false: exactly the original model, with the backbone mlp")
    presence_threshold: Share = Field(
        description="presence probability from which a tissue counts as present at inference"
    )


class OriginalLossSettings(Section):
    """Loss of the original model."""

    mse_weight: Weight = Field(
        description="weight of the squared error of the proportions; 1 is the error of a uniform guess"
    )


class SparseLossSettings(OriginalLossSettings):
    """Loss of the sparse model."""

    mae_weight: Weight = Field(
        description="backbone reference: weight of the absolute error of the proportions, in the same unit"
    )
    presence_weight: Weight = Field(description="weight of the presence cross-entropy")
    sparsity_weight: Weight = Field(description="weight of the expected share of tissues present")
    teacher_forcing: bool = Field(
        description="in training, open the gate also for the tissues that are really there; false: as at inference"
    )
    presence_threshold: Share = Field(
        description="true proportion from which a tissue is labelled present; below it, if not 0, it is trace"
    )


class TrainingSettings(Section):
    """Optimisation; the learning-rate schedule is sized in optimiser steps."""

    warm_start: Literal["phase1", "phase2"] | None = Field(
        default=None,
        description="earlier phase with whose best weights of the same arm the training starts; null: with random ones",
    )
    epochs: int = Field(ge=1, description="passes; every mixture of every pass is new")
    mixtures_per_epoch: int = Field(ge=1, description="mixtures an epoch, a multiple of batch_size")
    batch_size: int = Field(ge=2, description="mixtures in one optimiser step")
    leave_donors_out: bool = Field(
        description="train on mixtures of donors that are left out of the profiles, or drawn around them; "
        "false: of the training donors as they are"
    )
    pure_fraction: Annotated[float, Field(ge=0, lt=1)] = Field(
        description="share of training mixtures that consist of one tissue"
    )
    learning_rate: float = Field(gt=0, description="peak learning rate of AdamW")
    weight_decay: Weight = Field(description="weight decay of AdamW")
    warmup_fraction: Annotated[float, Field(ge=0, lt=1)] = Field(
        description="share of all steps in which the learning rate rises to its peak; then it falls as a cosine"
    )
    early_stopping_patience: int = Field(
        ge=1, description="epochs without a lower validation MAE after which training stops"
    )

    @model_validator(mode="after")
    def _epoch_is_whole(self) -> Self:
        if self.mixtures_per_epoch % self.batch_size:
            raise ValueError(
                f"mixtures_per_epoch: {self.mixtures_per_epoch} is not a multiple of "
                f"batch_size {self.batch_size}; leftover mixtures would be dropped silently"
            )
        return self

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in one epoch."""
        return self.mixtures_per_epoch // self.batch_size

    @property
    def total_steps(self) -> int:
        """Optimiser steps in the whole training, without early stopping."""
        return self.epochs * self.steps_per_epoch


class _Arm(Section):
    experiment: str = Field(description="the experiment's file; --experiment on the command line overrides it")
    phase: Phase = Field(description="which mixtures the arm is trained on")
    training: TrainingSettings

    @model_validator(mode="after")
    def _starts_from_an_earlier_phase(self) -> Self:
        start = self.training.warm_start
        if start is not None and start >= self.phase:
            raise ValueError(f"training.warm_start: {start} does not come before {self.phase}")
        return self


class OriginalArm(_Arm):
    """MLP, sigmoid and L1 normalisation."""

    arm: Literal["original"]
    model: OriginalModelSettings
    loss: OriginalLossSettings


class SparseArm(_Arm):
    """Two stages: which tissues are present, then their proportions."""

    arm: Literal["sparse"]
    model: SparseModelSettings
    loss: SparseLossSettings


ArmSettings = OriginalArm | SparseArm
ARM_ADAPTER: TypeAdapter[ArmSettings] = TypeAdapter(Annotated[ArmSettings, Field(discriminator="arm")])
