"""Small experiments that tests share."""

from pathlib import Path
from typing import Any

import numpy as np

from methmix import seeds
from methmix.config import Experiment, load_arm, load_experiment
from methmix.config.arm import Arm
from methmix.files import Mixtures, Reference, read_mixtures
from methmix.mixtures.__main__ import write_mixtures
from methmix.reference import build_reference

ROOT = Path(__file__).parents[2]
TINY = ROOT / "config" / "tiny.yaml"


def tiny_experiment() -> Experiment:
    return load_experiment(TINY)


def tiny_reference() -> Reference:
    return build_reference(tiny_experiment())


def tiny_mixtures(reference: Reference, split: Any, folder: Path, phase: str = "phase2") -> Mixtures:
    path = folder / f"{phase}_{split}_mixtures.h5"
    write_mixtures(tiny_experiment(), reference, phase, split, path)
    return read_mixtures(path)


def tiny_arm(name: str, phase: str = "phase2", **overrides: Any) -> Arm:
    file = f"{phase}_{'sparse' if name == 'sparse' else 'multitissue'}.yaml"
    short: dict[str, Any] = {
        "model.hidden_sizes": [32, 32],
        "training.epochs": 3,
        "training.mixtures_per_epoch": 200,
        "training.batch_size": 50,
    }
    if name == "sparse":
        short["model.backbone"] = "mlp"
    return load_arm(ROOT / "config" / file, overrides={**short, **overrides})


def random_proportions(n_mixtures: int = 60, n_tissues: int = 7, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Make a truth with absent, trace and present entries, and a noisy prediction with exact zeros."""
    rng = seeds.generator(seed, "test proportions")
    true = rng.dirichlet(np.full(n_tissues, 0.3), n_mixtures)
    true[true < 0.004] = 0
    true /= true.sum(axis=1, keepdims=True)
    predicted = np.clip(true + 0.03 * rng.standard_normal(true.shape), 0, None)
    return true, predicted / predicted.sum(axis=1, keepdims=True)
