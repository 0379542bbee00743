"""The controls: classical deconvolution, constant estimates and a bound, each one function.

A control is registered under the names of its arms; `methmix.arms.ARMS` states how each arm uses it, for example
whether its proportions are cut.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from methmix import cli
from methmix.arms import MAIN
from methmix.config.arm import ReferenceBackboneSettings
from methmix.config.experiment import Experiment
from methmix.config.load import configured_arm
from methmix.config.phases import Phase
from methmix.evaluation.likelihood import maximum_likelihood
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.least_squares import regress
from methmix.models.prediction import Array, Prediction
from methmix.nnls import normalise, weighted_nnls
from methmix.reference.profiles import training_donors
from methmix.reference.shrinkage import ShrunkenProfiles
from methmix.rows import ChangedRows, blocks
from methmix.tissue_profiles import Profiles, marker_weights
from methmix.training.least_squares_choice import with_least_squares

_BLOCK = 100
# Numbers of marker regions per tissue that validation chooses from; 0: all regions.
_MARKERS = (0, 50, 100, 200)
# Depth at which a region has half of the weight that it can have: differences between donors do not shrink with depth.
_HALF_WEIGHT = 10.0


@dataclass(frozen=True)
class Context:
    """What a control may use beside the mixtures: of the reference the training donors, unless it is a bound."""

    reference: Reference
    experiment: Experiment
    phase: Phase
    markers_per_tissue: int = 0  # for the controls that use marker regions; 0: all regions

    @cached_property
    def profiles(self) -> Array:
        """Raw profiles: mean methylation of the training donors, [n_tissues, n_regions], 0-1, no NaN."""
        return self.reference.complete_profiles("train")

    @cached_property
    def main_settings(self) -> ReferenceBackboneSettings:
        """Settings of the main arm's least squares, even if the arm itself has another backbone; none is ``auto``."""
        on_reference = {"model.backbone": "reference", "model.use_two_stage": True}
        arm = configured_arm(self.experiment, self.phase, MAIN, on_reference)
        settings = with_least_squares(arm, self.experiment, self.reference)[0].model
        assert isinstance(settings, ReferenceBackboneSettings)  # for the type checker: just chosen
        return settings

    @cached_property
    def main_profiles(self) -> Profiles:
        """Profiles of the main arm: of purified training donors, and shrunken, if so configured."""
        settings = self.main_settings
        donors = training_donors(self.reference, settings.purify_donors)
        return ShrunkenProfiles(donors).all if settings.least_squares.errors_in_variables else donors.all.exact()

    @property
    def numbers_of_markers(self) -> tuple[int, ...]:
        """Numbers of marker regions per tissue to choose from: that of the main arm, if it uses some."""
        own = self.main_settings.least_squares.markers_per_tissue
        return (own,) if own else _MARKERS

    def with_markers(self, per_tissue: int) -> "Context":
        """Use so many marker regions of each tissue."""
        other = replace(self, markers_per_tissue=per_tissue)
        # Computed once for all numbers.
        vars(other).update(profiles=self.profiles, main_profiles=self.main_profiles)
        return other

    def at_markers(self, mixtures: Mixtures) -> tuple[Array, Mixtures]:
        """Select the marker regions, by training donors alone, of the raw profiles and of mixtures."""
        if not self.markers_per_tissue:
            return self.profiles, mixtures
        used = (marker_weights(self.main_profiles, self.markers_per_tissue) > 0).numpy()
        methylation, depth = (
            ChangedRows(part, lambda rows: rows[..., used]) for part in (mixtures.methylation, mixtures.depth)
        )
        return self.profiles[:, used], replace(mixtures, methylation=methylation, depth=depth)


Control = Callable[[Context, Mixtures], Prediction]
Composition = Callable[[Context, Mixtures], Array]

CONTROLS: dict[str, Control] = {}
# Of the arms whose proportions are of donors: what these consist of, [n_mixtures, n_tissues, n_tissues].
COMPOSITIONS: dict[str, Composition] = {}


def control(*arms: str, composition: Composition | None = None) -> Callable[[Control], Control]:
    """Register a control under the names of its arms, and the composition of what it estimates, if not of tissues."""

    def register(function: Control) -> Control:
        CONTROLS.update(dict.fromkeys(arms, function))
        if composition:
            COMPOSITIONS.update(dict.fromkeys(arms, composition))
        return function

    return register


@control("nnls", "nnls_cut")
def nnls(context: Context, mixtures: Mixtures) -> Prediction:
    """Deconvolve by depth-weighted non-negative least squares on the raw profiles of the training donors."""
    return Prediction(normalise(weighted_nnls(context.profiles, mixtures.methylation, mixtures.depth)))


