"""Every check of a training: on rows of a log, of a healthy one in which one thing is changed."""

import math
from pathlib import Path

import pytest
from experiments import tiny_arm

from methmix.training.checks import CHECKS
from methmix.training.course import Course
from methmix.training.diagnosis import diagnose, diagnosis
from methmix.training.validation_facts import ValidationFacts

FACTS = ValidationFacts(22, 4.68, 3, 5, all_absent=0.762, labelled_present=0.238)
SETTINGS = {"training.epochs": 10, "training.mixtures_per_epoch": 5000, "training.batch_size": 125}


def log(n_epochs=10, first=None, **last):
    """A healthy log of the sparse arm; ``first`` and ``last`` are changes of these rows."""
    rows = [
        {
            "epoch": epoch, "step": 40 * epoch, "train/learning_rate": 0.002 * (1 - epoch / 10),
            "train/total_loss": 0.16 + 0.7 * (epoch == 1), "train/presence_loss": 0.1 + 0.25 * (epoch == 1),
            "train/sparsity_loss": 5.06, "train/interval_loss": 0.02 + 0.44 * (epoch == 1),
            "val/presence_loss": 0.06, "val/sparsity_loss": 4.62, "val/presence_accuracy": 0.979, "val/mae": 0.0025,
            "val/predicted_tissues": 4.3, "val/closed_gate": 0.0,
        }
        for epoch in range(1, n_epochs + 1)
    ]  # fmt: skip
    rows[0] |= first or {}
    rows[-1] |= {("train/" if name == "learning_rate" else "val/") + name: value for name, value in last.items()}
    return rows


def course(rows, arm="sparse", facts=FACTS, **settings):
    of = {"model.backbone": "reference"} if arm == "sparse" else {}
    return Course(rows, tiny_arm(arm, **{**SETTINGS, **of, **settings}), facts)


def found(*arguments, **settings):
    return {finding.name: finding for finding in diagnose(course(*arguments, **settings))}


@pytest.mark.parametrize("n_epochs", range(11))
def test_a_healthy_training_is_healthy_all_along(n_epochs):
    rows = log(n_epochs) if n_epochs else []
    assert not found(rows) and "\n" not in diagnosis(course(rows))


def test_a_healthy_training_in_one_line_with_its_numbers():
    assert diagnosis(course(log())) == (
        "healthy after 10 of 10 epochs: validation MAE 0.00250 (lowest 0.00250 in epoch 1), 4.30 tissues per mixture "
        "(4.68 in truth, 2.0 to 10.0 expected), presence accuracy 97.9% (76.2% with all absent), presence loss 0.060 "
        "(0.549 by the base rate)"
    )


@pytest.mark.parametrize(
    ("name", "last", "settings", "remedy"),
    [
        ("presence_head", {"presence_loss": 0.5}, {}, "raise loss.presence_weight (now 1.0)"),
        (
            "presence_head", {"presence_loss": 0.9}, {"loss.sparsity_weight": 0.1},
            "lower loss.sparsity_weight (now 0.1)",
        ),
        (
            "presence_head", {"presence_loss": 0.9}, {"training.learning_rate": 0.3},
            "lower training.learning_rate (now 0.3)",
        ),
        ("presence_accuracy", {"presence_accuracy": 0.87}, {}, "lower model.presence_threshold (now 0.5)"),
        (
            "presence_accuracy", {"presence_accuracy": 0.87, "predicted_tissues": 7.0}, {},
            "raise model.presence_threshold (now 0.5)",
        ),
        ("sparsity", {"sparsity_loss": 6.16}, {}, "raise loss.sparsity_weight (now 0.01)"),
        ("nothing_predicted", {"closed_gate": 0.6}, {}, "lower model.presence_threshold (now 0.5)"),
        (
            "nothing_predicted", {"closed_gate": 0.6}, {"loss.sparsity_weight": 0.1},
            "lower loss.sparsity_weight (now 0.1)",
        ),
        ("too_few_tissues", {"predicted_tissues": 1.9}, {}, "lower model.presence_threshold (now 0.5)"),
        ("too_many_tissues", {"predicted_tissues": 10.1}, {}, "raise model.presence_threshold (now 0.5)"),
        ("learning_rate", {}, {"training.warmup_fraction": 0.6}, "lower training.warmup_fraction (now 0.6)"),
    ],
)  # fmt: skip
def test_one_thing_is_wrong(name, last, settings, remedy):
    findings = found(log(**last), **settings)
    assert list(findings) == [name]
    finding = findings[name]
    assert str(finding).endswith(f"; {remedy}")
    if last:
        assert finding.number == next(iter(last.values()))
    # Nothing is said of what is not learnt before there was time to.
    if name != "learning_rate":
        assert name not in found(log(n_epochs=2, **last), **settings)


def test_a_weight_that_is_high_already_is_not_to_be_raised():
    rows = log(first={"train/total_loss": 3.0}, presence_loss=0.5)
    (finding,) = found(rows, **{"loss.presence_weight": 5.0}).values()
    assert str(finding).endswith("raise training.epochs (now 10)")


def test_a_presence_accuracy_is_beside_what_all_absent_would_have():
    message = str(found(log(presence_accuracy=0.8))["presence_accuracy"])
    assert "presence accuracy 80.0%" in message and "all tissues absent gets 76.2%" in message
    assert "90 %" in message and "50 %" in message
    # Where half are absent, 80 % are well above what calling all absent would have.
    half = ValidationFacts(22, 4.68, 3, 5, all_absent=0.5, labelled_present=0.238)
    assert not found(log(presence_accuracy=0.8), facts=half)


