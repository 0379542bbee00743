"""Read and validate the configuration, write it out as the run's record; nothing else."""

from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError

from methmix.config import load_experiment
from methmix.errors import InputError
from methmix.provenance import source_digest

NAME = config.get("name", "")
RECORD = f"results/{NAME}/config.yaml"
try:
    record = Path(RECORD)
    resolved = yaml.safe_dump(dict(config), sort_keys=False)
    if not record.is_file() or record.read_text() != resolved:
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(resolved)
    load_experiment(record)
except InputError as error:
    raise WorkflowError(str(error)) from None
except OSError as error:
    raise WorkflowError(
        f"{error.filename}: cannot write here ({error.strerror})"
    ) from None


# Rules find the package in this checkout, also in an environment of their own (--sdm conda).
shell.prefix("export PYTHONPATH=src; ")


wildcard_constraints:
    name="[A-Za-z0-9][A-Za-z0-9._-]*",
    phase="phase[123]",
    split="train|validation|test",
    arm="[a-z_]+",
