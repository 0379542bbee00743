"""The arms, variants and runs of an experiment, as it configures them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from methmix.config.arm import ArmSettings
from methmix.config.experiment import ArmName, Experiment, Variant
from methmix.config.load import load_ablation, load_arm
from methmix.config.phases import Phase
from methmix.errors import InputError


def configured_arm(
    experiment: Experiment, phase: Phase, name: ArmName, changes: Mapping[str, Any] | None = None
) -> ArmSettings:
    """Read an arm with the experiment's overrides, and with further changes: dotted key -> value."""
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
    """Check that all arms can be trained."""
    for phase, arms in experiment.arms.items():
        for name in arms:
            configured_arm(experiment, phase, name)


def effective_variants(experiment: Experiment, phase: Phase) -> dict[str, Variant]:
    """Give the variants that change something in an experiment: its own overrides may have done so before.

    Those of an arm that it does not have, or that start from one, are left out.
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


def seed_runs(content: dict[str, Any], seeds: list[int]) -> dict[str, dict[str, Any]]:
    """Give the experiment by name, and with other donors, mixtures and weights as ``<name>-seed<n>``."""
    return _runs(content, {f"seed{seed}": {"seed": seed} for seed in seeds})


def fold_runs(content: dict[str, Any], folds: list[int]) -> dict[str, dict[str, Any]]:
    """Give the experiment by name, and with other donors in the test as ``<name>-fold<n>``."""
    reference = content["reference"]
    split = {fold: {**reference["split"], "fold": fold} for fold in folds}
    return _runs(content, {f"fold{fold}": {"reference": {**reference, "split": split[fold]}} for fold in folds})


def _runs(content: dict[str, Any], changes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Give the experiment and its changed runs, none of which is repeated itself."""
    name = content["name"]
    changed = {f"{name}-{suffix}": {**content, **change, "repeats": {}} for suffix, change in changes.items()}
    return {name: content, **{run: {**settings, "name": run} for run, settings in changed.items()}}
