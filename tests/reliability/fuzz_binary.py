"""Binary files and configurations, small and right, with their readers, for `tests.reliability.fuzz`.

Each of ``TARGETS`` is the name of a file, a function that writes a good one to a path, a function that reads it as the
product does and returns something comparable, and how many cells an edit may change: None for files with a digest, of
which anything but the same or a refusal is a failure.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import torch

from methmix.config.load import load_ablation, load_arm, load_experiment, load_sweep
from methmix.config.sources import PatternH5Reference
from methmix.files.mixtures import MixturesWriter, read_mixtures
from methmix.files.reference import Reference, read_reference, write_reference
from methmix.models.registry import build_model
from methmix.normals.amount_calibration import AMOUNTS, AmountCalibration
from methmix.normals.background import Background
from methmix.normals.excess import Excess
from methmix.normals.panel import Panel
from methmix.normals.panel_file import read_panel, write_panel
from methmix.reference.pattern_h5 import read_pattern_donors
from methmix.rows import fractions
from methmix.sweep.points import Point, read_generation, write_generation
from methmix.training.checkpoint import load_model, publish_checkpoint, save_checkpoint
from methmix.training.state import new_checkpoint
from methmix.training.validation_facts import ValidationFacts, read_facts, write_facts

ROOT = Path(__file__).resolve().parents[2]
_TISSUES, _N_REGIONS = ["Blood", "Colon", "Liver"], 12


@cache
def small_reference() -> Reference:
    """Make a reference of 9 donors of 3 tissues in 12 regions."""
    rng = np.random.default_rng(1)
    depth = rng.poisson(20, (9, _N_REGIONS)).astype(np.int32)
    start = np.arange(_N_REGIONS) * 100
    attributes = {
        "source": "simulated", "seed": 1, "genome": "hg38", "measure": "cpg", "notes": '["a note"]', "sha256": "{}",
        "versions": '{"methmix": "0"}', "settings": "{}",
    }  # fmt: skip
    return Reference(
        rng.binomial(depth, rng.beta(0.5, 0.5, (9, _N_REGIONS))).astype(np.int32),
        depth,
        [f"{tissue}-{number}" for tissue in _TISSUES for number in range(3)],
        [tissue for tissue in _TISSUES for _ in range(3)],
        ["train", "validation", "test"] * 3,
        pd.DataFrame({"chrom": "chr1", "start": start, "end": start + 50}),
        attributes,
    )


def write_mixtures_file(path: Path, regions: pd.DataFrame | None = None, n: int = 5) -> None:
    """Write mixtures of `small_reference`, with other coordinates or, by default, its own."""
    rng, reference = np.random.default_rng(2), small_reference()
    depth = rng.poisson(3, (n, _N_REGIONS))
    methylated = rng.binomial(depth, 0.4)
    proportions = rng.dirichlet(np.ones(3), n).astype(np.float32)
    attributes = {
        "phase": "phase2", "split": "test", "seed": 1, "recipe": "{}", "notes": "[]", "reference_source": "simulated",
        "reference_digest": reference.content_digest,
    }  # fmt: skip
    regions = reference.regions if regions is None else regions
    with MixturesWriter.open(path, n, regions, _TISSUES, attributes) as writer:
        writer.append(
            fractions(methylated, depth), depth, proportions, proportions, [{"seed": row} for row in range(n)]
        )


def write_panel_file(path: Path) -> None:
    """Write a panel of 10 controls for two tissues of interest."""
    rng, n = np.random.default_rng(3), 10
    background = Background(
        torch.rand(_N_REGIONS, dtype=torch.float64, generator=torch.Generator().manual_seed(1)),
        torch.ones(2, _N_REGIONS, dtype=torch.float64),
        torch.full((_N_REGIONS,), torch.inf, dtype=torch.float64),
    )
    of_tissues = (torch.from_numpy(rng.random((n, 2))) for _ in range(2))
    crossfitted = Excess(*of_tissues, *(torch.from_numpy(rng.random(n)) for _ in range(2)))
    calibration = AmountCalibration(*(rng.random((2, len(AMOUNTS))) for _ in range(3)), rng.random(3))
    attributes = {
        "columns": [1, 2], "background": ["Blood"], "background_composition": [1.0], "model": "m", "genome": "hg38",
        "commit": "c", "versions": {},
    }  # fmt: skip
    names = [f"c{number}" for number in range(n)]
    write_panel(
        path, Panel(background, 0.1, _TISSUES[1:], names, names, rng.random(n), crossfitted, calibration, attributes)
    )  # fmt: skip


@cache
def small_checkpoint() -> Any:
    """Make a checkpoint of a model that is not trained."""
    reference, arm = small_reference(), load_arm(ROOT / "config/phase2_sparse.yaml")
    model = build_model(arm, torch.from_numpy(reference.complete_profiles("train")), seed=1)
    record = {"n_parameters": 1, "versions": {}, "donors": {}, "reference_notes": "[]"}
    checkpoint = new_checkpoint(arm, 1, reference, {"reference": reference.content_digest}, record)
    checkpoint.model = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return checkpoint


@cache
def _model_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="methmix.fuzz."))
    publish_checkpoint(folder, small_checkpoint(), "a card\n")
    return folder


def read_model(path: Path) -> Any:
    """Read a checkpoint and its model."""
    model, checkpoint = load_model(path)
    return {**_plain(asdict(checkpoint)), "weights": _plain(model.state_dict())}


def _folder_with(path: Path) -> Any:
    """Read a model folder, one of whose files is this one."""
    for name in ("config.json", "model.safetensors"):
        if name != path.name:
            shutil.copy(_model_folder() / name, path.parent)
    try:
        return read_model(path.parent)
    finally:
        for name in {"config.json", "model.safetensors"} - {path.name}:
            (path.parent / name).unlink()


def _of_reference(path: Path) -> Any:
    found = read_reference(path)
    return [found.content_digest, found.regions.to_dict("list"), _plain(found.attributes), found.composition]


def _of_mixtures(path: Path) -> Any:
    found = read_mixtures(path)
    arrays = [found.methylation[:], found.depth[:], found.proportions, found.label_proportions]
    return [*arrays, found.info, found.tissue_names, _plain(found.attributes), found.regions.to_dict("list")]


def _of_panel(path: Path) -> Any:
    found = read_panel(path)
    arrays = [vars(found.background), found.crossfitted._asdict(), found.calibration._asdict()]
    return [*map(_plain, arrays), found.shrinkage, found.tissues, found.names, found.depths, found.attributes]


def _plain(values: Any) -> Any:
    """Turn tensors within dictionaries and lists into arrays."""
    if isinstance(values, dict):
        return {name: _plain(value) for name, value in values.items()}
    if isinstance(values, list):
        return [_plain(value) for value in values]
    return values.numpy() if isinstance(values, torch.Tensor) else values


def write_pattern_file(path: Path) -> None:
    """Write single CpG calls of three samples, with the check sums of HDF5: it is not a file of ours."""
    calls = np.random.default_rng(4).integers(0, 3, (3, 4, 6)).astype(np.uint8)
    with h5py.File(path, "w") as file:
        file.create_dataset("methylation", data=calls, chunks=(1, 4, 6), compression="gzip", fletcher32=True)


def _of_pattern(path: Path) -> Any:
    rows = "".join(f"s{row},tissue{row},0,false,s{row}\n" for row in range(3))
    (path.parent / "samples.csv").write_text(
        "sample_name,tissue_top_level,aug_version,is_synthetic,original_sample\n" + rows
    )
    (path.parent / "regions.bed").write_text("".join(f"chr1\t{100 * row}\t{100 * row + 50}\n" for row in range(4)))
    settings = PatternH5Reference(
        source="pattern_h5", genome="hg38", file=str(path), metadata=str(path.parent / "samples.csv"),
        regions_bed=str(path.parent / "regions.bed"),
    )  # fmt: skip
    found = read_pattern_donors(settings)
    return [found.methylated, found.depth]


def _shipped(name: str) -> Callable[[Path], Any]:
    # A configuration that is laid over others is found beside the shipped ones.
    return lambda path: path.write_text((ROOT / "config" / name).read_text())


def _configuration(load: Callable[[Path], Any], path: Path) -> Any:
    return load(path).model_dump(mode="json")


def _write_points(path: Path) -> None:
    write_generation(path, [Point("sparse", {"loss.presence_weight": 0.5})])


def _of_points(path: Path) -> Any:
    return read_generation(path)


def _write_facts(path: Path) -> None:
    write_facts(path.parent, ValidationFacts(3, 2, 1, 3, 0.5, 0.5))


def _of_facts(path: Path) -> Any:
    return asdict(read_facts(path.parent))


TARGETS: tuple[tuple[str, Callable[[Path], Any], Callable[[Path], Any], int | None], ...] = (
    ("reference.h5", lambda path: write_reference(path, small_reference()), _of_reference, None),
    ("mixtures.h5", write_mixtures_file, _of_mixtures, None),
    ("normals.h5", write_panel_file, _of_panel, None),
    ("checkpoint.pt", lambda path: save_checkpoint(path, small_checkpoint()), read_model, None),
    ("config.json", lambda path: shutil.copy(_model_folder() / "config.json", path), _folder_with, None),
    ("model.safetensors", lambda path: shutil.copy(_model_folder() / "model.safetensors", path), _folder_with, None),
    ("patterns.h5", write_pattern_file, _of_pattern, 1),
    ("experiment.yaml", _shipped("metdecode.yaml"), partial(_configuration, load_experiment), None),
    ("arm.yaml", _shipped("phase2_sparse.yaml"), partial(_configuration, load_arm), None),
    ("ablation.yaml", _shipped("phase2_ablation.yaml"), partial(_configuration, load_ablation), None),
    ("sweep.yaml", _shipped("sweeps/loss_weights.yaml"), partial(_configuration, load_sweep), None),
    ("generation_1.json", _write_points, _of_points, None),
    ("validation_mixtures.json", _write_facts, _of_facts, None),
)  # fmt: skip
