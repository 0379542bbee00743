"""Further runs of an experiment: with other seeds, and with other donors in the test. None is repeated itself."""

from copy import deepcopy
from typing import Any


def seed_runs(content: dict[str, Any], seeds: list[int]) -> dict[str, dict[str, Any]]:
    """Give the content of the experiment under its name, and with each of its further seeds under ``<name>-seed<n>``.

    Other seeds draw other donors, mixtures and initial weights.
    """
    runs = {content["name"]: content}
    for seed in seeds:
        name = f"{content['name']}-seed{seed}"
        runs[name] = {**content, "name": name, "seed": seed, "repeats": {}}
    return runs


def fold_runs(content: dict[str, Any], folds: list[int]) -> dict[str, dict[str, Any]]:
    """Give the content of the experiment under its name, and of each further fold under ``<name>-fold<n>``."""
    runs = {content["name"]: content}
    for fold in folds:
        name = f"{content['name']}-fold{fold}"
        runs[name] = {**deepcopy(content), "name": name, "repeats": {}}
        runs[name]["reference"]["split"]["fold"] = fold
    return runs
