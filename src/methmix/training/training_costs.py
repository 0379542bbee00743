"""What a training has cost, and on which machines: beside its checkpoints, so that equal states have equal bytes."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from methmix.files.atomic import write_text
from methmix.training.job import Usage
from methmix.training.state import Checkpoint

logger = logging.getLogger("methmix")

# Beside the checkpoints.
_FILE = "costs.json"
# What differs between two runs of the same training: in its record, and in each row of its history.
_OF_RECORD = (*Usage.names, "host", "slurm")
_OF_ROW = ("seconds", "slurm_job_id", "node")


def write_costs(folder: Path, checkpoint: Checkpoint) -> None:
    """Write the costs of a training so far beside its checkpoints in ``folder``."""
    epochs = [{"epoch": row["epoch"], **_only(row, _OF_ROW)} for row in checkpoint.history]
    content = {"record": _only(checkpoint.record, _OF_RECORD), "epochs": epochs}
    write_text(folder / _FILE, json.dumps(content, indent=1) + "\n")


def without_costs(checkpoint: Checkpoint) -> Checkpoint:
    """Give a checkpoint without its costs, as it is saved."""
    return replace(
        checkpoint,
        record=_but(checkpoint.record, _OF_RECORD),
        history=[_but(row, _OF_ROW) for row in checkpoint.history],
        best=_but(checkpoint.best, _OF_ROW),
    )


def add_costs(path: Path, checkpoint: Checkpoint) -> None:
    """Add the costs, if they lie beside the file of a checkpoint; they determine no result."""
    costs = path.parent / _FILE
    try:
        content = json.loads(costs.read_text())
        rows = {row["epoch"]: _only(row, _OF_ROW) for row in content["epochs"]}
        checkpoint.record |= _only(content["record"], _OF_RECORD)
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("%s: is damaged (%s); what the training has cost is not known", costs, error)
        return
    for row in (*checkpoint.history, *([checkpoint.best] if checkpoint.best else [])):
        row.update(rows.get(row["epoch"], {}))


def _only(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def _but(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}
