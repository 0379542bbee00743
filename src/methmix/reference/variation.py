"""How donors of one tissue differ: a model, and the parameters that `methmix.reference.fit_variation` found for it.

A donor's methylation in a region is drawn around its tissue's mean ``m`` as ::

    logit(own) = logit(m) + scale * exp(-tilt * (m - 1/2)) * donor_factor * t
    t          ~ Student(degrees_of_freedom)
    donor      = (1 - admixture) * own + admixture * other tissue

The first two lines are variation that is independent between regions; on the fraction scale its variance is
proportional to ``(m (1 - m))^2``, larger on the unmethylated side, as observed in replicates. The third line is
the structured part: no sorted or dissected sample is pure. ``donor_factor`` is log-normal, ``admixture``
exponential; both are one number per donor, as the choice of the other tissue is.

The shipped parameters (``donor_variation.json``) are the output of
``python -m methmix.reference fit-variation``; the file has the whole command and the digest of its input.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from scipy.stats import norm
from scipy.stats import t as student

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int32]

# Proportion of a sample that may be another tissue: beyond it the sample would carry the wrong label.
MAXIMUM_ADMIXTURE = 0.4
# Of donors that are drawn around estimated profiles: degrees of freedom of their deviations between regions, log-scale
# spread of the size of a donor's deviations, and how near to 0 and 1 methylation is taken on the logit scale.
DRAWN_FREEDOM, DRAWN_SIZE, DRAWN_RANGE = 6, 0.22, (0.004, 0.996)
# Fractions are kept this far from 0 and 1 before logits are taken.
EDGE = 0.002
# Nodes of the quadrature over sizes of donors' deviations and over deviates of regions.
_FACTORS, _DEVIATES = 24, 2000


class Donor(NamedTuple):
    """A drawn donor: methylation [n_regions], NaN where unknown, and composition [n_tissues], which sums to 1."""

    methylation: Array
    composition: Array


class DrawnDonors(NamedTuple):
    """Drawn donors: name and tissue of each, counts int32 [n_donors, n_regions], composition [n_donors, n_tissues].

    The columns of the composition are the tissues in alphabetical order.
    """

    names: list[str]
    tissues: list[str]
    methylated: Counts
    depth: Counts
    composition: Array


@dataclass(frozen=True)
class DonorVariation:
    """Parameters of the model above.

    Parameters
    ----------
    scale
        Spread of a typical donor around its tissue on the logit scale, > 0.
    tilt
        How much less methylated regions vary than unmethylated ones, on the logit scale.
    degrees_of_freedom
        Of the Student distribution; small means that a few regions differ much, > 2.
    donor_spread
        Standard deviation of the logarithm of ``donor_factor``, >= 0.
    mean_admixture
        Mean proportion of other tissues in a donor, 0-1.
    """

    scale: float
    tilt: float
    degrees_of_freedom: float
    donor_spread: float
    mean_admixture: float

    @classmethod
    def shipped(cls, kind: str) -> "DonorVariation":
        """Read the fitted parameters of ``healthy`` or ``tumour`` replicates."""
        stored = json.loads(files("methmix.reference").joinpath("donor_variation.json").read_text())
        return cls(**stored["parameters"][kind])

    def variance(self, means: Array) -> Array:
        """Compute the variance between pure donors in regions of mean methylation ``means``, 0 < m < 1.

        By quadrature over equally probable values of ``donor_factor`` and ``t``. To first order it is ``scale^2 df /
        (df - 2) exp(2 donor_spread^2) exp(-2 tilt (m - 1/2)) (m (1 - m))^2``, which is up to a quarter too large in
        the middle and half of it near 0, where the logit is not linear.
        """
        factors = self.scale * np.exp(self.donor_spread * norm.ppf((np.arange(_FACTORS) + 0.5) / _FACTORS))
        deviates = student.ppf((np.arange(_DEVIATES) + 0.5) / _DEVIATES, self.degrees_of_freedom)
        m = means[..., None, None]
        deviations = np.exp(-self.tilt * (m - 0.5)) * factors[:, None] * deviates
        variance: Array = expit(logit(m) + deviations).var(axis=(-2, -1))
        return variance

    def draw(self, means: Array, tissue: int, relatives: list[int], rng: np.random.Generator) -> Donor:
        """Draw one donor; its methylation is NaN where the mean of its tissue is unknown.

        ``means`` is [n_tissues, n_regions], 0-1, NaN where unknown; ``relatives`` are the tissues that may be admixed.
        """
        factor = self.scale * np.exp(self.donor_spread * rng.standard_normal())
        spread = factor * np.exp(-self.tilt * (means[tissue] - 0.5))
        deviation = spread * rng.standard_t(self.degrees_of_freedom, means.shape[1])
        own: Array = expit(logit(np.clip(means[tissue], EDGE, 1 - EDGE)) + deviation)
        # A mean at the very edge (0 in an atlas of fractions) stays there: there is nothing to vary.
        own = np.where((means[tissue] <= 0) | (means[tissue] >= 1), means[tissue], own)
        admixture = min(rng.exponential(self.mean_admixture), MAXIMUM_ADMIXTURE)
        composition = np.zeros(len(means))
        composition[tissue] = 1
        if not relatives:
            return Donor(own, composition)
        other = rng.choice(relatives)
        composition[[tissue, other]] = 1 - admixture, admixture
        # Where the other tissue is unknown, it is taken to be as this one.
        foreign = np.where(np.isnan(means[other]), own, means[other])
        return Donor((1 - admixture) * own + admixture * foreign, composition)

    def draw_donors(
        self,
        tissues: list[str],
        numbers: Sequence[int],
        means: Array,
        depth_of: Callable[[Array], npt.NDArray[np.integer]],
        rng: np.random.Generator,
    ) -> DrawnDonors:
        """Draw so many donors of each tissue, named ``<tissue>-<number>``, and their reads.

        ``depth_of`` maps the methylation of a donor, [n_regions], NaN where unknown, to its depth.
        """
        drawn: list[tuple[str, str, Counts, Counts, Array]] = []
        alphabetical = np.argsort(tissues)
        for row, (tissue, number) in enumerate(zip(tissues, numbers, strict=True)):
            others = [i for i in range(len(tissues)) if i != row]
            for rank in range(1, number + 1):
                own, composition = self.draw(means, row, others, rng)
                depth = depth_of(own)
                methylated = rng.binomial(depth, np.nan_to_num(own)).astype(np.int32)
                counts = methylated, depth.astype(np.int32)
                drawn.append((f"{tissue}-{rank}", tissue, *counts, composition[alphabetical]))
        names, of_donor, *arrays = zip(*drawn, strict=True)
        return DrawnDonors(list(names), list(of_donor), *(np.stack(values) for values in arrays))
