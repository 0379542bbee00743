"""Admixture of other tissues, actual or apparent, in donors that are drawn around the profiles.

Of simulated donors the composition is known, and what they hold of another tissue is that tissue. Of a real donor only
the label is known. Seen through the profiles of the others it looks like a mixture too: sorted cells are not pure,
tumours hold blood and stroma, and one donor differs from another in the direction of similar tissues. How much of
that is really there nobody can tell, so it counts as the donor's label: what one such donor shows of a tissue is no
evidence that a patient has it.

The apparent proportion of other tissues is taken to be exponential with a mean of its tissue, and the means to be from
an inverse gamma distribution around that of all tissues (Gelman et al. 2013, Bayesian Data Analysis, ch. 5): a tissue
of which few donors are known, or only one, may be a very variable one. A part of what is apparent is due to errors of
the profiles and to deviations of single regions, which drawn donors have besides: they look more mixed than the real
ones do, which makes what a model says of them less certain.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from methmix.files.reference import Reference
from methmix.least_squares import regress
from methmix.reference.profiles import DonorSums
from methmix.reference.variation import MAXIMUM_ADMIXTURE, DonorVariation
from methmix.tissue_profiles import similarity

Array = npt.NDArray[np.float64]

# Shape of the inverse gamma distribution: the smallest whole number with which it has a mean.
_SHAPE = 2.0
# Apparent proportion of other tissues where no donor shows it: mean over the 13 tissues of Passemiers et al. 2024.
_BORROWED = 0.1
# A donor that looks less like its tissue than the rest is taken to be mislabelled.
_MOST = 0.7
# Shape from which on the mean is as good as known.
_KNOWN = 1e6
# Of how many tissues apparent admixture is, and what part of it is of any instead of similar ones.
_OTHERS, _DISSIMILAR = 3, 0.3
# Part of the regions that a donor must have reads in to be looked at.
_OBSERVED = 0.5
# Markers per tissue of the least squares that donors are seen through: robust where profiles are of few donors.
_MARKERS = 100


@dataclass(frozen=True)
class Admixture:
    """Distribution of the proportions of other tissues in donors.

    Parameters
    ----------
    mean
        Mean of their sum in donors of each tissue, [n_tissues].
    shape
        Of the inverse gamma distribution of that mean, [n_tissues]; infinite where it is known.
    among
        Probability of each other tissue, [n_tissues, n_tissues], rows sum to 1, 0 on the diagonal.
    n_others, most
        Of how many tissues it is, and its maximum, 0-1.
    is_there
        Whether it is part of the truth, or counts as the tissue that the donor is labelled as.
    """

    mean: Array
    shape: Array
    among: Array
    n_others: int
    most: float
    is_there: bool

    def draw(self, tissue: npt.NDArray[np.integer], rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Draw the proportions of the other tissues in donors of these tissues, float32 [n, n_tissues]."""
        n = len(tissue)
        known = np.isinf(self.shape)
        # The mean of 1 / gamma is 1 / (shape - 1).
        drawn = (np.where(known, 2, self.shape) - 1)[tissue] / rng.gamma(np.where(known, 1, self.shape)[tissue])
        means = self.mean[tissue] * np.where(known[tissue], 1, drawn)
        total = np.minimum(rng.exponential(1, n) * means, self.most)
        proportions = rng.dirichlet(np.ones(self.n_others), n) * total[:, None]
        found = np.zeros((n, len(self.mean)), dtype=np.float32)
        np.add.at(found, (np.arange(n)[:, None], self.others(tissue, self.n_others, rng)), proportions)
        return found

    def composition(self, tissue: npt.NDArray[np.integer], foreign: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Give the true composition, [n, n_tissues], of donors with these proportions of other tissues."""
        composition = foreign.copy() if self.is_there else np.zeros_like(foreign)
        composition[np.arange(len(tissue)), tissue] += 1 - composition.sum(axis=1)
        return composition

    def record(self) -> dict[str, list[float]]:
        """Describe how much there is, as plain data for JSON; `of_record` reads it."""
        # A mean that is known is one of very many donors.
        return {"mean": self.mean.tolist(), "shape": np.minimum(self.shape, _KNOWN).tolist()}

    @classmethod
    def of_record(cls, record: Mapping[str, list[float]], profiles: Tensor) -> "Admixture":
        """Take how much there is from a record, and of what from the profiles, [n_tissues, n_regions].

        Without a record, of an earlier version's model, it is what is borrowed where no donor shows any. It counts as
        the tissue that a donor is labelled as.
        """
        n = len(profiles)
        mean, shape = (record.get(name, [default] * n) for name, default in (("mean", _BORROWED), ("shape", _SHAPE)))
        return cls(np.array(mean), np.array(shape), _among(profiles), _OTHERS, _MOST, False)

    def others(self, tissue: npt.NDArray[np.integer], number: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Draw other tissues of each, [n, number]; one may be drawn twice."""
        ends = self.among.cumsum(axis=1)[tissue]
        places = rng.random((len(tissue), number)) * ends[:, -1:]
        return np.asarray((places[:, :, None] >= ends[:, None, :]).sum(axis=2))


def admixture_of(reference: Reference, donors: DonorSums) -> tuple[Admixture, Array]:
    """Find the admixture of donors around the profiles of ``donors``, the training donors of a reference.

    Returns
    -------
    admixture, impurity
        Of the donors; and the standard deviation of what the profiles themselves have too much or too little of
        another tissue, [n_tissues], as the admixture of their donors does not average out.
    """
    n = len(reference.tissue_names)
    n_donors = np.array([len(rows) for rows in reference.pool("train").values()])
    any_other = (1 - np.eye(n)) / max(1, n - 1)
    if reference.known_composition is not None:
        mean = np.full(n, donors.admixture)
        # Borrowed where it could not be estimated.
        impurity = (donors.admixture or DonorVariation.shipped("healthy").mean_admixture) / np.sqrt(n_donors)
        return Admixture(mean, np.full(n, np.inf), any_other, 1, MAXIMUM_ADMIXTURE, True), impurity
    seen = apparent(reference, donors)
    means = [float(np.mean(found)) for found in seen if found]
    overall = float(np.mean(means)) if means else _BORROWED
    number, total = np.array([len(found) for found in seen]), np.array([sum(found) for found in seen])
    shape = _SHAPE + number
    mean = ((_SHAPE - 1) * overall + total) / (shape - 1)
    return Admixture(mean, shape, _among(donors.all.mean), _OTHERS, _MOST, False), mean / np.sqrt(n_donors)


def _among(profiles: Tensor) -> Array:
    """Give the probability of each other tissue, [n_tissues, n_tissues]: similar ones, and some of any."""
    n = len(profiles)
    any_other = (1 - np.eye(n)) / max(1, n - 1)
    found: Array = (1 - _DISSIMILAR) * similarity(profiles.double()).cpu().numpy() + _DISSIMILAR * any_other
    return found


def apparent(reference: Reference, donors: DonorSums) -> list[list[float]]:
    """List for each tissue what its donors of train and validation look like of other tissues, without themselves."""
    found: list[list[float]] = []
    names = np.array(reference.tissues)
    splits = np.array(reference.split)
    for own, tissue in enumerate(reference.tissue_names):
        rows = np.flatnonzero((names == tissue) & (splits != "test")).tolist()
        alone = (splits[names == tissue] == "train").sum() < 2
        found.append([])
        for row in rows:
            in_train = splits[row] == "train"
            if (in_train and alone) or (reference.depth[row] > 0).mean() < _OBSERVED:
                continue
            profiles = donors.all.replaced([own], donors.without([own], [row])) if in_train else donors.all
            device = profiles.mean.device
            methylation = torch.from_numpy(reference.fractions[[row]]).to(device)
            depth = torch.from_numpy(reference.depth[[row]].astype(np.float32)).to(device)
            proportions = regress(profiles.exact(), methylation, depth, _MARKERS, False).solve()
            found[-1].append(min(1 - float(proportions[0, own]), _MOST))
    return found
