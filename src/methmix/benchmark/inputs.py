"""References and mixtures to measure on."""

import math
from typing import get_args

import numpy as np
import pandas as pd

from methmix import seeds
from methmix.config.experiment import Experiment
from methmix.config.phases import Phase
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference, Split
from methmix.mixtures.sampler import MixtureSampler

PHASE: Phase = "phase2"
_CPGS = 100


def resized(reference: Reference, multiple: float) -> Reference:
    """Give a reference of a multiple of the regions: the first ones, or all of them again."""
    n = round(multiple * len(reference.regions))
    columns = np.arange(n) % len(reference.regions)
    return Reference(
        np.ascontiguousarray(reference.methylated[:, columns]),
        np.ascontiguousarray(reference.depth[:, columns]),
        reference.donors,
        reference.tissues,
        reference.split,
        reference.regions.iloc[columns],
        reference.attributes,
    )


def drawn_reference(tissues: list[str], n_donors: int, n_regions: int, rng: np.random.Generator) -> Reference:
    """Draw a reference cheaply: each tissue has random methylation, and its donors random counts around it.

    Parameters
    ----------
    tissues
        Names of the tissues.
    n_donors
        Donors of all tissues, at least three of each; every third one is for validation or test.
    n_regions
        Regions.
    rng
        Random generator.
    """
    profiles = rng.random((len(tissues), n_regions), dtype=np.float32)
    depth = rng.integers(20, 40, (n_donors, n_regions), dtype=np.int32)
    of_tissue = [donor % len(tissues) for donor in range(n_donors)]
    methylated = np.empty_like(depth)
    for donor, tissue in enumerate(of_tissue):
        deviation = 0.05 * rng.standard_normal(n_regions, dtype=np.float32)
        methylated[donor] = np.rint(depth[donor] * (profiles[tissue] + deviation).clip(0, 1))
    turn: list[Split] = ["train", "train", "validation", "train", "train", "test"]
    assert set(turn) == set(get_args(Split))
    starts = np.arange(n_regions) * 1000
    return Reference(
        methylated,
        depth,
        [f"{tissues[tissue]}-{donor // len(tissues)}" for donor, tissue in enumerate(of_tissue)],
        [tissues[tissue] for tissue in of_tissue],
        [turn[donor // len(tissues) % len(turn)] for donor in range(n_donors)],
        pd.DataFrame({"chrom": "chr1", "start": starts, "end": starts + _CPGS}),
        {"source": "drawn", "genome": "none", "notes": "[]"},
    )


def few_mixtures(experiment: Experiment, reference: Reference, n: int) -> Mixtures:
    """Draw some validation mixtures in memory."""
    sampler = MixtureSampler(
        reference, "validation", experiment.mixtures.recipes[PHASE], experiment.mixtures.mean_depths
    )
    parts = [
        sampler.sample(math.ceil(n / 10), seeds.generator(experiment.seed, "benchmark", part)) for part in range(10)
    ]
    return Mixtures(
        np.concatenate([part.methylation.numpy() for part in parts])[:n],
        np.concatenate([part.depth.numpy().astype(np.uint16) for part in parts])[:n],
        np.concatenate([part.proportions for part in parts])[:n],
        [],
        reference.tissue_names,
        {"reference_digest": reference.content_digest, "split": "validation", "phase": PHASE},
    )
