"""The least squares are chosen by training donors that were left out, or as is safe where these say nothing."""

import csv
import json
import logging
from dataclasses import replace

import pytest
import torch
from experiments import tiny_arm, tiny_experiment, tiny_mixtures, tiny_reference

from methmix.config.arm import LeastSquares
from methmix.prediction.card import card_text, model_card
from methmix.training.checkpoint import load_checkpoint
from methmix.training.least_squares_choice import choose, with_least_squares
from methmix.training.loop import Trainer

pytestmark = pytest.mark.usefixtures("short_calibration")

SAFE = LeastSquares(100, errors_in_variables=False, sum_to_one=False, residual_variance=0.0001)


def informed(**overrides):
    return tiny_arm("sparse", **{"model.backbone": "reference", **overrides})


def only_first_donors(reference, of_all_but=()):
    """Keep one training donor of each tissue, of some all."""
    seen = set()
    kept = []
    for row, (tissue, split) in enumerate(zip(reference.tissues, reference.split, strict=True)):
        if tissue in of_all_but or split != "train" or tissue not in seen:
            kept.append(row)
        if split == "train":
            seen.add(tissue)
    parts = ([values[row] for row in kept] for values in (reference.donors, reference.tissues, reference.split))
    donors, tissues, split = parts
    return replace(
        reference,
        methylated=reference.methylated[kept],
        depth=reference.depth[kept],
        donors=donors,
        tissues=tissues,
        split=split,
        known_composition=reference.composition[kept],
    )


def test_the_choice_is_deterministic_and_complete():
    model, given = informed().model, (tiny_experiment(), "phase2", tiny_reference())
    first, second = choose(model, *given), choose(model, *given)
    assert first == second
    assert len(first.candidates) == 16 and first.n_tissues == 4
    assert [c.mae for c in first.candidates] == sorted(c.mae for c in first.candidates)
    best = first.candidates[0]
    assert (best.behind, best.standard_error) == (0, 0)
    # Simulated donors differ independently between regions: all of these are used.
    assert first.settings.markers_per_tissue == 0 and first.settings.errors_in_variables
    rows = list(csv.DictReader(first.table.splitlines()))
    assert [row["chosen"] for row in rows].count("True") == 1 and float(rows[0]["mae"]) == best.mae


def test_a_stated_value_is_kept():
    arm = informed(**{"model.markers_per_tissue": 50})
    choice = choose(arm.model, tiny_experiment(), "phase2", tiny_reference())
    assert {candidate.settings.markers_per_tissue for candidate in choice.candidates} == {50}
    assert len(choice.candidates) == 4
    stated = informed(**{"model.markers_per_tissue": 5, "model.errors_in_variables": True, "model.sum_to_one": False})
    assert with_least_squares(stated, tiny_experiment(), tiny_reference()) == (stated, None)
    assert with_least_squares(tiny_arm("sparse"), tiny_experiment(), tiny_reference())[1] is None


def test_of_single_donors_the_safe_one_is_taken():
    single = only_first_donors(tiny_reference())
    choice = choose(informed().model, tiny_experiment(), "phase2", single)
    assert (choice.settings, choice.candidates) == (SAFE, [])
    assert "no tissue has two training donors" in choice.reason
    kept = choose(informed(**{"model.sum_to_one": True}).model, tiny_experiment(), "phase2", single)
    assert kept.settings == SAFE._replace(sum_to_one=True)


def test_few_tissues_do_not_stand_for_all():
    reference = only_first_donors(tiny_reference(), of_all_but=("Blood", "Lung"))
    choice = choose(informed().model, tiny_experiment(), "phase2", reference)
    assert (choice.settings, choice.n_tissues, len(choice.candidates)) == (SAFE, 2, 16)
    assert choice.reason == "only 2 of 8 tissues have two training donors to compare on"


@pytest.mark.parametrize("single", [False, True])
def test_training_records_the_choice(tmp_path, caplog, single):
    reference = only_first_donors(tiny_reference()) if single else tiny_reference()
    validation = tiny_mixtures(reference, "validation", tmp_path)
    arm = informed(**{"training.epochs": 1})
    trainer = Trainer(arm, tiny_experiment(), reference, validation, tmp_path, torch.device("cpu"))
    with caplog.at_level(logging.INFO, "methmix"):
        assert trainer.run() == 0
    chosen = choose(arm.model, tiny_experiment(), "phase2", reference)
    assert "least squares: " in caplog.text and chosen.reason in caplog.text
    checkpoint = load_checkpoint(trainer.best_checkpoint)
    values = chosen.settings._asdict()
    assert values.items() <= checkpoint.arm["model"].items()
    record = json.loads((tmp_path / "logs" / "training_record.json").read_text())["record"]
    assert values.items() <= record["recipe"].items() and record["borrowed_spread"] == single
    assert "auto" not in (tmp_path / "logs" / "config.yaml").read_text()
    assert (tmp_path / "logs" / "recipe.csv").read_text() == chosen.table
    card = model_card(checkpoint)
    assert values.items() <= card["recipe"].items() and card["recipe"]["reason"] == chosen.reason
    assert f"markers per tissue: {chosen.settings.markers_per_tissue}" in card_text(card)
    assert any("borrowed" in line for line in card["limits"]) == single == ("borrowed" in caplog.text)
