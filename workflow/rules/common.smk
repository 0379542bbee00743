"""Read and validate the configuration, write it out as the run's record; nothing else."""

from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError

from methmix.config.load import check_experiment
from methmix.errors import InputError
from methmix.files import write_text
from methmix.provenance import source_digest

try:
    given = workflow.configfiles[-1] if workflow.configfiles else "config"
    RECORD = str(
        Path(check_experiment(dict(config), Path(given)).results, "config.yaml")
    )
    resolved = yaml.safe_dump(dict(config), sort_keys=False)
    if not Path(RECORD).is_file() or Path(RECORD).read_text() != resolved:
        write_text(Path(RECORD), resolved)
except InputError as error:
    raise WorkflowError(str(error)) from None


# Rules find the package in this checkout, also in an environment of their own (--sdm conda).
shell.prefix("export PYTHONPATH=src; ")


wildcard_constraints:
    name="[A-Za-z0-9][A-Za-z0-9._-]*",
    phase="phase[123]",
    split="train|validation|test",
    arm="[a-z_]+",
