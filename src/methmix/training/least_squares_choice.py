"""Choice of the least squares that the backbone ``reference`` is built on, by nested validation on the training donors.

Which regions to use, whether to account for the sampling error of the profiles and whether to constrain the sum depends
on how donors differ, which is not known beforehand. So every combination deconvolves mixtures of training donors that
were left out of the profiles, one donor of each tissue that has several at a time. The best has the lowest mean
absolute error at its own best cut: a cut must not be mistaken for a better combination.

Tissues of a single donor are in none of these mixtures. Donors drawn for them would differ as the model of their
variation says, in which accounting for the profiles' errors is always right, so they would be no evidence; with most
tissues drawn, the combination chosen for the real tumours and blood cells of Passemiers et al. 2024 was wrong.

Since the choice must hold for all tissues, the unit of replication is a tissue. Unless the preferred combination is
worse than the best by more than one standard error (of Student's t, as there may be few tissues), it is chosen:
markers, exact profiles and a free sum where the median tissue has at most two donors, else the default. It is chosen
too where less than half of the tissues can be left out: those do not stand for the others.
"""

import csv
import io
import itertools
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import t as student
from torch import Tensor

from methmix import cli, seeds
from methmix.config.arm import ArmSettings, LeastSquares, ReferenceBackboneSettings
from methmix.config.experiment import Experiment
from methmix.config.phases import Phase
from methmix.cuts import Array, choose_cut, cut
from methmix.files.reference import Reference
from methmix.least_squares import regress
from methmix.mixtures.recipes import draw_proportions
from methmix.mixtures.sampler import MixedDonors, MixtureBatch, MixtureSampler
from methmix.nnls import normalise
from methmix.reference.profiles import DonorSums, training_donors
from methmix.reference.shrinkage import ShrunkenProfiles
from methmix.rows import blocks
from methmix.tissue_profiles import Profiles

logger = logging.getLogger("methmix")

_MARKERS = (0, 50, 100, 200)
_CUTS = (0.0, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1)
_MIXTURES, _MOST_EPISODES = 240, 8
# Proportions drawn for every mixture: with few left-out donors, many have none of their tissues.
_DRAWN = 8
# Median number of training donors of a tissue up to which the safe combination is preferred.
_FEW_DONORS = 2
_SAFE = LeastSquares(100, errors_in_variables=False, sum_to_one=False)
# Probability below one standard deviation above the mean of a normal distribution.
_ONE_SIGMA = 0.8413
_BLOCK = 60


class Candidate(NamedTuple):
    """One combination: its mean absolute error at its best cut, mean over the tissues left out, and that cut.

    ``behind`` is by how much the error is above the lowest one, with its standard error over tissues.
    """

    settings: LeastSquares
    mae: float
    cut: float
    behind: float
    standard_error: float

    @property
    def row(self) -> dict[str, Any]:
        """The values of this candidate by name."""
        return {**self.settings._asdict(), **dict(zip(self._fields[1:], self[1:], strict=True))}


