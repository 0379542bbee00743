"""The mixtures of a situation: donors of the test split, and whatever is done to their methylation before the reads."""

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit, logit
from torch import Tensor

from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.mixtures.reads import mix
from methmix.mixtures.recipes import draw_proportions
from methmix.mixtures.sampler import DonorMixer, MixedDonors
from methmix.reference.variation import EDGE
from methmix.robustness.situations import Situation

Array = npt.NDArray[np.float32]
# Proportion of the regions in which a foreign profile is the mean profile's opposite.
_FLIPPED = 0.15


class SituationMixer:
    """Makes the mixtures of situations from the test donors of a reference.

    What a mixture's DNA consists of is the truth: the composition of its donors, less a foreign component, which
    belongs to no tissue. So the proportions of a mixture with foreign DNA sum to less than 1, of one of nothing to 0.
    """

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._mixer = DonorMixer(reference, "test")
        self._pool = [np.array(rows) for rows in reference.pool("test").values()]
        self._donors = np.unique(np.concatenate(self._pool))
        self._fractions = torch.from_numpy(reference.fractions[self._donors])
        self._mean = reference.complete_profiles("test").mean(axis=0)

    def draw(self, situation: Situation, n: int, rng: np.random.Generator, laboratory: np.random.Generator) -> Mixtures:
        """Draw mixtures; ``laboratory`` draws what all mixtures of the situation have in common."""
        names, shape = self._reference.tissue_names, (n, self._fractions.shape[1])
        patterns = laboratory.standard_normal((situation.rank, shape[1]))
        if situation.recipe is None:
            proportions = np.zeros((n, len(names)), dtype=np.float32)
        else:
            proportions = draw_proportions(situation.recipe, names, n, rng).astype(np.float32)

        def source(labels: Array, rng: np.random.Generator, rows: slice) -> MixedDonors:
            """Make one donor for each mixture: it is what the mixture is before the reads."""
            if situation.recipe is None:
                constant = situation.methylation
                whole = rng.random(shape) if constant is None else np.full(shape, constant)
                methylation, composition = whole, labels
            else:
                mixed, composition = self._mixed(labels, rng)
                methylation = self._shifted(situation, self._with_foreign(situation, mixed, rng), patterns, rng)
                composition = (1 - situation.foreign) * composition
            one_each = np.eye(n, dtype=np.float32)
            return MixedDonors(torch.from_numpy(methylation.astype(np.float32)), one_each, composition)

        batch = self._mixer.mix(proportions, np.array([situation.depth]), rng, source)
        lost = torch.from_numpy(rng.random(shape) >= situation.observed)
        methylation: Tensor = batch.methylation.masked_fill(lost, torch.nan)
        depth: Tensor = batch.depth.masked_fill(lost, 0)
        truth = batch.proportions, batch.label_proportions
        return Mixtures(methylation.numpy(), depth.numpy(), *truth, [], names, {"split": "test"})

    def _mixed(self, labels: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Mix test donors, one of each tissue; methylation [n, n_regions] and composition [n, n_tissues]."""
        n = len(labels)
        donors = np.stack([own[rng.integers(len(own), size=n)] for own in self._pool], axis=1)
        weights = np.zeros((n, len(self._donors)), dtype=np.float32)
        np.put_along_axis(weights, np.searchsorted(self._donors, donors), labels, axis=1)
        mixed: Array = mix(torch.from_numpy(weights), self._fractions).numpy()
        composition: Array = weights @ self._reference.composition[self._donors]
        return mixed, composition

    def _with_foreign(
        self, situation: Situation, methylation: npt.NDArray[np.floating], rng: np.random.Generator
    ) -> npt.NDArray[np.floating]:
        if not situation.foreign:
            return methylation
        flipped = rng.random(methylation.shape) < _FLIPPED
        foreign = np.where(flipped, 1 - self._mean, self._mean)
        mixed: npt.NDArray[np.float64] = (1 - situation.foreign) * methylation + situation.foreign * foreign
        return mixed

    def _shifted(
        self,
        situation: Situation,
        methylation: npt.NDArray[np.floating],
        patterns: npt.NDArray[np.float64],
        rng: np.random.Generator,
    ) -> npt.NDArray[np.floating]:
        if not situation.shift:
            return methylation
        shift: npt.NDArray[np.float64] | float = situation.shift
        if situation.rank:
            amounts = rng.standard_normal((len(methylation), situation.rank)) / np.sqrt(situation.rank)
            shift = situation.shift * amounts @ patterns
        shifted: npt.NDArray[np.float64] = expit(logit(np.clip(methylation, EDGE, 1 - EDGE)) + shift)
        return shifted
