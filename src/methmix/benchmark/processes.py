"""How much faster two processes train than one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from methmix.benchmark.inputs import PHASE, resized
from methmix.benchmark.sizes import Sizes
from methmix.benchmark.writing import with_mixtures
from methmix.config.arm import ArmSettings
from methmix.config.experiment import Experiment
from methmix.config.load import to_yaml
from methmix.errors import RunError
from methmix.files.atomic import write_text
from methmix.files.reference import Reference, write_reference
from methmix.mixtures.write import write_mixtures

_NUMBERS = (1, 2)
# Each library has a variable of its own, and Snakemake sets all of them.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# Validation, which one process does alone, is not what is measured.
_VALIDATION = 10


def processes(
    config: Path, arms: dict[str, ArmSettings], experiment: Experiment, reference: Reference, sizes: Sizes, folder: Path
) -> dict[str, Any]:
    """Measure steps per second of ``python -m methmix.training`` with 1 and 2 processes of one thread each."""
    few, validation = folder / "reference.h5", folder / "validation.h5"
    resized_reference = resized(reference, sizes.processes_regions)
    write_reference(few, resized_reference)
    write_mixtures(with_mixtures(experiment, _VALIDATION), resized_reference, PHASE, "validation", validation)
    content: dict[str, Any] = {
        "regions": len(resized_reference.regions),
        "steps": sizes.processes_steps,
        "threads_of_each_process": 1,
        "repetitions": 1,
    }
    for name in sizes.processes_arms:
        mixtures = sizes.processes_steps * arms[name].training.batch_size
        arm, per_second = folder / f"{name}.yaml", []
        write_text(arm, to_yaml(arms[name]))
        for number in _NUMBERS:
            output = folder / f"{name}_{number}"
            command = [sys.executable, "-m", "methmix.training"]
            command += ["--config", str(arm), "--experiment", str(config)]
            command += ["--reference", str(few), "--validation", str(validation), "--output", str(output)]
            command += ["--set=training.epochs=1", f"--set=training.mixtures_per_epoch={mixtures}"]
            done = subprocess.run(
                [*command, "--processes", str(number)],
                env={**os.environ, **dict.fromkeys(_THREADS, "1")},
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise RunError(f"training with {number} processes ended with {done.returncode}: {done.stderr[-1000:]}")
            record = json.loads((output / "logs" / "training_record.json").read_text())["record"]
            per_second.append(sizes.processes_steps / record["train_seconds"])
        content[name] = {
            "steps_per_second": dict(zip(map(str, _NUMBERS), per_second, strict=True)),
            "efficiency": per_second[1] / (2 * per_second[0]),
        }
    return content
