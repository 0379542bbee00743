"""What a panel of normals costs: to make it, and to compare samples with it. Its data are made on the spot."""

import json
import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from methmix.benchmark.apart import apart, peak_memory, timed
from methmix.config.load import load_arm, load_experiment
from methmix.config.sources import SimulatedReference
from methmix.files.atomic import write_text
from methmix.models.deconvolver import Deconvolver
from methmix.models.prediction import predict
from methmix.models.registry import build_model
from methmix.normals.panel import Controls, make_panel
from methmix.normals.panel_file import read_panel, write_panel
from methmix.prediction.against_normals import beside_panel
from methmix.rows import blocks
from methmix.shipped import found
from methmix.tissue_profiles import Profiles

logger = logging.getLogger("methmix")

# What is aimed at for the samples: seconds and MiB.
AIM = (120, 1500)
_N_CONTROLS, _N_SAMPLES, _N_TISSUES, _DEPTH = 100, 1000, 22, 30
_BLOCK = 128


def measure_panel(output: Path, fraction: float) -> dict[str, Any]:
    """Time a panel of 100 controls and 1,000 samples, ``fraction`` of the regions; writes panel.json.

    The spiked controls that a panel is calibrated with are the most of what it takes to make it; their number grows
    with that of the tissues of interest.
    """
    times: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="methmix.") as folder:
        panel = Path(folder, "normals.h5")
        for what, part in (("making", _making), ("samples", _comparing)):
            cost = apart(part, fraction, panel)
            figures = cost["cpu_seconds"], cost["seconds"], cost["memory_mib"]
            logger.info("%s: %.1f s of CPU (%.1f s), %.0f MiB", what, *figures)
            times |= {f"{what}_{name}": value for name, value in cost.items()}
    logger.info("aim for the samples at the whole size: %d s, %d MiB", *AIM)
    output.mkdir(parents=True, exist_ok=True)
    write_text(output / "panel.json", json.dumps({"fraction": fraction, **times}, indent=2) + "\n")
    return times


def _making(fraction: float, path: Path) -> dict[str, float]:
    """Make a panel, and write it."""
    model, rng = _model(fraction), np.random.default_rng(1)
    samples = _blood(model, _N_CONTROLS, rng)
    tissues = [f"tissue {number}" for number in range(1, _N_TISSUES)]
    assert model.profiles is not None  # for the type checker
    profiles = model.profiles.mean[1:]

    def donors(tissue: Any, _: np.random.Generator) -> tuple[Any, Any]:
        return profiles[tissue].double().numpy(), np.ones(len(tissue))

    times: dict[str, float] = {}
    # As of a checkpoint, which this model has not.
    attributes = {"columns": list(range(1, _N_TISSUES)), "background": ["tissue 0"], "background_composition": [1.0]}
    attributes |= {"versions": {}, "commit": ""}
    with timed(times):
        write_panel(path, make_panel(samples, profiles, tissues, donors, 0.1, rng, attributes))
    return {**times, "memory_mib": peak_memory()}


def _comparing(fraction: float, path: Path) -> dict[str, float]:
    """Read a panel, and compare samples with it."""
    model, rng = _model(fraction), np.random.default_rng(2)
    times: dict[str, float] = {}
    with timed(times):
        panel = read_panel(path)
    for rows in blocks(_N_SAMPLES, _BLOCK):
        values = _blood(model, rows.stop - rows.start, rng).values()
        with timed(times):
            beside_panel(panel, model, predict(model, *values), *values)
    return {**times, "memory_mib": peak_memory()}


def _model(fraction: float) -> Deconvolver:
    """Make a sparse model, untrained, as that makes no difference to what it costs."""
    reference, rng = load_experiment(found("config/full_scale.yaml")).reference, np.random.default_rng(0)
    assert isinstance(reference, SimulatedReference)  # for the type checker
    n_regions = max(int(reference.n_regions * fraction), 50)
    mean = 0.7 * rng.beta(0.5, 0.5, n_regions) + 0.3 * rng.beta(0.5, 0.5, (_N_TISSUES, n_regions))
    profiles = torch.from_numpy(mean.astype(np.float32))
    arm = load_arm(found("config/phase2_sparse.yaml"))
    tissues = Profiles(profiles, torch.full_like(profiles, 0.005), torch.full_like(profiles, 0.001))
    return build_model(arm, profiles, 1, tissues).eval()


def _blood(model: Deconvolver, n: int, rng: np.random.Generator) -> Controls:
    """Draw samples of the first tissue alone."""
    assert model.profiles is not None  # for the type checker
    mean = model.profiles.mean[0].double().numpy()
    depth = rng.poisson(_DEPTH, (n, len(mean)))
    return Controls([f"sample {row}" for row in range(n)], rng.binomial(depth, mean), depth)
