"""Read and validate the configuration, and write it out as the record of the run; nothing else."""

import re
from functools import partial
from pathlib import Path

from snakemake.exceptions import WorkflowError

from methmix import provenance
from methmix.arms import names
from methmix.errors import InputError
from methmix.files.reference import SPLITS
from methmix.sweep.points import POINT_NAME
from methmix.workflow import Plan, checkpoint

try:
    plan = Plan(dict(config), Path(workflow.configfiles[-1]))
    # Rules see it whole: without its base, with all defaults.
    config.clear()
    config.update(plan.content)
    # At once, so that results that cannot be written are reported before anything is planned.
    plan.write_record(config["name"])
except InputError as error:
    raise WorkflowError(str(error)) from None

# Jobs run the package in this checkout, also in an environment of their own (--sdm conda).
shell.prefix("export PYTHONPATH=src; ")
source_digest = partial(provenance.source_digest, package=Path("src/methmix"))


wildcard_constraints:
    name="|".join(map(re.escape, plan.runs)),
    phase="|".join(plan.experiment.mixtures.recipes),
    split="|".join(SPLITS),
    arm="|".join(names()),
    study="ablation|points",
    variant="|".join([*plan.variants, POINT_NAME]),
    sweep=re.escape(plan.sweep_name),
    generation=r"[1-9]\d*",
