"""Checks of the course of a training: what is wrong, by how much, and which key of the configuration to change.

A check is a function and a line of `CHECKS`. What is expected (a presence accuracy, a number of tissues) is derived
from the mixtures that the model is validated on (`methmix.training.validation_facts`).
"""

from collections.abc import Callable
from statistics import median
from typing import NamedTuple

from methmix.config.arm import INTERVAL_WEIGHT, TrainingSettings
from methmix.training.course import UNLEARNT, Course, not_finite, value_of

# Of the errors of calling all tissues absent, the part that must be avoided. Where 80 % are absent, this is the note's
# presence accuracy of 90 %.
_LEAST_SKILL = 0.5
# Greatest expected number of tissues relative to the true one, unless it has fallen by the second number.
_NOT_SPARSE, _LEAST_FALL = 1.25, 0.1
# Of the total loss.
_DOMINATING = 0.9
# Overfitting: so many epochs since the best one, and the validation error so many times higher. In trainings that are
# as they should be it is up to 1.09, while the learning rate is high.
_LONG_AGO, _WORSE = 5, 1.2
# Parts of the steps until the peak of the learning rate, and of the peak at the end of a training.
_LATE_PEAK, _NOT_FALLEN = 0.5, 0.5
# Times the default, more than any training needs; and the greatest weight of the presence loss that the note advises.
_HUGE_RATE, _GREATEST_WEIGHT = 10, 5
# A threshold of the gate beyond these keeps tissues in, or out, whatever the presence head has learnt.
_LOW_GATE, _HIGH_GATE = 0.1, 0.9


class Remedy(NamedTuple):
    """A dotted key of the configuration and what to do with it: ``raise``, ``lower`` or ``turn on``."""

    direction: str
    key: str


class Symptom(NamedTuple):
    """What a check has found: a number, a message that has it, and the remedy."""

    number: float
    message: str
    remedy: Remedy


def _first_not_finite(course: Course, column: str, what: str) -> Symptom | None:
    for row in course.log:
        if not_finite(row, column):
            message = f"{what} is {row[column]} in epoch {row['epoch']:.0f} (by step {row['step']:.0f})"
            return Symptom(row[column], message, Remedy("lower", "training.learning_rate"))
    return None


def _loss_not_finite(course: Course) -> Symptom | None:
    return _first_not_finite(course, "train/total_loss", "the training loss")


def _validation_not_finite(course: Course) -> Symptom | None:
    return _first_not_finite(course, "val/mae", "the validation error")


def _learning_rate(course: Course) -> Symptom | None:
    """Look whether the rate rises to its peak, and falls before the training ends: most of the gain comes then."""
    settings, step = course.arm.training, course.now("step")
    peak, last = settings.warmup_fraction * settings.total_steps, course.now("train/learning_rate")
    if peak > _LATE_PEAK * settings.total_steps or (course.ended and step < peak):
        message = f"the learning rate rises until step {peak:.0f} of {settings.total_steps}"
        if course.ended:
            message += f", and the training ended at step {step:.0f}, at a rate of {last:.2g}"
        return Symptom(peak, message, Remedy("lower", "training.warmup_fraction"))
    if course.ended and last > _NOT_FALLEN * settings.learning_rate:
        message = (
            f"the schedule is longer than the training: it ended at step {step:.0f} of {settings.total_steps}, at "
            f"{last / settings.learning_rate:.0%} of the peak learning rate"
        )
        return Symptom(last, message, Remedy("lower", "training.epochs"))
    return None


