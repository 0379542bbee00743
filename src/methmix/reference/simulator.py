"""Source ``simulated``: tissues related by a tree, donors around them, reads over those.

Parameters and where they come from:

- Donors differ by the model of `methmix.reference.variation`, fitted to real replicates.
- Levels: most regions of a genome are methylated near 0.95, some are unmethylated, few are intermediate (the
  bimodal distribution of whole-genome bisulfite data; Loyfer et al. 2023, Nature). The proportions give a mean
  near 0.9.
- Tree: tissues of one group have changes in common, each tissue has changes of its own, and everything drifts a
  little. `_GROUP_CHANGES`, `_TISSUE_CHANGES` and `_DRIFT` were set so that two healthy tissues differ as two
  blood cell types of the MetDecode atlas do (compared in the tests).
- About 5 CpGs per region, coverage that varies between donors and between regions, regions not observed.
"""

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from methmix.config.sources import SimulatedReference
from methmix.reference.donors import DonorCounts
from methmix.reference.variation import DonorVariation

# Proportion of regions, and Beta parameters of their methylation.
_LEVELS = {"methylated": (0.92, 30.0, 1.8), "unmethylated": (0.05, 1.5, 30.0), "between": (0.03, 4.0, 4.0)}
# Proportion of regions that change on the branch to a group and on the branch to a tissue.
_GROUP_CHANGES = 0.04
_TISSUE_CHANGES = 0.03
# How far a changed region moves towards the opposite state, as Beta parameters: tissues are mixtures of cells, few
# changes are complete.
_CHANGE_SIZE = (1.2, 1.8)
# Standard deviation, on the logit scale, of the small differences that tissues have everywhere.
_DRIFT = 0.12
_MEAN_CPGS = 5
# Shape of the gamma distribution of coverage over regions, and log-scale spread of coverage over donors.
_REGION_COVERAGE_SHAPE = 8.0
_DONOR_COVERAGE_SPREAD = 0.25
# Probability that a donor misses a region: of ordinary regions, and of the few that are hard to map.
_MISSING, _MISSING_HARD, _HARD_PROPORTION = 0.005, 0.3, 0.02


def simulate_means(tissues: dict[str, list[str]], n_regions: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the mean methylation of every tissue (``tissues``: group -> its tissues).

    Returns
    -------
    ndarray
        Shape [n_tissues, n_regions], 0-1, tissues in alphabetical order.
    """
    proportions = np.array([level[0] for level in _LEVELS.values()])
    level = rng.choice(len(proportions), n_regions, p=proportions / proportions.sum())
    root = rng.beta(*np.array([parameters[1:] for parameters in _LEVELS.values()])[level].T)
    means = {}
    for group in tissues.values():
        ancestor = _change(root, _GROUP_CHANGES, rng)
        for tissue in group:
            changed = _change(ancestor, _TISSUE_CHANGES, rng)
            means[tissue] = expit(logit(changed) + _DRIFT * rng.standard_normal(n_regions))
    return np.stack([means[name] for name in sorted(means)])


def _change(methylation: np.ndarray, proportion: float, rng: np.random.Generator) -> np.ndarray:
    """Move a proportion of the regions towards the opposite state."""
    changes = rng.random(len(methylation)) < proportion
    size = rng.beta(*_CHANGE_SIZE, len(methylation))
    opposite = np.where(methylation > 0.5, 0.03, 0.95)
    return np.where(changes, methylation + size * (opposite - methylation), methylation)


def simulate_donors(settings: SimulatedReference, rng: np.random.Generator) -> DonorCounts:
    """Draw a whole reference."""
    n_regions = settings.n_regions
    names = sorted(name for group in settings.tissues.values() for name in group)
    means = simulate_means(settings.tissues, n_regions, rng)
    n_cpgs = 1 + rng.poisson(_MEAN_CPGS - 1, n_regions)
    region_coverage = rng.gamma(_REGION_COVERAGE_SHAPE, 1 / _REGION_COVERAGE_SHAPE, n_regions)
    missing = np.where(rng.random(n_regions) < _HARD_PROPORTION, _MISSING_HARD, _MISSING)

    def depth_of_donor(_: np.ndarray) -> np.ndarray:
        coverage = settings.coverage * np.exp(_DONOR_COVERAGE_SPREAD * rng.standard_normal())
        depth: np.ndarray = rng.poisson(coverage * n_cpgs * region_coverage)
        depth[rng.random(n_regions) < missing] = 0
        return depth

    numbers = _donor_numbers(settings.n_donors, len(names), rng).tolist()
    variation = DonorVariation.shipped(settings.donor_variation)
    drawn = variation.draw_donors(names, numbers, means, depth_of_donor, rng)
    note = "simulated: tissues and donors are drawn, no real sample is in this reference"
    return DonorCounts.drawn(drawn, simulated_regions(n_regions), notes=[note])


def _donor_numbers(n_donors: int, n_tissues: int, rng: np.random.Generator) -> np.ndarray:
    """Divide donors over tissues, at least three each, the others unevenly as real collections are."""
    spare = n_donors - 3 * n_tissues
    return 3 + rng.multinomial(spare, rng.dirichlet(np.full(n_tissues, 3.0)))


def simulated_regions(n_regions: int) -> pd.DataFrame:
    """Lay regions of 150 bases over 22 chromosomes; the coordinates are invented."""
    per_chromosome = -(-n_regions // 22)
    index = np.arange(n_regions)
    start = 1_000_000 + 1_000 * (index % per_chromosome)
    chrom = np.char.add("chr", (1 + index // per_chromosome).astype(str))
    return pd.DataFrame({"chrom": chrom.astype(object), "start": start, "end": start + 150})