def test_a_sparsity_loss_that_falls_or_is_as_low_as_it_should_be():
    assert not found(log(first={"val/sparsity_loss": 11.0}, sparsity_loss=8.8))
    assert not found(log(first={"val/sparsity_loss": 4.4}, sparsity_loss=5.5))


@pytest.mark.parametrize(
    ("fewest", "most", "true", "expected"),
    [
        (3, 5, 4.68, (2, 10)),
        (2, 2, 2.0, (4 / 3, 4)),
        (2, 2, 2.8, (4 / 3, 5.6)),
        (2, 7, 1.5, (1, 14)),
        (8, 13, 8.7, (16 / 3, 22)),
    ],
)
def test_bounds_of_the_number_of_tissues_follow_from_the_recipe(fewest, most, true, expected):
    facts = ValidationFacts(22, true, fewest, most, 0.8, 0.2)
    assert course(log(), facts=facts).bounds == pytest.approx(expected)


@pytest.mark.parametrize(
    ("weights", "first", "remedy"),
    [
        ({"loss.presence_weight": 100.0}, {"train/total_loss": 35.5}, "lower loss.presence_weight (now 100.0)"),
        ({"loss.sparsity_weight": 5.0}, {"train/total_loss": 26.5}, "lower loss.sparsity_weight (now 5.0)"),
        ({"loss.mse_weight": 1000.0}, {"train/total_loss": 40.0}, "lower loss.mse_weight (now 1000.0)"),
        (
            {"loss.presence_weight": 0.0},
            {"train/total_loss": 0.6, "train/interval_loss": 0.0},
            "raise loss.presence_weight (now 0.0)",
        ),
    ],
)
def test_one_weighted_loss_dominates(weights, first, remedy):
    (finding,) = found(log(1, first), **weights).values()
    assert finding.name == "dominating_loss" and finding.number > 0.9 and str(finding).endswith(remedy)


def test_what_an_untrained_interval_costs_dominates_nothing():
    assert not found(log(1, {"train/total_loss": 9.0, "train/interval_loss": 8.5}))


@pytest.mark.parametrize(
    ("column", "name"), [("train/total_loss", "loss_not_finite"), ("val/mae", "validation_not_finite")]
)
def test_what_is_not_finite_is_named_with_its_epoch(column, name):
    rows = log(3)
    rows[1][column] = math.inf
    (finding,) = found(rows).values()
    assert finding.name == name and "is inf in epoch 2 (by step 80)" in finding.message
    assert str(finding).endswith("lower training.learning_rate (now 0.002)")


def test_a_training_whose_first_epoch_fails():
    (finding,) = found([{"epoch": 1, "step": 3, "train/total_loss": math.nan}]).values()
    assert finding.name == "loss_not_finite"


def test_a_training_that_ends_before_its_learning_rate_has_been_at_the_peak():
    early = {"training.early_stopping_patience": 3, "training.warmup_fraction": 0.45}
    assert not found(log(3), **early)
    (finding,) = found(log(4), **early).values()
    assert "rises until step 180 of 400, and the training ended at step 160" in finding.message


def test_a_training_that_ends_before_its_learning_rate_has_fallen():
    early = {"training.early_stopping_patience": 3}
    (finding,) = found(log(4), **early).values()
    assert "it ended at step 160 of 400, at 60% of the peak" in finding.message
    assert str(finding).endswith("lower training.epochs (now 10)")
    assert not found(log(4, learning_rate=0.0009), **early)


def overfitted(after=6, ratio=1.3):
    rows = log()
    for row in rows:
        row["train/total_loss"] -= 0.001 * row["epoch"]
    for row in rows[-after:]:
        row["val/mae"] *= ratio
    rows[-after - 1]["val/mae"] *= 0.99
    return rows


def test_validation_gets_worse_while_the_training_loss_falls():
    (finding,) = found(overfitted()).values()
    assert finding.name == "overfitting" and finding.number == pytest.approx(1.3 / 0.99)
    assert str(finding).endswith("raise training.weight_decay (now 0.01)")
    known = found(overfitted(), **{"training.leave_donors_out": False})["overfitting"]
    assert str(known).endswith("turn on training.leave_donors_out (now False)")
    assert not found(overfitted(after=4)) and not found(overfitted(ratio=1.1))


def test_presence_is_no_matter_of_the_original_arm():
    rows = log(presence_loss=9.0, presence_accuracy=0.1, sparsity_loss=19.8)
    assert not found(rows, "original")
    assert list(found(log(predicted_tissues=12.0), "original")) == ["too_many_tissues"]
    single = {"model.use_two_stage": False}
    assert not found(rows, **single)


def test_nothing_is_concluded_from_what_an_earlier_version_did_not_write():
    rows = log(presence_loss=9.0, presence_accuracy=0.1, sparsity_loss=19.8, predicted_tissues=20.0)
    for row in rows:
        del row["val/closed_gate"]
    assert not found(rows, facts=ValidationFacts())
    assert "expected" not in diagnosis(course(rows, facts=ValidationFacts()))


def test_every_check_is_tested_here():
    code = Path(__file__).read_text()
    assert all(f'"{name}"' in code for name in CHECKS)
