"""Read and validate the configuration, and write it out as the record of the run; tell a stale lock from a live one."""

import os
import re
import shlex
import sys
from functools import partial
from pathlib import Path

from snakemake import jobs
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

# The package beside this workflow, wherever it is used from; of a workflow that is not in a folder here, the installed
# one. Jobs run it too, also in an environment of their own (--sdm conda).
source = Path(
    str(workflow.current_basedir.get_path_or_uri(secret_free=True)), "../../src"
)
if source.is_dir():
    sys.path.insert(0, str(source.resolve()))
    shell.prefix(f"export PYTHONPATH={shlex.quote(os.path.relpath(source))}; ")

try:
    from methmix import cluster, small_cluster
    from methmix.arms import names
    from methmix.config.yaml_files import read
    from methmix.errors import InputError, MethmixError
    from methmix.files.reference import SPLITS
    from methmix import provenance
    from methmix.shipped import found
    from methmix.snakemake_runs import take_over
    from methmix.sweep.points import POINT_NAME
    from methmix.workflow import PUBLISHED, Plan, checkpoint, digest_of
except ModuleNotFoundError as error:
    raise WorkflowError(
        f"the environment that runs Snakemake has no {error.name}\n  install methmix in it: pip install methmix"
    ) from None

# Of the code beside this workflow, which is what jobs run, whatever this process has loaded.
package = source / "methmix" if source.is_dir() else provenance.PACKAGE
source_digest = partial(digest_of, package=package)

# Nothing is merged into a configuration that the command line names.
own_config = not workflow.configfiles and os.path.exists("config/config.yaml")
try:
    # Snakemake's own loader would run expressions; of files that the command line names it has, before this line.
    for file in ["config/config.yaml"] if own_config else workflow.configfiles:
        read(Path(file))
except InputError as error:
    raise WorkflowError(str(error)) from None

if own_config:

    configfile: "config/config.yaml"


try:
    # What is given without a file is laid over the default experiment.
    if not workflow.configfiles:
        config.setdefault("base", "default.yaml")
    plan = Plan(dict(config), Path(["--config", *workflow.configfiles][-1]))
    # Rules see it whole: without its base, with all defaults.
    config.clear()
    config.update(plan.content)
    # At once, so that results that cannot be written are reported before anything is planned.
    plan.write_record(config["name"])
    # Not by jobs, which read the workflow too.
    for words in take_over() if workflow.is_main_process else ():
        logger.warning(words)
except MethmixError as error:
    raise WorkflowError(str(error)) from None


# Jobs are given what is settled here.
if workflow.is_main_process:
    small_cluster.fit_to_cluster(workflow.resource_settings, logger.warning)


wildcard_constraints:
    name="|".join(map(re.escape, plan.names)),
    phase="|".join(plan.experiment.mixtures.recipes),
    split="|".join(SPLITS),
    arm="|".join(names()),
    study="ablation|points",
    variant="|".join([*plan.variants, POINT_NAME]),
    sweep=re.escape(plan.sweep_name),
    generation=r"[1-9]\d*",


onstart:
    # Of a run on a cluster; others are left as they are.
    try:
        cluster.prepare(workflow, (jobs.Job, jobs.GroupJob), logger.warning)
    except InputError as error:
        raise WorkflowError(str(error)) from None