@control("nnls_markers")
def nnls_markers(context: Context, mixtures: Mixtures) -> Prediction:
    """Deconvolve by NNLS on marker regions, a value of depth d weighted by d / (d + 10)."""
    profiles, at_markers = context.at_markers(mixtures)
    weights = ChangedRows(at_markers.depth, lambda depth: depth / (depth + _HALF_WEIGHT))
    return Prediction(normalise(weighted_nnls(profiles, at_markers.methylation, weights)))


@control("qp_replicates")
def qp_replicates(context: Context, mixtures: Mixtures) -> Prediction:
    """Deconvolve by depth-weighted NNLS with every training donor as an atom, and add up the donors of each tissue.

    A region in which a donor was not observed has the mean of its tissue there.
    """
    groups = context.reference.pool("train").values()
    atoms = [np.where(np.isnan(own := context.reference.fractions[rows]), mean, own) for rows, mean in
             zip(groups, context.profiles, strict=True)]  # fmt: skip
    found = weighted_nnls(np.concatenate(atoms), mixtures.methylation, mixtures.depth)
    firsts = np.cumsum([0, *map(len, atoms)])[:-1]
    return Prediction(normalise(np.add.reduceat(found, firsts, axis=1)))


@control("em")
def em(context: Context, mixtures: Mixtures) -> Prediction:
    """Deconvolve by maximum likelihood of the reads, given the raw profiles of the training donors."""
    return Prediction(normalise(maximum_likelihood(context.profiles, mixtures)))


@control("em_markers")
def em_markers(context: Context, mixtures: Mixtures) -> Prediction:
    """Deconvolve by maximum likelihood of the reads in marker regions."""
    return Prediction(normalise(maximum_likelihood(*context.at_markers(mixtures))))


@control("least_squares")
def least_squares(context: Context, mixtures: Mixtures) -> Prediction:
    """Deconvolve by the least squares that the main arm is built on, without its network."""
    settings = context.main_settings.least_squares
    profiles = context.main_profiles
    solved = []
    parts = blocks(len(mixtures), _BLOCK)
    for rows in cli.progress(parts, "least squares, blocks of mixtures", len(parts)):
        methylation = torch.from_numpy(mixtures.methylation[rows])
        depth = torch.from_numpy(mixtures.depth[rows].astype(np.float32))
        solved.append(regress(profiles, methylation, depth, *settings.options).solve().numpy())
    return Prediction(np.concatenate(solved))


@control("uniform")
def uniform(context: Context, mixtures: Mixtures) -> Prediction:
    """Give every tissue the same proportion."""
    return Prediction(np.full(mixtures.proportions.shape, 1 / len(mixtures.tissue_names)))


@control("all_absent")
def all_absent(context: Context, mixtures: Mixtures) -> Prediction:
    """Call every tissue absent: the accuracy that most tissues being absent already gives; rows sum to 0."""
    nothing = np.zeros(mixtures.proportions.shape)
    return Prediction(nothing, nothing)


def donor_composition(context: Context, mixtures: Mixtures) -> Array:
    """Give what the donor that stands for each tissue in each mixture consists of, [n_mixtures, n_tissues, n_tissues].

    The donors of an absent tissue count as their mean.
    """
    reference = context.reference
    pool = reference.pool(mixtures.attributes["split"]).values()
    mean = np.stack([reference.composition[rows].mean(axis=0) for rows in pool]).astype(np.float64)
    found = np.repeat(mean[None], len(mixtures), axis=0)
    for of_mixture, contained in zip(found, _donors(reference, mixtures), strict=True):
        for column, row in contained:
            of_mixture[column] = reference.composition[row]
    return found


@control("oracle", composition=donor_composition)
def oracle(context: Context, mixtures: Mixtures) -> Prediction:
    """Deconvolve by maximum likelihood with the profiles of the very donors that are in each mixture.

    No method for new donors can know these: this is the bound that read noise alone leaves. An absent tissue has the
    mean profile of the donors of the mixtures' split. The proportions are those of the donors.
    """
    reference, donors = context.reference, _donors(context.reference, mixtures)
    means, fractions = reference.complete_profiles(mixtures.attributes["split"]), reference.fractions

    def profiles(rows: slice) -> Array:
        own = np.repeat(means[None], rows.stop - rows.start, axis=0)
        for of_mixture, contained in zip(own, donors[rows], strict=True):
            for column, row in contained:
                known = fractions[row]
                np.copyto(of_mixture[column], known, where=~np.isnan(known))
        return own

    return Prediction(normalise(maximum_likelihood(profiles, mixtures)))


def _donors(reference: Reference, mixtures: Mixtures) -> list[list[tuple[int, int]]]:
    """List for each mixture the columns of the tissues that it was mixed of, and the rows of their donors."""
    rows = {name: row for row, name in enumerate(reference.donors)}
    columns = {name: column for column, name in enumerate(reference.tissue_names)}
    return [[(columns[tissue], rows[name]) for tissue, name in info["donors"].items()] for info in mixtures.info]
