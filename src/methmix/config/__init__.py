"""The configuration: what an experiment and an arm may say, and how a file is read into it."""

from methmix.config.arm import Arm, OriginalArm, SparseArm
from methmix.config.arms import configured_arm, effective_variants
from methmix.config.experiment import Experiment
from methmix.config.load import load_arm, load_experiment, to_yaml
from methmix.config.recipes import Recipe
from methmix.config.sources import ReferenceSettings

__all__ = [
    "Arm",
    "Experiment",
    "OriginalArm",
    "Recipe",
    "ReferenceSettings",
    "SparseArm",
    "configured_arm",
    "effective_variants",
    "load_arm",
    "load_experiment",
    "to_yaml",
]
