"""Backgrounds of unseen donors, and mixtures with an exact true proportion of a tissue spiked into them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from methmix import seeds
from methmix.errors import InputError
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.mixtures.sampler import DonorMixer, MixedDonors
from methmix.models.prediction import Array
from methmix.reference.unseen_donors import Purpose, UnseenDonors

# Tissues of a balanced mixture, and the concentration of their proportions (symmetric Dirichlet), as in phase 2.
_N_BALANCED, _CONCENTRATION = 3, 2.0
_Numbers = npt.NDArray[np.integer]


class Donors(NamedTuple):
    """Methylation, float32 [n, n_regions], NaN where unknown, and composition, float64 [n, n_tissues], of donors."""

    methylation: npt.NDArray[np.float32]
    composition: Array

    def at(self, rows: Any) -> "Donors":
        """Select donors by any NumPy index of rows."""
        return Donors(self.methylation[rows], self.composition[rows])

    def with_others(self, others: "Donors") -> "Donors":
        """Join donors, the others behind these."""
        methylation = np.concatenate([self.methylation, others.methylation])
        return Donors(methylation, np.concatenate([self.composition, others.composition]))


@dataclass(frozen=True)
class Backgrounds:
    """What tissues are spiked into: ``weights``, [n, n_donors], are the proportions of the donors in each."""

    donors: Donors
    weights: Array

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def composition(self) -> Array:
        """True proportions of each, with the admixture of its donors, [n, n_tissues]."""
        composition: Array = self.weights @ self.donors.composition
        return composition


def take_donors(source: UnseenDonors, tissues: list[int], purpose: Purpose, numbers: list[int]) -> Donors:
    """Take donors from their source, of a tissue and number each."""
    taken = [source.donor(tissue, purpose, number) for tissue, number in zip(tissues, numbers, strict=True)]
    methylation, composition = zip(*taken, strict=True)
    return Donors(np.stack(methylation).astype(np.float32), np.stack(composition))


def same_background(
    source: UnseenDonors, names: list[str], proportions: Mapping[str, float], purpose: Purpose, n: int
) -> Backgrounds:
    """Make backgrounds of the same proportions, each of donors of its own; fewer than ``n`` if there are no more."""
    tissues = [names.index(name) for name in proportions]
    available = [source.available(tissue, purpose) for tissue in tissues]
    n = min(n, max(n if number is None else number for number in available))
    numbers = np.repeat(np.arange(n), len(tissues)).tolist()
    return Backgrounds(
        take_donors(source, tissues * n, purpose, numbers), np.kron(np.eye(n), np.array(list(proportions.values())))
    )


def balanced_backgrounds(source: UnseenDonors, n_tissues: int, n: int, seed: int) -> Backgrounds:
    """Make backgrounds of three tissues (of all, if there are fewer) in random proportions."""
    rng = seeds.generator(seed, "detection", "balanced")
    k = min(_N_BALANCED, n_tissues)
    tissues = [int(tissue) for _ in range(n) for tissue in rng.choice(n_tissues, k, replace=False)]
    weights = np.zeros((n, n, k))
    weights[np.arange(n), np.arange(n)] = rng.dirichlet(np.full(k, _CONCENTRATION), n)
    numbers = np.repeat(np.arange(n), k).tolist()
    return Backgrounds(take_donors(source, tissues, "balanced", numbers), weights.reshape(n, n * k))


def spike_weight(target: Array, of_spiked: Array, of_background: Array) -> Array:
    """Compute the weight of a spiked donor with which a mixture has exactly a target proportion of a tissue.

    Both donor and background hold some of it. NaN where the background has as much already, or the donor too little.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        weight: Array = (target - of_background) / (of_spiked - of_background)
    attainable = (target > of_background) & (weight > 0) & (weight <= 1)
    return np.where(attainable, weight, np.nan)


class Spiker:
    """Draws the mixtures of backgrounds and spikes, with reads as those of a reference."""

    def __init__(self, reference: Reference) -> None:
        self.tissue_names = reference.tissue_names
        self._mixer = DonorMixer(reference, "test")

    def mix(
        self,
        backgrounds: Backgrounds,
        chosen: _Numbers,
        depth: float,
        rng: np.random.Generator,
        spiked: Donors | None = None,
        weight: Array | None = None,
    ) -> Mixtures:
        """Draw a mixture of each of the ``chosen`` backgrounds, [n]; with one spiked donor each, in its weight, [n]."""
        weights, donors = backgrounds.weights[chosen], backgrounds.donors
        # A block of mixtures has few of the backgrounds.
        used = weights.any(axis=0)
        weights, donors = weights[:, used], donors.at(used)
        if spiked is not None and weight is not None:
            weights = np.hstack([weights * (1 - weight[:, None]), np.diag(weight)])
            donors = donors.with_others(spiked)
        mixed = MixedDonors(
            torch.from_numpy(donors.methylation), weights.astype(np.float32), donors.composition.astype(np.float32)
        )
        true = (weights @ donors.composition).astype(np.float32)
        batch = self._mixer.mix(true, np.array([depth]), rng, lambda *_: mixed)
        reads = batch.methylation.numpy(), batch.depth.numpy()
        return Mixtures(*reads, batch.proportions, batch.proportions, [], self.tissue_names, {})


def spiked_tissues(background: Mapping[str, float], tissue_names: list[str]) -> list[str]:
    """List the tissues that are not in the background; `InputError` if it has an unknown tissue, or all of them."""
    for name in background:
        if name not in tissue_names:
            raise InputError(
                f"detection.background: {name!r} is not a tissue of the reference; it has {', '.join(tissue_names)}",
                "set detection.background to tissues of the reference",
            )
    spiked = [name for name in tissue_names if name not in background]
    if not spiked:
        raise InputError(
            "detection.background: has every tissue of the reference, none is left to spike",
            "leave out of detection.background the tissues that are to be detected",
        )
    return spiked
