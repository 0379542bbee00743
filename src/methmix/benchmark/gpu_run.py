"""One prepared run on a GPU, checks and times; gpu.json and its page are written anew after every part."""

import json
import logging
import subprocess
import tempfile
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from methmix.benchmark import gpu_checks, gpu_processes, gpu_times
from methmix.benchmark.gpu_page import aims, page
from methmix.benchmark.gpu_parts import Account, Deadline, Part
from methmix.benchmark.gpu_room import DRY, FULL, Room, Sizes
from methmix.benchmark.measure import machine
from methmix.errors import InputError
from methmix.files.atomic import all_or_none, write_text

logger = logging.getLogger("methmix")

_FULL_SCALE, _TINY = Path("config/full_scale.yaml"), Path("config/tiny.yaml")


def run_on_gpu(config: Path | None, output: Path, device: str, seconds: float) -> int:
    """Write ``gpu.json`` and ``gpu.html``; on the device ``cpu`` as a dry run at a small size.

    Returns 1 if a check or a part has failed, else 0; aims that are missed are results.
    """
    deadline = Deadline(seconds)
    dry = device == "cpu"
    if not dry and not torch.cuda.is_available():
        raise InputError(
            f"--gpu: torch {torch.__version__} finds no GPU here",
            "is it torch's CPU build, or is the driver too old? See nvidia-smi; --device cpu is a dry run",
        )
    measured_on = torch.device("cpu") if dry else torch.device("cuda", torch.cuda.current_device())
    described = describe(measured_on)
    logger.info("%s, torch %s, Triton %s", described["gpu"] or "dry run", torch.__version__, described["triton"])
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".gpu.", dir=output) as folder:
        room = Room(
            config or (_TINY if dry else _FULL_SCALE), DRY if dry else FULL, measured_on, Path(folder), deadline
        )
        logger.info("%6.1f s  references of %d and %d regions", deadline.spent, room.whole, room.few)
        account = Account(parts(room))
        account.measure(deadline, lambda: _write(output, room, account, described))
    for name in account.failed:
        logger.error("failed: %s", name)
    logger.info("report written to %s", output / "gpu.html")
    return 1 if account.failed else 0


def parts(room: Room) -> list[Part]:
    """List the parts: what is quick and decides most comes first."""
    return [
        Part(
            "reads",
            partial(gpu_checks.reads, room),
            {
                "reads: values": "reads drawn by device and CPU from the same seeds",
                "reads: distribution": "mean, variance and zeros of drawn counts with those of Poisson",
            },
        ),
        Part("speed", partial(gpu_times.speed, room)),
        *(part for arm in room.names for part in _at_full_size(room, arm)),
        *(part for arm in room.names for part in _restarted(room, arm)),
        Part(
            "messages",
            partial(gpu_processes.messages, room),
            {
                "message: no GPU": "how python -m methmix.training --device cuda ends without a GPU: 0 is clearly",
                "message: out of memory": "how a training ends whose batch is too large for the memory: 0 is clearly",
            },
            10,
        ),
        Part("mixing", partial(gpu_times.mixing, room), seconds=5),
        *(Part(f"batch sizes {arm}", partial(gpu_times.rates, room, arm), seconds=10) for arm in room.names),
        *(Part(f"whole training {arm}", partial(gpu_times.whole, room, arm), seconds=5) for arm in room.names),
        # A CPU takes most of their time.
        *(part for arm in room.names for part in _on_cpu_too(room, arm)),
    ]


def _on_cpu_too(room: Room, arm: str) -> list[Part]:
    trained = {f"{arm}: training": f"validation MAE after {room.sizes.training_steps} steps on device and CPU"}
    if room.arm(arm, room.few).model.backbone == "mlp":
        trained[f"{arm}: bfloat16"] = "the same on the GPU with products in bfloat16 and in float32"
    return [Part(f"training {arm}", partial(gpu_checks.training, room, arm), trained, 10)]


def _at_full_size(room: Room, arm: str) -> list[Part]:
    predicted = {
        f"{arm}: prediction": f"predictions of {room.sizes.mixtures:,} mixtures by device and CPU",
        f"{arm}: zeros of the prediction": "which of these estimates are exactly 0",
    }
    waits = {f"{arm}: waits in a step": "waits for the GPU in a step, drawing included"} if arm == room.names[0] else {}
    memory = {f"{arm}: memory": "peak GPU memory of training and validation at the full size"}
    return [
        Part(f"waits {arm}", partial(gpu_checks.waits, room, arm), waits),
        Part(f"steps {arm}", partial(gpu_times.steps, room, arm), memory, 10),
        Part(f"prediction {arm}", partial(gpu_checks.prediction, room, arm), predicted, 5),
        Part(f"work {arm}", partial(gpu_times.work, room, arm), seconds=3),
    ]


def _restarted(room: Room, arm: str) -> list[Part]:
    resumed = {f"{arm}: resumed training": "weights of a training that was stopped and resumed, and of one in one go"}
    divided = {
        f"{arm}: two ranks": "validation loss of a training by two processes on one device (gloo), and by one",
        f"{arm}: NCCL": "training loss of one process that is connected by NCCL, and of one that is not",
    }
    return [
        Part(f"resume {arm}", partial(gpu_checks.resume, room, arm), resumed, 5),
        Part(f"ranks {arm}", partial(gpu_processes.ranks, room, arm), divided, 10),
    ]


def describe(device: torch.device) -> dict[str, Any]:
    """Describe the machine, its GPU and driver."""
    try:
        triton = version("triton")
    except PackageNotFoundError:
        triton = "not installed"
    return {**machine(device), "driver": _driver(), "cuda": torch.version.cuda, "triton": triton}


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return answer.splitlines()[0].strip() if answer.strip() else "unknown"


@all_or_none()
def _write(output: Path, room: Room, account: Account, described: dict[str, Any]) -> None:
    content = {
        "mode": "GPU" if room.on_gpu else "dry run",
        "seconds": room.deadline.spent,
        "limit_seconds": room.deadline.seconds,
        "machine": described,
        "sizes": _sizes(room, room.sizes),
        "checks": account.checks,
        "aims": aims(account.measured),
        "parts": account.parts,
        "measured": account.measured,
    }
    write_text(output / "gpu.json", json.dumps(content, indent=2) + "\n")
    write_text(output / "gpu.html", page(content))


def _sizes(room: Room, sizes: Sizes) -> dict[str, Any]:
    reference = room.reference(room.whole)
    counted = {"tissues": len(reference.tissue_names), "donors": len(reference.donors)}
    return {**counted, "regions": room.whole, "few_regions": room.few, "mixtures": sizes.mixtures}
