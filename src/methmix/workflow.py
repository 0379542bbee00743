"""What the rules of the workflow ask of a configuration: its runs, and the inputs and options of their jobs."""

import json
import re
from collections.abc import Callable, Iterable
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import yaml

from methmix import arms
from methmix.config.arm import ArmSettings
from methmix.config.experiment import ArmName, Experiment
from methmix.config.load import (
    check_arms,
    check_experiment,
    configured_arm,
    effective_variants,
    load_experiment,
    load_sweep,
)
from methmix.config.phases import Phase
from methmix.errors import InputError
from methmix.files.atomic import write_text
from methmix.files.json_file import read_json
from methmix.provenance import source_digest
from methmix.reference.inputs import own_files
from methmix.samples.sample_sheet import options, sheet_and_files
from methmix.shipped import found
from methmix.sweep.points import SweptArm

_ABLATED_PHASE: Final = "phase2"
_SWEPT_PHASE: Final = "phase2"
# Shipped experiments on public atlases, whose models can be published.
PUBLISHED: Final = ("metdecode", "loyfer_uxm")


def checkpoint(record: str) -> str:
    """Name the checkpoint of the best epoch of a training, given its record.

    Rules depend on the record, which a training writes last: Snakemake deletes outputs before it restarts a job.
    """
    return str(Path(record).parents[1] / "checkpoints" / "checkpoint_best.pt")


def digest_of(entry: str, command: str = "", *, package: Path) -> Callable[[Any], str]:
    """Give a function of wildcards for the digest of a rule's code: only rules that have jobs compute theirs."""
    return lambda wildcards: _digest(entry, command, package)


@cache
def _digest(entry: str, command: str, package: Path) -> str:
    return source_digest(entry, command, package)


def drawn_seeds(experiment: Experiment) -> list[int]:
    """List the seeds of the further draws of donors; with real donors there are none."""
    return next_seeds(experiment, experiment.repeats.draws) if experiment.reference.drawn_donors else []


def next_seeds(experiment: Experiment, number: int) -> list[int]:
    """List the further seeds of a number of runs, of which the experiment itself is the first."""
    return [*range(experiment.seed + 1, experiment.seed + number)]


def seed_runs(content: dict[str, Any], seeds: list[int]) -> dict[str, dict[str, Any]]:
    """Give the experiment by name, and with other donors, mixtures and weights as ``<name>-seed<n>``."""
    return _runs(content, {f"seed{seed}": {"seed": seed} for seed in seeds})


def fold_runs(content: dict[str, Any], folds: list[int]) -> dict[str, dict[str, Any]]:
    """Give the experiment by name, and with other donors in the test as ``<name>-fold<n>``."""
    reference = content["reference"]
    split = {fold: {**reference["split"], "fold": fold} for fold in folds}
    return _runs(content, {f"fold{fold}": {"reference": {**reference, "split": split[fold]}} for fold in folds})


