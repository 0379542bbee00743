"""The controls: classical deconvolution, constant estimates and a bound, each one function.

A control is registered under the names of its arms; `methmix.arms.ARMS` states how each arm uses it, for example
whether its proportions are cut.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from methmix.arms import MAIN
from methmix.config.arm import ReferenceBackboneSettings
from methmix.config.experiment import Experiment
from methmix.config.load import configured_arm
from methmix.config.phases import Phase
from methmix.evaluation.likelihood import maximum_likelihood
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.least_squares import Profiles, deconvolve
from methmix.models.prediction import Array, Prediction
from methmix.nnls import normalise, solve_normal_equations, weighted_nnls
from methmix.reference.profiles import training_profiles
from methmix.rows import blocks
from methmix.training.least_squares_choice import with_least_squares

_BLOCK = 100


@dataclass(frozen=True)
class Context:
    """What a control may use beside the mixtures: of the reference the training donors, unless it is a bound."""

    reference: Reference
    experiment: Experiment
    phase: Phase

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
        """Profiles of the main arm, with their errors; of purified training donors, if so configured."""
        return training_profiles(self.reference, self.main_settings.purify_donors)


Control = Callable[[Context, Mixtures], Prediction]

CONTROLS: dict[str, Control] = {}


def control(*arms: str) -> Callable[[Control], Control]:
    """Register a control under the names of its arms."""

    def register(function: Control) -> Control:
        CONTROLS.update(dict.fromkeys(arms, function))
        return function

    return register


@control("nnls", "nnls_cut")
def nnls(context: Context, mixtures: Mixtures) -> Prediction:
    """Deconvolve by depth-weighted non-negative least squares on the raw profiles of the training donors."""
    return Prediction(normalise(weighted_nnls(context.profiles, mixtures.methylation, mixtures.depth)))


@control("em")
def em(context: Context, mixtures: Mixtures) -> Prediction:
    """Deconvolve by maximum likelihood of the reads, given the raw profiles of the training donors."""
    return Prediction(normalise(maximum_likelihood(context.profiles, mixtures)))


@control("least_squares")
def least_squares(context: Context, mixtures: Mixtures) -> Prediction:
    """Deconvolve by the least squares that the main arm is built on, without its network."""
    settings = context.main_settings.least_squares
    profiles = context.main_profiles if settings.errors_in_variables else context.main_profiles.exact()
    solved = []
    for rows in blocks(len(mixtures), _BLOCK):
        methylation = torch.from_numpy(mixtures.methylation[rows])
        depth = torch.from_numpy(mixtures.depth[rows].astype(np.float32))
        solution = deconvolve(profiles, methylation, depth, settings.markers_per_tissue, settings.sum_to_one)
        solved.append(solution.proportions.numpy())
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


@control("oracle")
def oracle(context: Context, mixtures: Mixtures) -> Prediction:
    """Deconvolve by NNLS with the profiles of the very donors that are in each mixture.

    No method for new donors can know these: this is the bound that read noise alone leaves. An absent tissue has the
    mean profile of the donors of the mixtures' split.
    """
    reference = context.reference
    means = reference.complete_profiles(mixtures.attributes["split"])
    row_of = {name: row for row, name in enumerate(reference.donors)}
    fractions, tissues = reference.fractions, reference.tissue_names
    solved = np.zeros(mixtures.proportions.shape)
    for number, info in enumerate(mixtures.info):
        profiles = means.copy()
        for tissue, donor in info["donors"].items():
            own, row = fractions[row_of[donor]], tissues.index(tissue)
            profiles[row] = np.where(np.isnan(own), means[row], own)
        weighted = profiles * mixtures.depth[number].astype(float)
        value = np.nan_to_num(mixtures.methylation[number]).astype(float)
        solved[number] = solve_normal_equations(weighted @ profiles.T, weighted @ value)
    return Prediction(normalise(solved))
