"""Dilution series: one tissue spiked into backgrounds of unseen donors, scored by every arm."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from methmix import cli, seeds
from methmix.config.experiment import DetectionSettings
from methmix.detection.backgrounds import (
    Backgrounds,
    Donors,
    Spiker,
    same_background,
    spike_weight,
    spiked_tissues,
    take_donors,
)
from methmix.detection.scorers import Scorer
from methmix.files.atomic import atomic_path
from methmix.files.reference import Reference
from methmix.models.prediction import Array
from methmix.reference.unseen_donors import Purpose, UnseenDonors
from methmix.rows import blocks

# Mixtures are drawn and scored in blocks, and only their scores are kept: memory does not grow with their number.
_BLOCK = 50
# Fewest blanks of a background donor: its own threshold for 5 % false positives needs 19.
_REPLICATES = 20
BLANKS: tuple[Purpose, ...] = ("background", "other background")


@dataclass(frozen=True)
class DilutionScores:
    """Scores of all arms; the higher, the stronger an arm's evidence that the tissue is present.

    Mean ``depths`` and true proportions of the ``spikes`` ascend. ``spiked`` are the scores of the spiked tissue,
    [n_arms, n_tissues, n_depths, n_spikes, n_spiked], NaN where the background had as much of it without a spike;
    mixture i is of background i modulo their number. ``blanks`` are those of mixtures without a spike, [n_arms,
    n_tissues, n_depths, n_backgrounds, n_replicates], of the same backgrounds and of others; NaN where a donor of the
    background truly has some of the tissue. ``spiked_called`` and ``blanks_called``, of the same shapes, are 1 where
    the arm as it is shipped calls the tissue, else 0 or NaN.
    """

    arms: list[str]
    tissues: list[str]
    depths: Array
    spikes: Array
    spiked: Array
    spiked_called: Array
    blanks: dict[str, Array]
    blanks_called: dict[str, Array]


@dataclass(frozen=True)
class _Series:
    """Draws and scores blocks of mixtures."""

    seed: int
    spiker: Spiker
    scorers: Mapping[str, Scorer]

    def score(
        self,
        stream: tuple[str, ...],
        depth: float,
        backgrounds: Backgrounds,
        chosen: Any,
        spiked: Donors | None = None,
        weight: Array | None = None,
    ) -> Array:
        """Score mixtures, and see what is called: [2, n_arms, n, n_tissues]; every block has a stream of its own."""
        found = []
        for rows in blocks(len(chosen), _BLOCK):
            rng = seeds.generator(self.seed, "detection", *stream, f"depth {depth:g}", rows.start)
            own = () if spiked is None or weight is None else (spiked.at(rows), weight[rows])
            mixtures = self.spiker.mix(backgrounds, chosen[rows], depth, rng, *own)
            evidence = [scorer(mixtures) for scorer in self.scorers.values()]
            found.append(np.stack([[one.scores for one in evidence], [one.called for one in evidence]]))
        return np.concatenate(found, axis=2)


def score_dilutions(
    seed: int,
    settings: DetectionSettings,
    reference: Reference,
    source: UnseenDonors,
    scorers: Mapping[str, Scorer],
) -> DilutionScores:
    """Draw the dilution series of a source of donors and score them with the scorer of each arm.

    Each background is of donors of its own, and so is the spike of each mixture of a tissue, spike and depth; the same
    donors are at all spikes and depths. Another tissue, spike, depth or number of mixtures changes no other block.
    """
    names = reference.tissue_names
    tissues = spiked_tissues(settings.background, names)
    columns = [names.index(name) for name in tissues]
    series = _Series(seed, Spiker(reference), scorers)
    n, depths, spikes = settings.n_background_donors, settings.depths, settings.spikes
    backgrounds = {purpose: same_background(source, names, settings.background, purpose, n) for purpose in BLANKS}
    blanks: dict[str, Array] = {}
    for purpose, of_purpose in backgrounds.items():
        replicates = max(_REPLICATES, -(-settings.n_blank // len(of_purpose)))
        chosen = np.tile(np.arange(len(of_purpose)), replicates)
        scored = [series.score(("blank", purpose), depth, of_purpose, chosen)[..., columns] for depth in depths]
        # From replicates x backgrounds to [2, n_arms, n_tissues, n_depths, n_backgrounds, n_replicates].
        shaped = np.stack(scored, axis=2).reshape(2, len(scorers), len(depths), replicates, len(of_purpose), -1)
        blank = of_purpose.composition[:, columns].T == 0
        blanks[purpose] = np.where(blank[:, None, :, None], shaped.transpose(0, 1, 5, 2, 4, 3), np.nan)
    own = backgrounds["background"]
    n_spiked = max(settings.n_spiked, len(own))
    chosen = np.arange(n_spiked) % len(own)
    spiked = np.full((2, len(scorers), len(tissues), len(depths), len(spikes), n_spiked), np.nan)
    for t, column in enumerate(cli.progress(columns, "dilution series, tissues", len(columns))):
        donors = take_donors(source, [column] * n_spiked, "spiked", list(range(n_spiked)))
        for s, spike in enumerate(spikes):
            target = np.full(n_spiked, spike)
            weight = spike_weight(target, donors.composition[:, column], own.composition[chosen, column])
            whole = np.nan_to_num(weight)
            for d, depth in enumerate(depths):
                stream = ("spiked", tissues[t], f"spike {spike:g}")
                scored_here = series.score(stream, depth, own, chosen, donors, whole)[..., column]
                spiked[:, :, t, d, s] = np.where(np.isnan(weight), np.nan, scored_here)
    return DilutionScores(
        list(scorers), tissues, np.array(depths), np.array(spikes), *spiked,
        *({purpose: values[part] for purpose, values in blanks.items()} for part in (0, 1)),
    )  # fmt: skip


def write_scores(path: Path, scores: Mapping[str, DilutionScores]) -> None:
    """Write the scores as a compressed NumPy archive; ``<donors>/<field>``, and ``/<background>`` for the blanks."""
    arrays: dict[str, Any] = {}
    for donors, of_donors in scores.items():
        for name, values in vars(of_donors).items():
            parts = values if isinstance(values, dict) else {"": values}
            arrays |= {f"{donors}/{name}/{part}".rstrip("/").replace(" ", "_"): array for part, array in parts.items()}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)
