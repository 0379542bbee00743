"""The record of a training: what determines its weights, where it ran, what it cost, and the log of its run folder."""

import hashlib
import json
import logging
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from methmix import cli, provenance
from methmix.config.arm import ArmSettings, settings_digest
from methmix.config.experiment import Experiment
from methmix.files.atomic import write_text
from methmix.files.mixtures import Mixtures
from methmix.files.reference import Reference
from methmix.models.deconvolver import Deconvolver, n_parameters
from methmix.rows import blocks
from methmix.training.job import SlurmJob
from methmix.training.parallel import Ranks
from methmix.training.state import Checkpoint, donors
from methmix.training.warm_start import WarmStart

logger = logging.getLogger("methmix")

_BLOCK = 100
BORROWED = (
    "The training donors do not show how donors of one tissue differ; inter-individual variability is borrowed from "
    "healthy replicates of other tissues."
)


def identity_of(
    arm: ArmSettings, experiment: Experiment, reference: Reference, validation: Mixtures, start: WarmStart | None
) -> dict[str, str]:
    """Digest what determines the weights of a training, by name: it is resumed only where all are the same."""
    mixtures = experiment.mixtures
    drawn = f"{experiment.seed} {mixtures.recipes[arm.phase]} {mixtures.mean_depths}"
    mixed = hashlib.sha256(validation.proportions.tobytes())
    for rows in blocks(len(validation), _BLOCK):
        mixed.update(validation.methylation[rows].tobytes())
    return {
        "configuration": settings_digest(arm),
        "reference": reference.content_digest,
        "mixtures": hashlib.sha256(drawn.encode()).hexdigest()[:16],
        "validation mixtures": mixed.hexdigest()[:16],
        "initial weights": start.digest if start else "random",
        "code": provenance.source_digest("methmix.training"),
    }


def record_of(
    model: Deconvolver,
    device: torch.device,
    ranks: Ranks,
    job: SlurmJob | None,
    start: WarmStart | None,
    reference: Reference,
) -> dict[str, Any]:
    """Collect what is trained, where and with what."""
    return {
        "n_parameters": n_parameters(model),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "n_ranks": ranks.n_ranks,
        "warm_start": {"checkpoint": str(start.path), "weights": start.digest} if start else {},
        "host": platform.node(),
        "slurm": asdict(job) if job else {},
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        "reference_notes": str(reference.attributes.get("notes", "[]")),
        "donors": donors(reference),
        **{name: str(reference.attributes.get(name, "")) for name in ("licence", "terms_of_use")},
    }


def write_record(folder: Path, state: Checkpoint) -> None:
    """Write the sign that the training in a run folder has ended well; the last thing that it does."""
    names = ("arm", "seed", "genome", "identity", "step", "finished", "best", "record")
    values = {name: getattr(state, name) for name in names}
    # A training that is resumed has what it records in another order.
    values["record"] = dict(sorted(state.record.items()))
    content = json.dumps(values, default=str)
    # JSON has no NaN, which an accuracy is where there is no entry to be right about.
    text = json.dumps(json.loads(content, parse_constant=lambda _: None), indent=2)
    write_text(folder / "logs" / "training_record.json", text + "\n")


@contextmanager
def log_kept(folder: Path, job: SlurmJob | None) -> Iterator[None]:
    """Keep the log in the run folder too, over all starts: that of a job is its own, or its last try's."""
    path = folder / "logs" / "training.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter(cli.LOG_FORMAT, cli.DATE_FORMAT))
    logger.addHandler(handler)
    try:
        logger.info("%s, commit %s", job or f"host {platform.node()}, outside SLURM", provenance.commit())
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
