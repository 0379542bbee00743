"""The course of a training: its log beside its settings and the mixtures that validate it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from methmix.config.arm import ArmSettings, SparseArm
from methmix.training.validation_facts import ValidationFacts

# What is learnt is judged after this part of the training, so many steps, and as many batches of this size: least
# squares are right from the start, an MLP starts from nothing.
_FIRST_PART = 0.25
_FIRST_STEPS = {"reference": 40, "mlp": 200}
_BATCH = 125
# Greatest presence loss, relative to that of the base rate, of a head that has learnt something.
UNLEARNT = 0.9
# Times the most, and the fewest, tissues of the recipe: 10 and 2 for 3 to 5 tissues.
_TOO_MANY, _TOO_FEW = 2, 2 / 3


@dataclass(frozen=True)
class Course:
    """The course of a training: rows of its log by column, its settings, and the mixtures that validate it.

    A column that a row lacks, as one of an earlier version, is not known: NaN, and what is compared with it is passed.
    """

    log: Sequence[Mapping[str, Any]]
    arm: ArmSettings
    mixtures: ValidationFacts

    def now(self, column: str) -> float:
        """Give the latest value of a column, NaN if there is none."""
        return value_of(self.rows[-1], column)

    def setting(self, key: str) -> Any:
        """Give the value of a dotted key of the configuration."""
        value: Any = self.arm.model_dump(mode="json")
        for part in key.split("."):
            value = value[part]
        return value

    @cached_property
    def rows(self) -> list[Mapping[str, Any]]:
        """The log without the epochs in which the loss or the validation was NaN or infinite."""
        return [row for row in self.log if not (not_finite(row, "train/total_loss") or not_finite(row, "val/mae"))]

    @property
    def begun(self) -> bool:
        """Whether there is an epoch to look at."""
        return bool(self.rows)

    @property
    def progress(self) -> str:
        """How far the training is, in words."""
        return f"after {self.now('epoch'):.0f} of {self.arm.training.epochs} epochs"

    @property
    def best(self) -> Mapping[str, Any]:
        """The row of the lowest validation error."""
        return min(self.rows, key=lambda row: value_of(row, "val/mae"))

    @property
    def waited(self) -> float:
        """Epochs since the best one."""
        return self.now("epoch") - value_of(self.best, "epoch")

    @property
    def ended(self) -> bool:
        """Whether all steps are done, or early stopping has ended it."""
        settings = self.arm.training
        return self.now("step") >= settings.total_steps or self.waited >= settings.early_stopping_patience

    @property
    def two_stages(self) -> bool:
        """Whether there is a presence head."""
        return isinstance(self.arm, SparseArm) and self.arm.model.use_two_stage

    @property
    def first_judged(self) -> int:
        """The step from which on it is judged what the model has learnt."""
        settings = self.arm.training
        steps = _FIRST_STEPS[self.arm.model.backbone] * max(1, _BATCH / settings.batch_size)
        return math.ceil(max(_FIRST_PART * settings.total_steps, steps))

    @property
    def judged(self) -> bool:
        """Whether there was time to learn."""
        return self.begun and self.now("step") >= self.first_judged

    @property
    def presence_unlearnt(self) -> bool:
        """Whether the presence head does not know more than the base rate."""
        return self.now("val/presence_loss") > UNLEARNT * self.mixtures.base_rate_loss

    @property
    def penalised(self) -> bool:
        """Whether the penalty on a tissue weighs as much as its presence loss.

        That loss is a mean over tissues, and the penalty a sum. A tissue then reaches a presence probability of 1/2
        only where it is present in 3 of 4 such cases.
        """
        weight = self.setting("loss.presence_weight")
        return bool(0 < weight <= self.mixtures.n_tissues * self.setting("loss.sparsity_weight"))

    @property
    def bounds(self) -> tuple[float, float]:
        """Fewest and most tissues to predict per mixture; donors with admixture of other tissues may have more."""
        mixtures = self.mixtures
        fewest, most = min(mixtures.fewest, mixtures.true_tissues), max(mixtures.most, mixtures.true_tissues)
        return _TOO_FEW * fewest, min(_TOO_MANY * most, mixtures.n_tissues)


def value_of(row: Mapping[str, Any], column: str) -> float:
    """Give a value of a row, NaN if it lacks the column."""
    return float(row.get(column, math.nan))


def not_finite(row: Mapping[str, Any], column: str) -> bool:
    """Whether a row has a value of this column that is NaN or infinite."""
    return column in row and not math.isfinite(row[column])
