"""Small experiments that tests share."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from methmix import seeds
from methmix.config.arm import ArmSettings
from methmix.config.experiment import Experiment
from methmix.config.load import load_arm, load_experiment
from methmix.files.mixtures import Mixtures, read_mixtures
from methmix.files.reference import Reference
from methmix.mixtures.sampler import MixtureSampler
from methmix.mixtures.write import write_mixtures
from methmix.reference.build import build_reference
from methmix.reference.fit_variation import variance_sums
from methmix.reference.simulator import simulate_means
from methmix.reference.variation import DonorVariation
from methmix.scores import Scores
from methmix.tissue_profiles import Profiles
from methmix.training.loop import Trainer
from methmix.training.pictures import Pictures

ROOT = Path(__file__).parents[1]
TINY = ROOT / "config" / "tiny.yaml"


@cache
def tiny_experiment() -> Experiment:
    return load_experiment(TINY)


@cache
def tiny_reference() -> Reference:
    """Simulate the reference of config/tiny.yaml, once for all tests; nobody changes its arrays."""
    reference = build_reference(tiny_experiment())
    for counts in (reference.methylated, reference.depth):
        counts.flags.writeable = False
    return reference


def tiny_mixtures(reference: Reference, split: Any, folder: Path, phase: str = "phase2") -> Mixtures:
    path = folder / f"{phase}_{split}_mixtures.h5"
    write_mixtures(tiny_experiment(), reference, phase, split, path)
    return read_mixtures(path)


PHASE3 = tiny_experiment().mixtures.recipes["phase3"]


def tiny_arm(name: str, phase: str = "phase2", **overrides: Any) -> ArmSettings:
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


def validation_of(reference: Reference, n: int, split: Any = "validation") -> Mixtures:
    batch = MixtureSampler(reference, split, PHASE3, [10, 30, 100, 500]).sample(n, seeds.generator(5, "validation"))
    attributes = {"reference_digest": reference.content_digest, "split": "validation", "phase": "phase3"}
    arrays = batch.methylation.numpy(), batch.depth.numpy(), batch.proportions, batch.label_proportions
    return Mixtures(*arrays, [], reference.tissue_names, attributes)


DUE = Pictures.due


@contextmanager
def undrawn() -> Iterator[None]:
    """Train without pictures for TensorBoard, which take longer than all else of a small training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pictures, "due", lambda *_: False)
        yield


def trained(reference: Reference, folder: Path) -> Path:
    """Train the informed sparse model for some seconds; gives its checkpoint."""
    # After some seconds it is so uncertain that at 0.5 too many absent tissues would be called to state any limit.
    short = {
        "phase": "phase3",
        "training.epochs": 6,
        "training.mixtures_per_epoch": 2000,
        "model.presence_threshold": 0.7,
    }
    arm = load_arm(ROOT / "config" / "phase2_sparse.yaml", overrides=short)
    trainer = Trainer(arm, tiny_experiment(), reference, validation_of(reference, 600), folder, torch.device("cpu"))
    with undrawn():
        trainer.run()
    return trainer.best_checkpoint


def counts_table(reference: Reference, batch: Any, path: Path, rows: Any = None) -> Path:
    depth = batch.depth.numpy().astype(int)
    methylated = np.rint(np.nan_to_num(batch.methylation.numpy()) * depth).astype(int)
    columns = {new: reference.regions[old] for new, old in (("CHROM", "chrom"), ("START", "start"), ("END", "end"))}
    for row in range(len(depth)) if rows is None else rows:
        columns[f"S{row}_METH"], columns[f"S{row}_DEPTH"] = methylated[row], depth[row]
    pd.DataFrame(columns).to_csv(path, sep="\t", index=False)
    return path


def without(reference: Reference, tissue: str) -> Reference:
    """Give a reference that lacks a tissue, of which its donors have none."""
    keep = [row for row, name in enumerate(reference.tissues) if name != tissue]
    parts = ([values[row] for row in keep] for values in (reference.donors, reference.tissues, reference.split))
    known = np.delete(reference.composition[keep], reference.tissue_names.index(tissue), axis=1)
    counts = reference.methylated[keep], reference.depth[keep]
    attributes = dict(reference.attributes)
    return Reference(*counts, *parts, reference.regions, attributes, known / known.sum(axis=1, keepdims=True))


