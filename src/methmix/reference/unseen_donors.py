"""Donors that nothing was trained, chosen or calibrated on, to measure on what a method promises for new patients.

Around the true means of a simulated reference, or those of an atlas, they are drawn by the model that the donors of
the reference were drawn by. Of a real reference, the means themselves are estimates: they are drawn once around the
profiles of all donors, with their sampling error, and the donors around them with the variance between real ones; the
real test donors are a second source. The composition of a donor that is drawn around true means is known; around those
of a real reference what looks like other tissues counts as the donor's label, as it does in a real one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from methmix import provenance, seeds
from methmix.config.sources import SimulatedReference, UxmAtlasReference
from methmix.errors import InputError
from methmix.files.reference import Reference, Split
from methmix.formats.region_tables import read_atlas
from methmix.reference.admixture import Admixture, admixture_of
from methmix.reference.inputs import data_file
from methmix.reference.profiles import all_donors, training_donors
from methmix.reference.simulator import simulate_means, simulated_regions
from methmix.reference.variation import DRAWN_FREEDOM, DRAWN_RANGE, DRAWN_SIZE, Array, Donor, DonorVariation

# What a donor is for: donors of two purposes are never the same.
Purpose = Literal["background", "other background", "balanced", "spiked"]


class UnseenDonors(Protocol):
    """A source of donors of each tissue."""

    def available(self, tissue: int, purpose: Purpose) -> int | None:
        """Count the donors of a tissue (its column); None: as many as wanted."""

    def donor(self, tissue: int, purpose: Purpose, number: int) -> Donor:
        """Give one donor; the same number is the same donor, whichever others are asked for."""


@dataclass(frozen=True)
class SimulatedDonors:
    """Donors drawn around known means, float64 [n_tissues, n_regions], NaN where unknown."""

    means: Array
    variation: DonorVariation
    tissue_names: list[str]
    seed: int

    def available(self, tissue: int, purpose: Purpose) -> None:
        """As many as wanted."""

    def donor(self, tissue: int, purpose: Purpose, number: int) -> Donor:
        """Draw one donor, from a random stream of its own."""
        others = [other for other in range(len(self.means)) if other != tissue]
        rng = _stream(self.seed, self.tissue_names[tissue], purpose, number)
        return self.variation.draw(self.means, tissue, others, rng)


@dataclass(frozen=True)
class ProfileDonors:
    """Donors drawn around estimated means with a variance, [n_tissues, n_regions] each, and an admixture."""

    means: Array
    variance: Array
    admixture: Admixture
    tissue_names: list[str]
    seed: int

    @classmethod
    def of(cls, reference: Reference, seed: int) -> "ProfileDonors":
        """Estimate means and variance from all donors of a reference."""
        sums = all_donors(reference)
        mean, spread, noise = (values.double().numpy() for values in (sums.all.mean, sums.all.spread, sums.all.noise))
        names = reference.tissue_names
        means = [
            _deviate(estimate, variance, _stream(seed, name, "mean", 0))
            for name, estimate, variance in zip(names, mean, noise, strict=True)
        ]
        admixture, _ = admixture_of(reference, training_donors(reference, purify=True))
        return cls(np.stack(means), spread, admixture, names, seed)

    def available(self, tissue: int, purpose: Purpose) -> None:
        """As many as wanted."""

    def donor(self, tissue: int, purpose: Purpose, number: int) -> Donor:
        """Draw one donor, from a random stream of its own."""
        rng = _stream(self.seed, self.tissue_names[tissue], purpose, number)
        size = np.exp(DRAWN_SIZE * rng.standard_normal() - DRAWN_SIZE**2 / 2)
        own = _deviate(self.means[tissue], size**2 * self.variance[tissue], rng)
        foreign = self.admixture.draw(np.array([tissue]), rng)
        composition = self.admixture.composition(np.array([tissue]), foreign)[0].astype(float)
        return Donor((1 - foreign.sum()) * own + foreign[0] @ self.means, composition)


@dataclass(frozen=True)
class RealDonors:
    """The test donors of a reference and, as other backgrounds, its validation donors."""

    reference: Reference

    def available(self, tissue: int, purpose: Purpose) -> int:
        """Count the donors of the split."""
        return len(self._rows(tissue, purpose))

    def donor(self, tissue: int, purpose: Purpose, number: int) -> Donor:
        """Give a donor of the split, from the first one again after the last."""
        rows = self._rows(tissue, purpose)
        row = rows[number % len(rows)]
        return Donor(self.reference.fractions[row].astype(float), self.reference.composition[row].astype(float))

    def _rows(self, tissue: int, purpose: Purpose) -> list[int]:
        split: Split = "validation" if purpose == "other background" else "test"
        return self.reference.pool(split)[self.reference.tissue_names[tissue]]


def unseen_donors(reference: Reference, seed: int) -> Mapping[str, UnseenDonors]:
    """Make the sources of donors: ``drawn`` and, of a real reference, ``test``."""
    match reference.attributes.get("source"):
        case "simulated":
            return {"drawn": _simulated(reference, seed)}
        case "uxm_atlas":
            return {"drawn": _around_atlas(reference, seed)}
    return {"drawn": ProfileDonors.of(reference, seed), "test": RealDonors(reference)}


def _simulated(reference: Reference, seed: int) -> SimulatedDonors:
    """Draw the true means of the tissues once more, the first thing that the reference was drawn from."""
    settings = SimulatedReference.model_validate_json(reference.attributes["settings"])
    stream = seeds.generator(int(reference.attributes["seed"]), "reference", "donors")
    means = simulate_means(settings.tissues, settings.n_regions, stream)
    regions = simulated_regions(settings.n_regions)
    kept = _places(reference, [f"{r.chrom}:{r.start}-{r.end}" for r in regions.itertuples(index=False)])
    variation = DonorVariation.shipped(settings.donor_variation)
    return SimulatedDonors(means[:, kept], variation, reference.tissue_names, seed)


def _around_atlas(reference: Reference, seed: int) -> SimulatedDonors:
    """Read the means of the atlas again; `InputError` if the file is another one than the reference was made of."""
    settings = UxmAtlasReference.model_validate_json(reference.attributes["settings"])
    table = data_file(settings.file)
    if provenance.sha256(table) not in json.loads(reference.attributes["sha256"]).values():
        raise InputError(f"{table}: is not the atlas that the reference was made of", "make the reference again")
    atlas = read_atlas(table)
    methylation, known = atlas.all()
    kept = _places(reference, [f"{r.chrom}:{r.start}-{r.end}" for r in atlas.regions.itertuples(index=False)])
    rows = [atlas.names.index(name) for name in reference.tissue_names]
    means = np.where(known, methylation, np.nan)[rows][:, kept].astype(float)
    return SimulatedDonors(means, DonorVariation.shipped(settings.donor_variation), reference.tissue_names, seed)


def _places(reference: Reference, regions: list[str]) -> list[int]:
    """Find the regions of a reference, which may have kept markers only, among those of its source."""
    place = {name: number for number, name in enumerate(regions)}
    return [place[name] for name in reference.region_names]


def _stream(seed: int, tissue: str, purpose: str, number: int) -> np.random.Generator:
    return seeds.generator(seed, "unseen donors", tissue, purpose, number)


def _deviate(mean: Array, variance: npt.NDArray[np.floating], rng: np.random.Generator) -> Array:
    """Deviate from a mean on the logit scale, with heavier tails than normal ones."""
    m = np.clip(mean, *DRAWN_RANGE)
    t = rng.standard_t(DRAWN_FREEDOM, len(m)) / np.sqrt(DRAWN_FREEDOM / (DRAWN_FREEDOM - 2))
    deviated: Array = expit(logit(m) + np.sqrt(variance) / (m * (1 - m)) * t)
    return deviated