def _presence_remedy(course: Course) -> Remedy:
    """Say what keeps the presence head from learning: the penalty, the learning rate or its weight."""
    if course.penalised:
        return Remedy("lower", "loss.sparsity_weight")
    if course.arm.training.learning_rate > _HUGE_RATE * TrainingSettings().learning_rate:
        return Remedy("lower", "training.learning_rate")
    # AdamW's steps do not depend on the weights of the losses: where all stand still, these change nothing.
    begun, now = (value_of(course.rows[row], "train/total_loss") for row in (0, -1))
    if now > (1 - _LEAST_FALL) * begun and course.setting("loss.presence_weight") > 0:
        return Remedy("raise", "training.learning_rate")
    if course.setting("loss.presence_weight") >= _GREATEST_WEIGHT:
        return Remedy("raise", "training.epochs")
    return Remedy("raise", "loss.presence_weight")


def _presence_head(course: Course) -> Symptom | None:
    if not course.presence_unlearnt:
        return None
    loss, guess = course.now("val/presence_loss"), course.mixtures.base_rate_loss
    message = (
        f"the presence head is not learning: presence loss {loss:.3f} {course.progress}, that of a guess by the base "
        f"rate is {guess:.3f} (expected: at most {UNLEARNT * guess:.3f})"
    )
    return Symptom(loss, message, _presence_remedy(course))


def _presence_accuracy(course: Course) -> Symptom | None:
    accuracy, base = course.now("val/presence_accuracy"), course.mixtures.all_absent
    least = base + _LEAST_SKILL * (1 - base)
    if not accuracy < least:
        return None
    message = (
        f"presence accuracy {accuracy:.1%} {course.progress} (expected: at least {least:.1%}; calling all tissues "
        f"absent gets {base:.1%} in these mixtures, where neither 90 % nor 50 % says anything by itself)"
    )
    many = course.now("val/predicted_tissues") > course.mixtures.true_tissues
    threshold = Remedy("raise" if many else "lower", "model.presence_threshold")
    return Symptom(accuracy, message, _presence_remedy(course) if course.presence_unlearnt else threshold)


def _sparsity(course: Course) -> Symptom | None:
    # A head that expects as many tissues as there are need not come to expect fewer.
    first, loss = value_of(course.rows[0], "val/sparsity_loss"), course.now("val/sparsity_loss")
    true = course.mixtures.true_tissues
    if not (loss > _NOT_SPARSE * true and loss > (1 - _LEAST_FALL) * first):
        return None
    message = (
        f"the sparsity loss does not fall: {loss:.2f} expected tissues per mixture {course.progress}, {first:.2f} in "
        f"the first; {true:.2f} are present"
    )
    weight = Remedy("raise", "loss.sparsity_weight")
    return Symptom(loss, message, _presence_remedy(course) if course.presence_unlearnt else weight)


def _dominating_loss(course: Course) -> Symptom | None:
    """Compare the terms in the first epoch, before a fit makes some of them small."""
    row, settings = course.rows[0], course.setting("loss")
    parts = {
        name: settings[f"{name}_weight"] * value_of(row, f"train/{name}_loss") for name in ("presence", "sparsity")
    }
    intervals = INTERVAL_WEIGHT * value_of(row, "train/interval_loss")
    total = value_of(row, "train/total_loss")
    # What remains are the errors of the proportions, whose units are not in the log.
    errors = max(("mse", "mae"), key=lambda name: settings[f"{name}_weight"])
    parts[errors] = total - intervals - sum(parts.values())
    name, part = max(parts.items(), key=lambda item: item[1])
    if not part > _DOMINATING * total:
        return None
    what = "the errors of the proportions are" if name == errors else f"the {name} loss is"
    message = f"{what} {part / total:.1%} of the total loss in epoch {row['epoch']:.0f}, weighted"
    if settings[f"{name}_weight"] > 1:
        return Symptom(part / total, message, Remedy("lower", f"loss.{name}_weight"))
    return Symptom(part / total, message, Remedy("raise", f"loss.{'presence' if name == errors else 'mse'}_weight"))