KNOWN_VARIATION = DonorVariation(scale=0.3, tilt=0.8, degrees_of_freedom=5.0, donor_spread=0.25, mean_admixture=0.0)
NO_VARIATION = DonorVariation(scale=1e-9, tilt=0.0, degrees_of_freedom=5.0, donor_spread=0.0, mean_admixture=0.0)


def drawn_donors(variation: DonorVariation, n_donors=8, n_regions=3000, depth=100, seed=0) -> Reference:
    """Donors of 6 tissues, drawn from the model."""
    rng = np.random.default_rng(seed)
    groups = {"a": ["A", "B"], "c": ["C", "D"], "e": ["E", "F"]}
    means = simulate_means(groups, n_regions, rng)
    drawn = np.stack(
        [
            variation.draw(means, row, [i for i in range(6) if i != row], rng).methylation
            for row in range(6)
            for _ in range(n_donors)
        ]
    )
    depths = np.full(drawn.shape, depth)
    tissues = [name for name in "ABCDEF" for _ in range(n_donors)]
    start = np.arange(n_regions) * 10
    return Reference(
        methylated=rng.binomial(depths, drawn),
        depth=depths,
        donors=[f"{tissue}-{i}" for i, tissue in enumerate(tissues)],
        tissues=tissues,
        split=["train"] * len(tissues),
        regions=pd.DataFrame({"chrom": "chr1", "start": start, "end": start + 5}),
    )


def between_donor_variance(reference: Reference, tissues: list[str]) -> float:
    """The variance between replicates beyond that of reads, over all regions."""
    total, number = variance_sums(reference, tissues)
    return float(total.sum() / number.sum())


def write_evaluation(folder, predicted, true, seed=1, donors=None):
    """Write an evaluation as `evaluate_arm` does, in its barest form."""
    folder.mkdir(parents=True)
    probability = predicted.clip(0, 1)
    estimate = Scores(true, predicted, probability).estimate()
    record = {"background": [], "provenance": {"seed": seed}, "notes": []}
    (folder / "metrics.json").write_text(json.dumps({**estimate, **record}))
    n, n_tissues = true.shape
    if donors is None:
        donors = np.where(true > 0, [f"d{t}" for t in range(n_tissues)], "")
    pd.DataFrame(
        {
            "mixture_id": np.repeat(range(n), n_tissues),
            "tissue": [f"t{t}" for t in range(n_tissues)] * n,
            "true_proportion": true.ravel(),
            "predicted_proportion": predicted.ravel(),
            "presence_probability": probability.ravel(),
            "interval_low": np.nan,
            "interval_high": np.nan,
            "donor": donors.ravel(),
        }
    ).to_csv(folder / "predictions.csv", index=False)
    for name in ("per_mixture", "by_abundance", "tradeoff"):
        pd.DataFrame({"column": [1]}).to_csv(folder / f"{name}.csv", index=False)
    splits = pd.DataFrame({"donors_train": [1] * n_tissues, "donors_validation": 1, "donors_test": 1})
    splits.loc[1, "donors_validation"] = 0
    splits.to_csv(folder / "per_tissue.csv", index=False)
    return estimate


def mixed_profiles(rng, n_tissues=6, n_regions=800, n_mixtures=40, donors=3, spread=0.0):
    """Mixtures of donors that differ from their tissue, and profiles that are means of other donors."""
    truth = rng.beta(0.5, 0.5, (n_tissues, n_regions)) * 0.3 + rng.beta(0.5, 0.5, n_regions) * 0.7
    estimate = truth + np.sqrt(spread / donors) * rng.standard_normal(truth.shape)
    own = truth + np.sqrt(spread) * rng.standard_normal(truth.shape)
    proportions = rng.dirichlet(np.full(n_tissues, 0.3), n_mixtures)
    depth = rng.poisson(60, (n_mixtures, n_regions))
    methylated = rng.binomial(depth, (proportions @ own).clip(0, 1))
    with np.errstate(invalid="ignore"):
        methylation = np.where(depth > 0, methylated / depth, np.nan)
    full = np.full_like(truth, spread)
    profiles = Profiles(*(torch.from_numpy(v).float() for v in (estimate, full, full / donors)))
    return profiles, torch.from_numpy(methylation).float(), torch.from_numpy(depth).float(), proportions
