"""What the values of a validation are compared with: facts on its mixtures, kept beside the training log."""

import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from methmix import metrics
from methmix.config.arm import ArmSettings, SparseArm
from methmix.config.phases import Recipe
from methmix.errors import InputError
from methmix.files.atomic import write_text
from methmix.files.json_file import read_json
from methmix.files.mixtures import Mixtures
from methmix.scores import Scores

_FILE = "validation_mixtures.json"


@dataclass(frozen=True)
class ValidationFacts:
    """Facts on validation mixtures; NaN where they are not known, and all that is compared with them is then passed.

    Parameters
    ----------
    n_tissues
        Tissues of the reference.
    true_tissues
        Mean number of tissues of at least `metrics.PRESENT` per mixture, admixture of the donors included.
    fewest, most
        Tissues that a mixture consists of by the recipe, but for traces.
    all_absent
        Presence accuracy of calling all tissues absent.
    labelled_present
        Fraction present of the entries that the presence loss is computed of.
    """

    n_tissues: float = math.nan
    true_tissues: float = math.nan
    fewest: float = math.nan
    most: float = math.nan
    all_absent: float = math.nan
    labelled_present: float = math.nan

    @property
    def base_rate_loss(self) -> float:
        """Presence loss of the base rate as the probability of every tissue: its entropy, in nats."""
        rates = (self.labelled_present, 1 - self.labelled_present)
        return sum(-rate * math.log(rate) for rate in rates if rate != 0)


def facts_of(mixtures: Mixtures, recipe: Recipe, arm: ArmSettings) -> ValidationFacts:
    """Collect the facts on validation mixtures that were drawn by a recipe."""
    true = mixtures.proportions
    present = true >= (arm.loss.label_threshold if isinstance(arm, SparseArm) else metrics.PRESENT)
    fewest, most = recipe.tissue_numbers
    return ValidationFacts(
        n_tissues=true.shape[1],
        true_tissues=float(metrics.present(true).sum(axis=1).mean()),
        fewest=fewest,
        most=most,
        all_absent=Scores(true, np.zeros_like(true)).value("presence_accuracy"),
        labelled_present=float(present.sum() / (present | metrics.absent(true)).sum()),
    )


def write_facts(logs: Path, facts: ValidationFacts) -> None:
    """Write facts to the logs of a run folder."""
    write_text(
        logs / _FILE, json.dumps({name: v for name, v in asdict(facts).items() if not math.isnan(v)}, indent=2) + "\n"
    )


def read_facts(logs: Path) -> ValidationFacts:
    """Read the facts in the logs of a run folder; an earlier version has not written them, and none is then known."""
    path = logs / _FILE
    if not path.is_file():
        return ValidationFacts()
    remedy = "the training writes it anew when it is resumed"
    content = read_json(path, remedy)
    names = {field.name for field in fields(ValidationFacts)}
    if other := [name for name, v in content.items() if name not in names or not isinstance(v, int | float)]:
        raise InputError(f"{path}: is damaged: {other[0]}: expected a number of its name", remedy)
    return ValidationFacts(**content)