@dataclass(frozen=True)
class Choice:
    """The chosen combination, why, the number of tissues with left-out donors, and the candidates, best first."""

    settings: LeastSquares
    reason: str
    n_tissues: int
    candidates: list[Candidate]

    @property
    def record(self) -> dict[str, Any]:
        """What the record of a training has of the choice."""
        rows = [candidate.row for candidate in self.candidates]
        chosen = {**self.settings._asdict(), "reason": self.reason, "n_tissues": self.n_tissues}
        return {**chosen, "candidates": rows}

    @property
    def table(self) -> str:
        """The candidates as CSV, the chosen one marked."""
        rows = [{**c.row, "chosen": c.settings == self.settings} for c in self.candidates]
        text = io.StringIO()
        writer = csv.DictWriter(text, [*LeastSquares._fields, *Candidate._fields[1:], "chosen"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def log(self) -> None:
        """Report the choice and its candidates."""
        logger.info("least squares: %s: %s", _words(self.settings), self.reason)
        line = "  %s: MAE %.5f at cut %g, %.5f (standard error %.5f) above the lowest"
        for candidate in self.candidates:
            logger.info(line, _words(candidate.settings), *candidate[1:])


def choose(
    settings: ReferenceBackboneSettings,
    experiment: Experiment,
    phase: Phase,
    reference: Reference,
    donors: DonorSums | None = None,
) -> Choice:
    """Choose what is ``auto``; deterministic, given the experiment's seed, its mixtures and the reference.

    ``donors`` are those of training, on the CPU; by default they are summed up here.
    """
    own = settings.stated
    everything = itertools.starmap(LeastSquares, itertools.product(_MARKERS, (False, True), (False, True)))
    combinations = list(dict.fromkeys(combination._replace(**own) for combination in everything))
    groups = list(reference.pool("train").values())
    few = float(np.median([len(rows) for rows in groups])) <= _FEW_DONORS
    preferred = (_SAFE if few else LeastSquares())._replace(**own)
    if max(map(len, groups)) < 2:
        return Choice(preferred, "no tissue has two training donors to compare on", 0, [])
    donors = donors or training_donors(reference, settings.purify_donors)
    rng = seeds.generator(experiment.seed, "recipe", phase)
    recipe, depths = experiment.mixtures.recipes[phase], experiment.mixtures.mean_depths
    sampler = MixtureSampler(reference, "train", recipe, depths)
    with _without_warnings():
        compared = _compared(combinations, sampler, reference, donors, rng)
    choice = _chosen(compared, preferred)
    if 2 * choice.n_tissues >= len(groups):
        return choice
    reason = f"only {choice.n_tissues} of {len(groups)} tissues have two training donors to compare on"
    return replace(choice, settings=preferred, reason=reason)


def with_least_squares(
    arm: ArmSettings, experiment: Experiment, reference: Reference, donors: DonorSums | None = None
) -> tuple[ArmSettings, Choice | None]:
    """State in the configuration of an arm what was ``auto``, and give the choice, None if nothing was."""
    if not isinstance(arm.model, ReferenceBackboneSettings) or len(arm.model.stated) == len(LeastSquares._fields):
        return arm, None
    choice = choose(arm.model, experiment, arm.phase, reference, donors)
    model = arm.model.model_copy(update=choice.settings._asdict())
    return arm.model_copy(update={"model": model}), choice


class _Errors(NamedTuple):
    """Mean absolute errors of a candidate, at its best cut, of the mixtures with each tissue, [n]; and that cut."""

    by_tissue: Array
    cut: float


def _compared(
    combinations: list[LeastSquares],
    sampler: MixtureSampler,
    reference: Reference,
    donors: DonorSums,
    rng: np.random.Generator,
) -> dict[LeastSquares, _Errors]:
    """Deconvolve mixtures of left-out donors by every combination."""
    order = {t: rng.permutation(rows) for t, rows in enumerate(reference.pool("train").values()) if len(rows) > 1}
    n_episodes = min(max(map(len, order.values())), _MOST_EPISODES)
    true, found = [], defaultdict(list)
    # Mixtures in which each tissue is.
    containing: dict[int, list[int]] = defaultdict(list)
    sources: dict[bool, DonorSums | ShrunkenProfiles] = {True: ShrunkenProfiles(donors), False: donors}
    n = 0
    for number in cli.progress(range(n_episodes), "choice of the least squares, draws of left-out donors", n_episodes):
        left_out = {tissue: int(rows[number % len(rows)]) for tissue, rows in order.items()}
        batch = _mixtures(left_out, -(-_MIXTURES // n_episodes), sampler, reference, rng)
        tissues, rows = list(left_out), list(left_out.values())
        profiles = {shrunken: of.all.replaced(tissues, of.without(tissues, rows)) for shrunken, of in sources.items()}
        for tissue in left_out:
            containing[tissue].extend(n + np.flatnonzero(batch.label_proportions[:, tissue]))
        n += len(batch.proportions)
        true.append(batch.proportions)
        for settings in combinations:
            own = profiles[settings.errors_in_variables]
            found[settings].append(solved(settings, own, batch.methylation, batch.depth))
    truth = np.concatenate(true).astype(np.float64)
    groups = [rows for rows in containing.values() if rows]
    return {settings: _errors(np.concatenate(parts), truth, groups) for settings, parts in found.items()}


def _mixtures(
    left_out: dict[int, int], n: int, sampler: MixtureSampler, reference: Reference, rng: np.random.Generator
) -> MixtureBatch:
    """Mix the donors (rows) of their tissues as the sampler's recipe says, but without the other tissues."""
    drawn = draw_proportions(sampler.recipe, sampler.tissue_names, _DRAWN * n, rng)
    others = np.ones(drawn.shape[1], dtype=bool)
    others[list(left_out)] = False
    drawn[:, others] = 0
    kept = drawn[drawn.sum(axis=1) > 0][:n]
    rows = list(left_out.values())

    def source(proportions: npt.NDArray[np.float32], _: np.random.Generator, some: slice) -> MixedDonors:
        weights = proportions[some][:, list(left_out)]
        return MixedDonors(torch.from_numpy(reference.fractions[rows]), weights, reference.composition[rows])

    return sampler.mix(normalise(kept).astype(np.float32), sampler.mean_depths, rng, source)


def solved(settings: LeastSquares, profiles: Profiles, methylation: Tensor, depth: Tensor) -> Array:
    """Deconvolve mixtures, [n, n_regions], as the settings say; returns proportions, float64 [n, n_tissues]."""
    used = profiles if settings.errors_in_variables else profiles.exact()
    parts = (
        regress(used, methylation[rows], depth[rows], *settings.options).solve()
        for rows in blocks(len(methylation), _BLOCK)
    )
    proportions: Array = torch.cat(list(parts)).numpy()
    return proportions


def _errors(proportions: Array, true: Array, groups: list[list[int]]) -> _Errors:
    best = choose_cut(proportions, true, _CUTS)
    errors = np.abs(cut(proportions, best) - true).mean(axis=1)
    return _Errors(np.array([errors[rows].mean() for rows in groups]), best)


def _chosen(compared: dict[LeastSquares, _Errors], preferred: LeastSquares) -> Choice:
    """Apply the rule of one standard error; among equals, what has most in common with the preferred is next."""
    lowest = min(compared.values(), key=lambda errors: float(errors.by_tissue.mean()))
    n = len(lowest.by_tissue)
    candidates = []
    for settings, errors in compared.items():
        difference = errors.by_tissue - lowest.by_tissue
        error = float(student.ppf(_ONE_SIGMA, n - 1) * difference.std(ddof=1) / np.sqrt(n)) if n > 1 else float("inf")
        candidates.append(
            Candidate(settings, float(errors.by_tissue.mean()), errors.cut, float(difference.mean()), error)
        )
    near = [candidate for candidate in candidates if candidate.behind <= candidate.standard_error]
    first = min(near, key=lambda c: (sum(a != b for a, b in zip(c.settings, preferred, strict=True)), c.mae))
    reason = "lowest error" if first.behind == 0 else "within one standard error of the lowest error"
    if first.settings != preferred:
        reason += f", which the preferred one ({_words(preferred)}) is not"
    return Choice(first.settings, reason, n, sorted(candidates, key=lambda c: c.mae))


def _words(settings: LeastSquares) -> str:
    regions = f"{settings.markers_per_tissue} markers per tissue" if settings.markers_per_tissue else "all regions"
    profiles = "errors in variables" if settings.errors_in_variables else "exact profiles"
    return f"{regions}, {profiles}, {'sum 1' if settings.sum_to_one else 'free sum'}"


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keep quiet where a combination that does not suit the reference does not converge: its error says that."""

    def wanted(record: logging.LogRecord) -> bool:
        return record.levelno != logging.WARNING

    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)
