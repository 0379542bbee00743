"""Facts on the mixtures that validate a training."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from experiments import tiny_arm, tiny_experiment

from methmix.config.phases import BackgroundRecipe, PairsRecipe
from methmix.errors import InputError
from methmix.training.validation_facts import ValidationFacts, facts_of, read_facts, write_facts

# Of the ten entries four are present, one of which is below 0.3, and one is a trace.
MIXTURES = SimpleNamespace(proportions=np.array([[0.6, 0.395, 0.005, 0, 0], [0.8, 0.2, 0, 0, 0]]))


def test_what_is_absent_and_present():
    facts = facts_of(MIXTURES, tiny_experiment().mixtures.recipes["phase2"], tiny_arm("sparse"))
    assert (facts.n_tissues, facts.true_tissues, facts.fewest, facts.most) == (5, 2, 3, 5)
    assert facts.all_absent == pytest.approx(5 / 9) and facts.labelled_present == pytest.approx(4 / 9)
    assert facts.base_rate_loss == pytest.approx(-(4 / 9 * math.log(4 / 9) + 5 / 9 * math.log(5 / 9)))


def test_the_presence_loss_has_labels_of_its_own():
    arm = tiny_arm("sparse", **{"loss.presence_threshold": 0.3})
    facts = facts_of(MIXTURES, PairsRecipe(kind="pairs"), arm)
    assert facts.labelled_present == pytest.approx(3 / 8)
    assert facts.all_absent == pytest.approx(5 / 9)


def test_a_base_rate_of_none_or_all_has_no_entropy():
    assert ValidationFacts(labelled_present=0.0).base_rate_loss == 0
    assert ValidationFacts(labelled_present=1.0).base_rate_loss == 0


def test_numbers_of_tissues_by_recipe():
    assert PairsRecipe(kind="pairs").tissue_numbers == (2, 2)
    background = BackgroundRecipe(kind="background", background={"A": 0.7, "B": 0.3}, n_others=[2, 6])
    assert background.tissue_numbers == (3, 8)


def test_facts_are_kept_beside_the_log(tmp_path):
    assert math.isnan(read_facts(tmp_path).all_absent)
    facts = ValidationFacts(8, 4.5, 3, 5, 0.4, 0.6)
    write_facts(tmp_path, facts)
    assert read_facts(tmp_path) == facts
    (tmp_path / "validation_mixtures.json").write_text('{"tissues": 3}')
    with pytest.raises(InputError, match=r"validation_mixtures\.json: is damaged"):
        read_facts(tmp_path)
