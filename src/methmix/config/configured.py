"""The arms and variants of an experiment, as it configures them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from methmix.config.ablation import Variant
from methmix.config.arm import ArmSettings
from methmix.config.experiment import ArmName, Experiment
from methmix.config.load import load_ablation, load_arm
from methmix.config.phases import Phase
from methmix.errors import InputError


def configured_arm(
    experiment: Experiment, phase: Phase, name: ArmName, changes: Mapping[str, Any] | None = None
) -> ArmSettings:
    """Read an arm with the experiment's overrides.

    Parameters
    ----------
    experiment, phase, name
        Which arm.
    changes
        What is changed in it beyond those: dotted key -> value.

    Raises
    ------
    InputError
        The experiment has no such arm, its file cannot be read or is for another one, or it starts from a phase in
        which the experiment has no such arm.
    """
    file = experiment.arms.get(phase, {}).get(name)
    if file is None:
        raise InputError(
            f"arms.{phase}: experiment {experiment.name} has no {name} arm there",
            "name its file, as config/default.yaml does",
        )
    arm = load_arm(Path(file), experiment.overrides, changes, expected=name)
    if arm.phase != phase:
        raise InputError(f"{file}: phase: is {arm.phase}, but the experiment names the file in arms.{phase}")
    start = arm.training.warm_start
    if start is not None and name not in experiment.arms.get(start, {}):
        raise InputError(
            f"{file}: training.warm_start: experiment {experiment.name} has no {name} arm of {start}",
            f"name its file in arms.{start}, or start from null",
        )
    return arm


def check_arms(experiment: Experiment) -> None:
    """Check that all arms can be trained; errors as `configured_arm`."""
    for phase, arms in experiment.arms.items():
        for name in arms:
            configured_arm(experiment, phase, name)


def effective_variants(experiment: Experiment, phase: Phase) -> dict[str, Variant]:
    """Give the variants of an experiment that change something in it: its own overrides may have done so before.

    Those of an arm that it does not have, or that start from one, are left out.

    Raises
    ------
    InputError
        The ablation or an arm cannot be read, or a variant changes a key that its arm has not.
    """
    found = {}
    for name, variant in load_ablation(Path(experiment.ablation)).variants.items():
        needed = {phase, str(variant.set.get("training.warm_start") or phase)}
        if any(variant.arm not in experiment.arms.get(of, {}) for of in needed):
            continue
        as_configured = configured_arm(experiment, phase, variant.arm)
        if configured_arm(experiment, phase, variant.arm, variant.set) != as_configured:
            found[name] = variant
    return found
