"""Run the spikes: divide the controls, spike, ask every method, and write the results.

A part of the controls makes the panel and sets every method's thresholds; the others, which no method has seen, are
spiked with reads of donors that the reference's training did not see. What is called without a spike is the
specificity that is reached.
"""

import argparse
import itertools
import json
import logging
from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from methmix import arms, cli, provenance, seeds
from methmix.config.experiment import Experiment
from methmix.config.load import load_experiment
from methmix.errors import InputError
from methmix.evaluation.controls import Context
from methmix.evaluation.estimates import load_for
from methmix.files.atomic import all_or_none, write_csv, write_text
from methmix.files.reference import Reference, read_reference
from methmix.models.deconvolver import Deconvolver
from methmix.models.prediction import Array, predict
from methmix.normals.panel import FEWEST, Controls, Panel
from methmix.normals.panel_command import controls_of
from methmix.normals.panel_making import check_number, panel_of_counts, read_controls
from methmix.normals.spiked_controls import spiked, thinned
from methmix.samples.aligned import reading_options
from methmix.samples.sample_sheet import read_sheet
from methmix.shipped import found
from methmix.spikes.hardships import AMOUNTS as HARD_AMOUNTS
from methmix.spikes.hardships import HARDSHIPS, averaged, hardship
from methmix.spikes.spike_methods import CLASSICAL, WITH_PANEL, Method, crossfitted, methods_without_panel, with_panel
from methmix.spikes.spike_scores import SPIKES, Asked, spikes_table, summary
from methmix.spikes.spikes_page import spikes_page
from methmix.training.state import Checkpoint

logger = logging.getLogger("methmix")

# Part of the controls that is spiked, as in most studies of limits of detection about a third.
_SPIKED = 0.36
# Sizes of further panels, for how many controls one is worth making.
PANEL_SIZES = (10, 20, 40)


def run_spikes(options: argparse.Namespace) -> None:
    """Run what the command line names."""
    experiment, reference = load_experiment(options.config), read_reference(options.reference)
    settings = experiment.prediction
    if settings is None or settings.control_group is None:
        raise InputError(
            f"{options.config}: prediction.control_group: expected the group of the samples sheet that is spiked, "
            "found none",
            "write the section prediction with samples and control_group",
        )
    model, checkpoint = load_for(options.checkpoint, reference)
    if checkpoint.arm["arm"] != arms.MAIN or model.profiles is None:
        raise InputError(f"{options.checkpoint}: expected a checkpoint of arm {arms.MAIN} with the backbone reference")
    sheet = controls_of(read_sheet(found(settings.samples)), settings.control_group)
    reading = argparse.Namespace(**reading_options(settings), pseudo_depth=settings.pseudo_depth)
    controls, _ = read_controls(model, checkpoint, sheet, reading)
    check_number(int(len(controls.names) * (1 - _SPIKED)))
    columns = [place for place, name in enumerate(reference.tissue_names) if name not in experiment.background]
    suite = SpikeSuite(experiment, reference, model, checkpoint, controls, columns)
    asked = suite.ask(options.repeats, options.depth)
    write_spikes(options, experiment, reference, suite, asked)


