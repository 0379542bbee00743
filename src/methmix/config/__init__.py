"""The configuration: what an experiment and an arm may say, and how a file is read into it."""

from methmix.config.arm import Arm, OriginalArm, SparseArm
from methmix.config.experiment import Experiment, Recipe
from methmix.config.load import effective_variants, load_arm, load_experiment, to_yaml
from methmix.config.sources import ReferenceSettings

__all__ = [
    "Arm",
    "Experiment",
    "OriginalArm",
    "Recipe",
    "ReferenceSettings",
    "SparseArm",
    "effective_variants",
    "load_arm",
    "load_experiment",
    "to_yaml",
]
