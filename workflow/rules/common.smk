"""Read and validate the configuration, write it out as the run's record; nothing else."""

import json
import re
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError

from methmix.config.load import check_experiment, effective_variants
from methmix.config.repeats import fold_runs, seed_runs
from methmix.errors import InputError
from methmix.files import write_text
from methmix.provenance import source_digest

try:
    given = workflow.configfiles[-1] if workflow.configfiles else "config"
    experiment = check_experiment(dict(config), Path(given))
    ABLATION = effective_variants(experiment, "phase2")
except InputError as error:
    raise WorkflowError(str(error)) from None


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


# Rules find the package in this checkout, also in an environment of their own (--sdm conda).
shell.prefix("export PYTHONPATH=src; ")


wildcard_constraints:
    name="|".join(map(re.escape, RUNS)),
    variant="|".join(ABLATION) or "none",
    phase="phase[123]",
    split="train|validation|test",
    arm="[a-z_]+",
