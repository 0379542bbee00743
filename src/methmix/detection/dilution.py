"""Dilution series: one tissue spiked into a background, scored by every arm."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from methmix import cli, seeds
from methmix.config.experiment import DetectionSettings
from methmix.detection.scorers import Scorer
from methmix.errors import InputError
from methmix.files.atomic import atomic_path
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference, Split
from methmix.mixtures.sampler import DonorMixer
from methmix.models.prediction import Array
from methmix.rows import blocks

# Mixtures are drawn and scored in blocks, and only their scores are kept: memory does not grow with their number.
_BLOCK = 50
BLANKS: tuple[Split, ...] = ("test", "validation")


@dataclass(frozen=True)
class DilutionScores:
    """Scores of all arms; the higher, the stronger an arm's evidence that the tissue is present.

    Mean ``depths`` and proportions of the ``spikes`` ascend. ``spiked`` are the scores of the spiked tissue, [n_arms,
    n_tissues, n_depths, n_spikes, n_spiked]; ``blanks`` the scores of mixtures without a spike, [n_arms, n_tissues,
    n_depths, n_blank], of test and of validation donors.
    """

    arms: list[str]
    tissues: list[str]
    depths: Array
    spikes: Array
    spiked: Array
    blanks: dict[str, Array]


def dilution(
    background: Mapping[str, float], tissue_names: list[str], spiked: str | None, spike: float
) -> npt.NDArray[np.float32]:
    """Dilute a background by the proportion ``spike`` of a tissue; [n_tissues], sums to 1."""
    proportions = [background.get(name, 0) * (1 - spike) + spike * (name == spiked) for name in tissue_names]
    return np.array(proportions, dtype=np.float32)


def spiked_tissues(background: Mapping[str, float], tissue_names: list[str]) -> list[str]:
    """List the tissues that are not in the background; `InputError` if it has an unknown tissue, or all of them."""
    for name in background:
        if name not in tissue_names:
            raise InputError(
                f"detection.background: {name!r} is not a tissue of the reference; it has {', '.join(tissue_names)}"
            )
    spiked = [name for name in tissue_names if name not in background]
    if not spiked:
        raise InputError("detection.background: has every tissue of the reference, none is left to spike")
    return spiked


def score_dilutions(
    seed: int, settings: DetectionSettings, reference: Reference, scorers: Mapping[str, Scorer]
) -> DilutionScores:
    """Draw the dilution series and score them with the scorer of each arm.

    Spiked mixtures are of the reference's test donors, blanks of its test and of its validation donors. Every block has
    a random stream of its own, named after what is in it: another tissue, spike, depth or number of mixtures changes no
    other block.
    """
    names = reference.tissue_names
    tissues = spiked_tissues(settings.background, names)
    columns = [names.index(name) for name in tissues]
    mixers = {split: DonorMixer(reference, split) for split in BLANKS}
    shape = (len(scorers), len(tissues), len(settings.depths))
    spiked = np.empty((*shape, len(settings.spikes), settings.n_spiked))
    blanks: dict[str, Array] = {split: np.empty((*shape, settings.n_blank)) for split in BLANKS}

    def score(split: Split, tissue: str | None, depth: float, spike: float, n: int) -> Array:
        """Draw mixtures and score them, [n_arms, n, n_tissues]."""
        proportions = dilution(settings.background, names, tissue, spike)
        scores = []
        for rows in blocks(n, _BLOCK):
            stream = ("detection", split, tissue or "blank", f"depth {depth:g}", f"spike {spike:g}", rows.start)
            tiled = np.tile(proportions, (rows.stop - rows.start, 1))
            batch = mixers[split].mix(tiled, np.array([depth]), seeds.generator(seed, *stream))
            reads, truth = (
                (batch.methylation.numpy(), batch.depth.numpy()),
                (batch.proportions, batch.label_proportions),
            )
            mixtures = Mixtures(*reads, *truth, [], names, {})
            scores.append(np.stack([scorer(mixtures) for scorer in scorers.values()]))
        return np.concatenate(scores, axis=1)

    cells = list(product(enumerate(settings.depths), enumerate([*tissues, None])))
    for (d, depth), (t, tissue) in cli.progress(cells, "dilution series, tissues and depths", len(cells)):
        if tissue is None:
            for split in BLANKS:
                blanks[split][:, :, d] = score(split, None, depth, 0, settings.n_blank)[:, :, columns].swapaxes(1, 2)
        else:
            for s, spike in enumerate(settings.spikes):
                spiked[:, t, d, s] = score("test", tissue, depth, spike, settings.n_spiked)[:, :, columns[t]]
    return DilutionScores(list(scorers), tissues, np.array(settings.depths), np.array(settings.spikes), spiked, blanks)


def write_scores(path: Path, scores: DilutionScores) -> None:
    """Write the scores as a compressed NumPy archive; a name per field, ``blanks_<split>`` for the blanks."""
    arrays: dict[str, Any] = {f"blanks_{split}": values for split, values in scores.blanks.items()}
    arrays |= {name: values for name, values in vars(scores).items() if name != "blanks"}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)