def _remedy_of_few(course: Course) -> Remedy:
    """Say what keeps tissues out: a presence head that has not learnt, the penalty, or the threshold of the gate."""
    if not course.two_stages:
        return Remedy("raise", "training.epochs")
    not_the_gate = course.presence_unlearnt or course.penalised
    if course.setting("model.presence_threshold") <= _HIGH_GATE and not_the_gate:
        return _presence_remedy(course)
    return Remedy("lower", "model.presence_threshold")


def _remedy_of_many(course: Course) -> Remedy:
    """Say what keeps tissues in: a presence head that has not learnt, or the threshold of the gate."""
    if not course.two_stages:
        return Remedy("raise", "training.epochs")
    if course.setting("model.presence_threshold") >= _LOW_GATE and course.presence_unlearnt:
        return _presence_remedy(course)
    return Remedy("raise", "model.presence_threshold")


def _nothing_predicted(course: Course) -> Symptom | None:
    closed = course.now("val/closed_gate")
    if closed > 0.5:
        message = f"no tissue passes the gate in {closed:.1%} of the mixtures {course.progress}: all would be 0"
        return Symptom(closed, message, _remedy_of_few(course))
    if course.now("val/predicted_tissues") == 0:
        return Symptom(0.0, f"all predictions are 0 {course.progress}", _remedy_of_few(course))
    return None


def _too_few_tissues(course: Course) -> Symptom | None:
    predicted, (fewest, _) = course.now("val/predicted_tissues"), course.bounds
    if not predicted < fewest:
        return None
    return Symptom(predicted, _number_of_tissues(course, f"fewer than {fewest:.1f}"), _remedy_of_few(course))


def _too_many_tissues(course: Course) -> Symptom | None:
    predicted, (_, most) = course.now("val/predicted_tissues"), course.bounds
    if not predicted > most:
        return None
    return Symptom(predicted, _number_of_tissues(course, f"more than {most:.1f}"), _remedy_of_many(course))


def _number_of_tissues(course: Course, bound: str) -> str:
    mixtures = course.mixtures
    recipe = f"{mixtures.fewest:.0f} to {mixtures.most:.0f} by the recipe, {mixtures.true_tissues:.2f} in truth"
    return f"{course.now('val/predicted_tissues'):.2f} tissues per mixture {course.progress}, {bound} ({recipe})"


def _overfitting(course: Course) -> Symptom | None:
    best, lately = course.best, median(value_of(row, "val/mae") for row in course.rows[-3:])
    ratio = lately / value_of(best, "val/mae")
    falls = course.now("train/total_loss") < value_of(best, "train/total_loss")
    if course.waited < _LONG_AGO or not falls or not ratio > _WORSE:
        return None
    message = (
        f"validation gets worse while the training loss falls: MAE {lately:.5f} of late, {ratio:.2f} times the "
        f"lowest, of epoch {best['epoch']:.0f}"
    )
    known = not course.arm.training.leave_donors_out
    remedy = Remedy("turn on", "training.leave_donors_out") if known else Remedy("raise", "training.weight_decay")
    return Symptom(ratio, message, remedy)


class Check(NamedTuple):
    """A check, and the properties of a `Course` without which it says nothing."""

    of: Callable[[Course], Symptom | None]
    needs: tuple[str, ...] = ()


_LEARNT = ("two_stages", "judged")
# Causes before what follows from them.
CHECKS = {
    "loss_not_finite": Check(_loss_not_finite),
    "validation_not_finite": Check(_validation_not_finite),
    "learning_rate": Check(_learning_rate, ("begun",)),
    "dominating_loss": Check(_dominating_loss, ("begun", "two_stages")),
    "presence_head": Check(_presence_head, _LEARNT),
    "presence_accuracy": Check(_presence_accuracy, _LEARNT),
    "sparsity": Check(_sparsity, _LEARNT),
    "nothing_predicted": Check(_nothing_predicted, ("judged",)),
    "too_few_tissues": Check(_too_few_tissues, ("judged",)),
    "too_many_tissues": Check(_too_many_tissues, ("judged",)),
    "overfitting": Check(_overfitting, ("judged",)),
}
