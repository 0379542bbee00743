"""Whether a tissue at the limit of detection that an arm states for a sample is called in so many samples."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from methmix import cli, seeds
from methmix.config.experiment import DetectionSettings
from methmix.detection.backgrounds import (
    Backgrounds,
    Spiker,
    balanced_backgrounds,
    same_background,
    spike_weight,
    spiked_tissues,
    take_donors,
)
from methmix.detection.scorers import Evidence, Scorer
from methmix.detection.sensitivity import mean_of_known
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.models.prediction import Array
from methmix.reference.unseen_donors import UnseenDonors
from methmix.rows import blocks

BALANCED = "balanced"
COLUMNS = ["arm", "tissue", "background", "depth", "limit", "called", "n", "known", "false_positive_rate"]
_BLOCK = 50


def background_name(settings: DetectionSettings) -> str:
    """Name the background of the settings, ``Blood`` or ``Granulocytes + T cells``."""
    return " + ".join(settings.background)


def check_stated_limits(
    seed: int,
    settings: DetectionSettings,
    reference: Reference,
    source: UnseenDonors,
    scorers: Mapping[str, Scorer],
) -> pd.DataFrame:
    """Spike each tissue into samples of unseen donors at the limit that an arm stated for that sample without it.

    Returns
    -------
    DataFrame
        A row per arm that states limits, tissue, background and depth: median stated ``limit`` (NaN: not known for any
        sample), ``called``, the proportion of the ``n`` mixtures at their limit that are called at the shipped
        threshold; ``known``, the proportion of the samples with a stated limit; ``false_positive_rate``, the proportion
        of the samples without any of the tissue in which it is called.
    """
    names = reference.tissue_names
    n = max(settings.n_spiked, settings.n_background_donors)
    of_settings = same_background(source, names, settings.background, "background", n)
    samples = {
        background_name(settings): (of_settings, spiked_tissues(settings.background, names)),
        BALANCED: (balanced_backgrounds(source, len(names), n, seed), names),
    }
    tasks = [(name, depth) for name in samples for depth in settings.depths]
    spiker, rows = Spiker(reference), []
    for name, depth in cli.progress(tasks, "stated limits, backgrounds and depths", len(tasks)):
        backgrounds, tissues = samples[name]
        stream = ("stated limit", name, f"depth {depth:g}")
        for arm, scorer in scorers.items():
            without = _evidence(scorer, _without(spiker, backgrounds, depth, seed, stream))
            if without.limit is None:
                continue
            for tissue in tissues:
                column = names.index(tissue)
                drawn = seeds.generator(seed, "detection", *stream, tissue)
                row = _row(scorer, spiker, backgrounds, source, column, depth, without, drawn)
                rows.append({"arm": arm, "tissue": tissue, "background": name, "depth": depth, **row})
    return pd.DataFrame(rows, columns=COLUMNS)


def _without(
    spiker: Spiker, backgrounds: Backgrounds, depth: float, seed: int, stream: tuple[str, ...]
) -> Iterator[Mixtures]:
    """Draw the samples themselves, the same for all arms."""
    for rows in blocks(len(backgrounds), _BLOCK):
        rng = seeds.generator(seed, "detection", *stream, rows.start)
        yield spiker.mix(backgrounds, np.arange(len(backgrounds))[rows], depth, rng)


def _evidence(scorer: Scorer, mixtures: Iterator[Mixtures]) -> Evidence:
    scores, called, limits = zip(*map(scorer, mixtures), strict=True)
    limit = None if limits[0] is None else np.concatenate(limits)
    return Evidence(np.concatenate(scores), np.concatenate(called), limit)


def _row(
    scorer: Scorer,
    spiker: Spiker,
    backgrounds: Backgrounds,
    source: UnseenDonors,
    column: int,
    depth: float,
    without: Evidence,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Spike a tissue into each sample at its stated limit, and see in how many it is called."""
    assert without.limit is not None  # for the type checker: only such arms come here
    limit, of_background = without.limit[:, column], backgrounds.composition[:, column]
    numbers = list(range(len(backgrounds)))
    spiked = take_donors(source, [column] * len(numbers), "spiked", numbers)
    weight = spike_weight(limit, spiked.composition[:, column], of_background)
    possible = np.flatnonzero(~np.isnan(weight))
    called = np.zeros(0)
    for part in blocks(len(possible), _BLOCK):
        chosen = possible[part]
        donors = spiked.at(chosen)
        mixtures = spiker.mix(backgrounds, chosen, depth, rng, donors, weight[chosen])
        called = np.append(called, scorer(mixtures).called[:, column])
    blank, stated = of_background == 0, limit[possible]
    return {
        "limit": float(np.median(stated)) if len(stated) else float("nan"),
        "called": _mean(called),
        "n": len(possible),
        "known": float(np.isfinite(limit).mean()),
        "false_positive_rate": _mean(without.called[blank, column].astype(float)),
    }


def _mean(values: Array) -> float:
    return float(mean_of_known(values[None])[0])