class SpikeSuite:
    """Controls of a laboratory, held-out donors of a reference, and the methods that are asked."""

    def __init__(
        self,
        experiment: Experiment,
        reference: Reference,
        model: Deconvolver,
        checkpoint: Checkpoint,
        controls: Controls,
        columns: list[int],
    ) -> None:
        self._seed, self._model, self._controls, self.columns = experiment.seed, model, controls, columns
        self._checkpoint = checkpoint
        self.tissues = [reference.tissue_names[place] for place in columns]
        self.donors = [
            (self.tissues.index(tissue), name, reference.fractions[row].astype(np.float64))
            for row, (name, tissue, split) in enumerate(
                zip(reference.donors, reference.tissues, reference.split, strict=True)
            )
            if split == "test" and tissue in self.tissues
        ]
        phase = experiment.prediction.checkpoint_phase if experiment.prediction else "phase3"
        self._without_panel = methods_without_panel(model, Context(reference, experiment, phase), columns)

    def ask(self, repeats: int, depth: float | None) -> list[Asked]:
        """Ask all methods about controls as deep as they are, and thinned, in several divisions of the controls."""
        mean_depth = self._controls.depth.mean(axis=1)
        thin = depth if depth is not None else float(f"{np.quantile(mean_depth, 0.1):.2g}")
        asked = []
        for repeat in cli.progress(range(repeats), "divisions of the controls", repeats):
            order = seeds.generator(self._seed, "spikes", "division", repeat).permutation(len(self._controls.names))
            n_spiked = int(len(order) * _SPIKED)
            for to in (None, thin):
                rng = seeds.generator(self._seed, "spikes", repeat, str(to))
                samples = self._controls if to is None else _thinned(self._controls, to, rng)
                asked.append(self._divided(samples, order[n_spiked:], order[:n_spiked], repeat, to, rng))
        return asked

    def _divided(
        self, samples: Controls, of_panel: npt.NDArray[np.intp], of_spiked: npt.NDArray[np.intp], repeat: int,
        depth: float | None, rng: np.random.Generator,
    ) -> Asked:  # fmt: skip
        blanks = samples.chosen(of_panel)
        panel = self._panel(blanks, rng)
        blank_scores = {name: method(blanks).score for name, method in self._without_panel.items()}
        methods: dict[str, Method] = {WITH_PANEL: partial(with_panel, panel, self._model), **self._without_panel}
        blank_scores[WITH_PANEL] = crossfitted(panel).score
        if depth is None:
            for size in PANEL_SIZES:
                if FEWEST <= size < len(of_panel):
                    small = self._panel(samples.chosen(of_panel[:size]), rng)
                    methods[f"{WITH_PANEL}_{size}"] = partial(with_panel, small, self._model)
                    blank_scores[f"{WITH_PANEL}_{size}"] = crossfitted(small).score
        recipients, found = samples.chosen(of_spiked), {}
        hardships = []
        for name, change in HARDSHIPS.items() if depth is None else ():
            for (tissue, _, methylation), amount in itertools.product(self.donors, HARD_AMOUNTS):
                changed = change(_spiked(recipients, methylation, amount, rng), rng)
                for method in (WITH_PANEL, arms.MAIN, CLASSICAL[0]):
                    values = hardship(methods[method](changed), tissue, amount, blank_scores[method])
                    hardships.append({"hardship": name, "method": method, "amount": amount, "values": values})
        for tissue, donor, methylation in self.donors:
            for amount in SPIKES:
                mixed = _spiked(recipients, methylation, amount, rng)
                found[tissue, donor, amount] = {name: method(mixed) for name, method in methods.items()}
        return Asked(repeat, depth, len(of_panel), recipients.names, blank_scores, found, hardships)

    def _panel(self, controls: Controls, rng: np.random.Generator) -> Panel:
        proportions = predict(self._model, *controls.values()).proportions
        return panel_of_counts(self._model, self._checkpoint, controls, proportions, self.columns, rng)


@all_or_none()
def write_spikes(
    options: argparse.Namespace, experiment: Experiment, reference: Reference, suite: SpikeSuite, asked: Sequence[Asked]
) -> None:
    """Write ``spikes.json``, ``spikes.csv`` and ``report.html``."""
    record = {
        **summary(asked, suite.tissues, experiment.seed),
        "hardships": averaged([row for division in asked for row in division.hardships]),
        "tissues": suite.tissues,
        "background": experiment.background,
        "donors": [name for _, name, _ in suite.donors],
        "composition_known": reference.known_composition is not None,
        "provenance": provenance.of_measurement(experiment.name, experiment.seed, reference.content_digest),
    }
    folder = options.output
    write_csv(folder / "spikes.csv", spikes_table(asked, suite.tissues))
    write_text(folder / "spikes.json", json.dumps(record, indent=2, allow_nan=False) + "\n")
    write_text(folder / "report.html", spikes_page(record))
    logger.info("report written to %s", folder / "report.html")


def _spiked(samples: Controls, methylation: Array, amount: float, rng: np.random.Generator) -> Controls:
    """Spike reads of one donor into samples."""
    donors = np.repeat(methylation[None], len(samples.names), axis=0)
    parts = np.full(len(samples.names), amount)
    return Controls(samples.names, *spiked(samples.methylated, samples.depth, parts, donors, rng))


def _thinned(samples: Controls, depth: float, rng: np.random.Generator) -> Controls:
    kept = np.minimum(1, depth / np.maximum(samples.depth.mean(axis=1, keepdims=True), 1e-9))
    return Controls(samples.names, *thinned(samples.methylated, samples.depth, kept, rng))
