"""Read and validate the configuration, write it out as the run's record; nothing else."""

import json
import re
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError

from methmix.config.configured import check_arms, configured_arm, effective_variants
from methmix.config.load import check_experiment
from methmix.config.reruns import fold_runs, seed_runs
from methmix.errors import InputError
from methmix.files.atomic import write_text
from methmix.provenance import source_digest

try:
    given = workflow.configfiles[-1] if workflow.configfiles else "config"
    experiment = check_experiment(dict(config), Path(given))
    check_arms(experiment)
    ABLATION = effective_variants(experiment, "phase2")
except InputError as error:
    raise WorkflowError(str(error)) from None

# Rules see it whole: without its base, with all defaults.
config.clear()
config.update(experiment.model_dump(mode="json"))

SEED_RUNS = seed_runs(dict(config), experiment.repeats.seeds)
FOLD_RUNS = fold_runs(dict(config), experiment.repeats.folds)
RUNS = {**SEED_RUNS, **FOLD_RUNS}


def written(name):
    """Write the configuration of a run out as its record."""
    path = Path("results", name, "config.yaml")
    text = yaml.safe_dump(RUNS[name], sort_keys=False)
    try:
        if not path.is_file() or path.read_text() != text:
            write_text(path, text)
    except InputError as error:
        raise WorkflowError(str(error)) from None
    return str(path)


# At once, so that results that cannot be written are told before anything is planned; of further runs when planned.
written(config["name"])


def record(wildcards):
    """Give the record of the run that a job is of."""
    return written(wildcards.name)


def settings(*sections):
    """Give what a rule's results depend on: the seed and sections of the configuration."""

    def of_run(wildcards):
        run = RUNS[wildcards.name]
        return [run["seed"], *(run.get(section, {}) for section in sections)]

    return of_run


def trained_arm(wildcards):
    """Give the file of the arm that a job trains, and the record of the training that it starts from, if any."""
    variant = ABLATION.get(wildcards.get("variant"))
    name, changes = (variant.arm, variant.set) if variant else (wildcards.arm, {})
    try:
        arm = configured_arm(experiment, wildcards.phase, name, changes)
    except InputError as error:
        raise WorkflowError(str(error)) from None
    start = arm.training.warm_start
    record = f"results/{wildcards.name}/{start}/{name}/logs/training_record.json"
    return {
        "config": config["arms"][wildcards.phase][name],
        "start": [record] if start else [],
    }


def warm_start(wildcards, input):
    """Name the checkpoint beside that record, as an option."""
    runs = [Path(record).parents[1] for record in input.start]
    return [f"--warm-start={run}/checkpoints/checkpoint_best.pt" for run in runs]


# Rules find the package in this checkout, also in an environment of their own (--sdm conda).
shell.prefix("export PYTHONPATH=src; ")


wildcard_constraints:
    name="|".join(map(re.escape, RUNS)),
    variant="|".join(ABLATION) or "none",
    phase="phase[123]",
    split="train|validation|test",
    arm="[a-z_]+",