def _runs(content: dict[str, Any], changes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Give the experiment and its changed runs, none of which is repeated itself."""
    name = content["name"]
    changed = {f"{name}-{suffix}": {**content, **change, "repeats": {}} for suffix, change in changes.items()}
    return {name: content, **{run: {**settings, "name": run} for run, settings in changed.items()}}


def _predicting_run(experiment: Experiment) -> str:
    """Folder of the training that predicts, below that of its run."""
    phase = experiment.prediction.checkpoint_phase if experiment.prediction else "phase3"
    return f"{phase}/{arms.MAIN}"


def _plain(files: list[str]) -> list[str]:
    """Give the names of files, unless Snakemake would change them."""
    for file in files:
        if re.search(r"[{}]|<[a-z][a-z0-9_]*>", file):
            raise InputError(
                f"{file}: Snakemake takes braces, or a word in <>, for variables of its own",
                "give the file another name, or predict without Snakemake: python -m methmix.prediction --sheet ...",
            )
    return files


def _of_sweep(wildcards: Any) -> dict[str, str]:
    return {name: wildcards[name] for name in ("name", "phase", "sweep")}


class Plan:
    """The runs of an experiment: itself, with further seeds (of ablation, draws of donors and sweep), and its folds.

    ``path`` is the configuration's file, for messages and for its ``base``; ``plan.content`` has all its defaults. The
    runs are their configurations by name, the experiment itself first; ``names`` are also those of the shipped
    experiments whose models can be published. Rules take methods with an argument ``wildcards`` as they are: these give
    what belongs to one job.
    """

    def __init__(self, content: dict[str, Any], path: Path) -> None:
        self.experiment = check_experiment(content, path)
        self.path = path
        check_arms(self.experiment)
        self.variants = effective_variants(self.experiment, _ABLATED_PHASE)
        self.content: dict[str, Any] = self.experiment.model_dump(mode="json")
        self.seed_runs = seed_runs(self.content, self.experiment.repeats.seeds)
        self.draw_runs = seed_runs(self.content, drawn_seeds(self.experiment))
        self.fold_runs = fold_runs(self.content, self.experiment.repeats.folds)
        self.sweep = load_sweep(Path(self.experiment.sweep))
        self.sweep_name = Path(self.experiment.sweep).stem
        self.sweep_runs = seed_runs(self.content, next_seeds(self.experiment, self.sweep.seeds))
        self.runs = {**self.seed_runs, **self.draw_runs, **self.sweep_runs, **self.fold_runs}
        self.names = [*dict.fromkeys([*self.runs, *PUBLISHED])]
        # A sweep asks for the same few settings of hundreds of jobs.
        self._experiment = cache(self._find_experiment)
        self._content = cache(lambda name: self.runs.get(name) or self._experiment(name).model_dump(mode="json"))
        self._record_text = cache(lambda name: yaml.safe_dump(self._content(name), sort_keys=False))
        self._arm_with = cache(self._read_arm)
        if self.sweep.arm in self.experiment.arms.get(_SWEPT_PHASE, {}):
            # At once, so that a point that is not possible is reported before anything is planned.
            self.swept.check()

    def write_record(self, name: str) -> str:
        """Write the configuration of a run as its record, unless it is there already, and name that file."""
        path = Path("results", name, "config.yaml")
        text = self._record_text(name)
        if not path.is_file() or path.read_text() != text:
            write_text(path, text)
        return str(path)

    def record(self, wildcards: Any) -> str:
        """Write the record of a job's run."""
        return self.write_record(wildcards.name)

    def settings(self, *sections: str) -> Callable[[Any], list[Any]]:
        """Give a function of wildcards for what a rule depends on: the seed and some sections of the run."""
        return lambda wildcards: [self._content(wildcards.name)[section] for section in ("seed", *sections)]

    def reference_files(self, wildcards: Any) -> list[str]:
        """Name the files that a job's reference is made of, but for public data."""
        return _plain(own_files(self._experiment(wildcards.name).reference))

    def recipe(self, wildcards: Any) -> str:
        """Say what the mixtures of a job's phase consist of."""
        return self.experiment.mixtures.recipes[wildcards.phase].words

    def trained_arms(self, wildcards: Any) -> list[str]:
        """Name the arms that the experiment trains in a job's phase."""
        return list(self.experiment.arms.get(wildcards.phase, {}))

    def main_record(self, wildcards: Any) -> str:
        """Name the record of the training of the main arm in a job's phase."""
        return f"results/{wildcards.name}/{wildcards.phase}/{arms.MAIN}/logs/training_record.json"

    def arm_file(self, wildcards: Any) -> str:
        """Name the configuration file of the arm that a job trains, or a part of which it evaluates."""
        self._configured(wildcards)
        return str(found(self._experiment(wildcards.name).arms[wildcards.phase][self._arm(wildcards)]))

    def arm_settings(self, wildcards: Any) -> dict[str, Any]:
        """Give all settings of that arm."""
        return self._configured(wildcards).model_dump(mode="json")

    def starts(self, wildcards: Any) -> list[str]:
        """Name the record of the training that a job's training starts from, if any."""
        phase = self._configured(wildcards).training.warm_start
        return [f"results/{wildcards.name}/{phase}/{self._arm(wildcards)}/logs/training_record.json"] if phase else []

    def training_options(self, wildcards: Any, input: Any) -> list[str]:
        """Give the options of a training: its arm, what is changed in it, and the checkpoint that it starts from."""
        assignments = [f"--set={key}={json.dumps(value)}" for key, value in self._changes(wildcards).items()]
        starts = [f"--warm-start={checkpoint(record)}" for record in input.start]
        return [f"--arm={self._arm(wildcards)}", *assignments, *starts]

    def evaluation_options(self, wildcards: Any, input: Any) -> list[str]:
        """Give the options of the evaluation of a trained arm: its name and its checkpoint."""
        return [f"--arm={self._arm(wildcards)}", f"--checkpoint={checkpoint(input.record)}"]

    def no_other_run(self, wildcards: Any) -> list[str]:
        """Name no inputs, but refuse to look on while another Snakemake runs: the first to end removes all locks."""
        if any(Path(".snakemake", "locks").glob("*.lock")):
            raise InputError(
                "another Snakemake runs in this folder, or has been killed",
                f"use: python -m methmix.status results/{self.experiment.name}",
            )
        return []

    def samples(self, wildcards: Any) -> list[str]:
        """Name the samples sheet of the prediction and the files that it lists."""
        return _plain(sheet_and_files(self.experiment, self.path))

    def sample_regions(self, wildcards: Any) -> list[str]:
        """Name the files beside the samples: their regions, those left out, the array's manifest, and the panel."""
        own = self.experiment.prediction
        files = [own.regions_file, own.exclude_regions, own.manifest, own.panel_file] if own else []
        return _plain([file for file in files if file])

    def prediction_options(self, wildcards: Any) -> list[str]:
        """Give the options of a prediction."""
        return options(self.experiment)

    @property
    def predicting_run(self) -> str:
        """Folder of the training that predicts, below that of the run."""
        # Without the section, `samples` is an error, but only for a job that predicts.
        return _predicting_run(self.experiment)

    def published_record(self, wildcards: Any) -> str:
        """Name the record of the training whose model is published: the one that predicts."""
        run = _predicting_run(self._experiment(wildcards.name))
        return f"results/{wildcards.name}/{run}/logs/training_record.json"

    @cached_property
    def swept(self) -> SweptArm:
        """The arm that is swept, and its points."""
        return SweptArm(self.experiment, _SWEPT_PHASE)

    def earlier_records(self, checkpoints: Any, wildcards: Any) -> list[str]:
        """Name the records that a generation is suggested from: those of all earlier points, of the own seed."""
        earlier = int(wildcards.generation) - 1
        # The first generation needs no results, not even of the shipped point.
        return self._point_records(checkpoints, wildcards, [wildcards.name], earlier) if earlier else []

    def sweep_records(self, checkpoints: Any, wildcards: Any) -> list[str]:
        """Name the records of all points of a sweep with all its seeds."""
        return self._point_records(checkpoints, wildcards, self.sweep_runs, self.sweep.search.generations)

    def confirmations(self, checkpoints: Any, wildcards: Any) -> list[str]:
        """Name the evaluations of the recommended and the shipped point with all seeds, once they are chosen."""
        choice = Path(checkpoints.choose.get(**_of_sweep(wildcards)).output.choice)
        chosen = read_json(choice, "delete it: it is made again", ("recommended", "shipped"))
        folders = dict.fromkeys(chosen[which]["folder"] for which in ("recommended", "shipped"))
        file = "evaluation/metrics.json"
        return [f"results/{run}/{wildcards.phase}/{folder}/{file}" for folder in folders for run in self.sweep_runs]

    def _point_records(self, checkpoints: Any, wildcards: Any, runs: Iterable[str], generations: int) -> list[str]:
        """Name the records of the points of the first generations; Snakemake waits for those not yet suggested."""
        for generation in range(1, generations + 1):
            checkpoints.suggest.get(**_of_sweep(wildcards), generation=generation)
        folders = [point.folder for point in self.swept.known(self._sweep_folder, generations)]
        file = "logs/training_record.json"
        return [f"results/{run}/{wildcards.phase}/{folder}/{file}" for folder in folders for run in runs]

    @property
    def _sweep_folder(self) -> Path:
        return Path("results", self.experiment.name, _SWEPT_PHASE, "sweep", self.sweep_name)

    def _changed(self, wildcards: Any) -> tuple[ArmName, dict[str, Any]] | None:
        """Give the arm of a variant of the ablation or of a point of the sweep, and what it changes."""
        name = getattr(wildcards, "variant", "")
        if variant := self.variants.get(name):
            return variant.arm, dict(variant.set)
        points = self.swept.known(self._sweep_folder) if name else []
        return next(((point.arm, point.changes) for point in points if point.name == name), None)

    def _arm(self, wildcards: Any) -> Any:
        if changed := self._changed(wildcards):
            return changed[0]
        # An arm that is not trained uses the settings of the main one, or none.
        return wildcards.arm if arms.ARMS[wildcards.arm].kind == "trained" else arms.MAIN

    def _changes(self, wildcards: Any) -> dict[str, Any]:
        changed = self._changed(wildcards)
        return changed[1] if changed else {}

    def _configured(self, wildcards: Any) -> ArmSettings:
        changes = json.dumps(self._changes(wildcards))
        return self._arm_with(wildcards.name, wildcards.phase, self._arm(wildcards), changes)

    def _read_arm(self, name: str, phase: Phase, arm: ArmName, changes: str) -> ArmSettings:
        return configured_arm(self._experiment(name), phase, arm, json.loads(changes))

    def _find_experiment(self, name: str) -> Experiment:
        """Give the experiment of a run: this one, or the shipped one of that name whose model is published."""
        return self.experiment if name in self.runs else load_experiment(found(f"config/{name}.yaml"))
