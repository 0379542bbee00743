"""What the rules of the workflow ask of a configuration: its runs, and the inputs and options of their jobs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import yaml

from methmix import arms
from methmix.config.arm import ArmSettings
from methmix.config.experiment import Experiment, Variant
from methmix.config.load import check_arms, check_experiment, configured_arm, effective_variants
from methmix.files.atomic import write_text
from methmix.prediction.sample_sheet import options, sheet_and_files

_ABLATED_PHASE: Final = "phase2"


def checkpoint(record: str) -> str:
    """Name the checkpoint of the best epoch of a training, given its record.

    Rules depend on the record, which a training writes last: Snakemake deletes outputs before it restarts a job.
    """
    return str(Path(record).parents[1] / "checkpoints" / "checkpoint_best.pt")


def drawn_seeds(experiment: Experiment) -> list[int]:
    """List the seeds of the further draws of donors; with real donors there are none."""
    further = range(experiment.seed + 1, experiment.seed + experiment.repeats.draws)
    return [*further] if experiment.reference.drawn_donors else []


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


class Plan:
    """The runs of an experiment: itself, with further seeds (of the ablation, of the draws of donors), and its folds.

    ``path`` is the configuration's file, for messages; ``plan.content`` has all its defaults. The runs are their
    configurations by name, the experiment itself first. Rules take methods with an argument ``wildcards`` as they are:
    these give what belongs to one job.
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
        self.runs = {**self.seed_runs, **self.draw_runs, **self.fold_runs}

    def write_record(self, name: str) -> str:
        """Write the configuration of a run as its record, unless it is there already, and name that file."""
        path = Path("results", name, "config.yaml")
        text = yaml.safe_dump(self.runs[name], sort_keys=False)
        if not path.is_file() or path.read_text() != text:
            write_text(path, text)
        return str(path)

    def record(self, wildcards: Any) -> str:
        """Write the record of a job's run."""
        return self.write_record(wildcards.name)

    def settings(self, *sections: str) -> Callable[[Any], list[Any]]:
        """Give a function of wildcards for what a rule depends on: the seed and some sections of the run."""
        return lambda wildcards: [self.runs[wildcards.name][section] for section in ("seed", *sections)]

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
        return self.experiment.arms[wildcards.phase][self._arm(wildcards)]

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

    def samples(self, wildcards: Any) -> list[str]:
        """Name the samples sheet of the prediction and the files that it lists."""
        return sheet_and_files(self.experiment, self.path)

    def sample_regions(self, wildcards: Any) -> list[str]:
        """Name the file with the regions of the samples, if there is one."""
        prediction = self.experiment.prediction
        return [prediction.regions_file] if prediction and prediction.regions_file else []

    def prediction_options(self, wildcards: Any) -> list[str]:
        """Give the options of a prediction."""
        return options(self.experiment)

    @property
    def predicting_run(self) -> str:
        """Folder of the training that predicts, below that of the run."""
        # Without the section, `samples` is an error, but only for a job that predicts.
        phase = self.experiment.prediction.checkpoint_phase if self.experiment.prediction else "phase3"
        return f"{phase}/{arms.MAIN}"

    def _variant(self, wildcards: Any) -> Variant | None:
        return self.variants.get(getattr(wildcards, "variant", ""))

    def _arm(self, wildcards: Any) -> Any:
        if variant := self._variant(wildcards):
            return variant.arm
        # An arm that is not trained uses the settings of the main one, or none.
        return wildcards.arm if arms.ARMS[wildcards.arm].kind == "trained" else arms.MAIN

    def _changes(self, wildcards: Any) -> dict[str, Any]:
        """Give what a variant changes in its arm, or the learning rate of a sweep: dotted key -> value."""
        if variant := self._variant(wildcards):
            return dict(variant.set)
        rate = getattr(wildcards, "rate", None)
        return {"training.learning_rate": float(rate)} if rate else {}

    def _configured(self, wildcards: Any) -> ArmSettings:
        return configured_arm(self.experiment, wildcards.phase, self._arm(wildcards), self._changes(wildcards))
