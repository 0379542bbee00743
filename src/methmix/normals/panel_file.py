"""Panels of normals as files: HDF5 that is refused when damaged, changed, or of another model."""

import hashlib
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from methmix.errors import InputError
from methmix.files.hdf5 import open_hdf5, readable
from methmix.files.new_hdf5 import new_hdf5
from methmix.normals.amount_calibration import AmountCalibration
from methmix.normals.background import Background
from methmix.normals.excess import Excess
from methmix.normals.panel import Panel

SCHEMA_VERSION = 2
_MADE_BY = "python -m methmix.normals"
_AGAIN = f"make it again with {_MADE_BY}"
_BACKGROUND = ("mean", "factors", "variance")
_CALIBRATION = ("lower", "upper", "found", "presence")
_TEXTS = ("tissues", "controls/names", "controls/digests")
_DATASETS = {
    **dict(zip(_BACKGROUND, (1, 2, 1), strict=True)),
    **{f"controls/{name}": n for name, n in zip(Excess._fields, (2, 2, 1, 1), strict=True)},
    **{f"calibration/{name}": n for name, n in zip(_CALIBRATION, (2, 2, 2, 1), strict=True)},
    **dict.fromkeys((*_TEXTS, "controls/depths"), 1),
}


def write_panel(path: Path, panel: Panel) -> None:
    """Write a panel atomically."""
    strings = dict(zip(_TEXTS, (panel.tissues, panel.names, panel.digests), strict=True))
    content = _arrays(panel)
    with new_hdf5(path) as file:
        for name, values in content.items():
            # In single precision what has an axis of regions; the factors are by far the largest.
            file[name] = values.astype(np.float32) if name in _BACKGROUND else values
        for name, texts in strings.items():
            file.create_dataset(name, data=np.array(texts, dtype=h5py.string_dtype()))
        file.attrs["schema_version"] = SCHEMA_VERSION
        file.attrs["shrinkage"] = panel.shrinkage
        file.attrs["attributes"] = json.dumps(panel.attributes)
        file.attrs["digest"] = _digest(file)


def read_panel(path: Path) -> Panel:
    """Read a panel; `InputError` if it is none, damaged or changed."""
    with readable(path, _MADE_BY), open_hdf5(path, _MADE_BY, SCHEMA_VERSION, _DATASETS) as file:
        if file.attrs.get("digest") != _digest(file):
            raise InputError(f"{path}: was changed after it was made: its digest does not hold", _AGAIN)
        background = Background(*(torch.from_numpy(file[name][:].astype(np.float64)) for name in _BACKGROUND))
        crossfitted = Excess(*(torch.from_numpy(file[f"controls/{name}"][:]) for name in Excess._fields))
        calibration = AmountCalibration(*(file[f"calibration/{name}"][:] for name in _CALIBRATION))
        tissues, names, digests = (file[name].asstr()[:].tolist() for name in _TEXTS)
        shrinkage, attributes = float(file.attrs["shrinkage"]), json.loads(file.attrs["attributes"])
        depths, digest = file["controls/depths"][:], str(file.attrs["digest"])
    attributes["digest"] = digest
    return Panel(
        background, shrinkage, tissues, names, digests, depths, crossfitted, calibration, attributes
    )  # fmt: skip


def check_panel(path: Path, panel: Panel, expected: dict[str, str]) -> None:
    """Check that a panel was made with a model; ``expected`` are attributes of the panel, `InputError` on another."""
    for name, value in expected.items():
        if panel.attributes.get(name) != value:
            raise InputError(
                f"{path}: is a panel of normals of another {name.replace('_', ' ')} "
                f"(panel: {panel.attributes.get(name)}; model: {value})",
                f"make one for this model with {_MADE_BY} --checkpoint",
            )


def _arrays(panel: Panel) -> dict[str, Any]:
    background = {name: getattr(panel.background, name).numpy() for name in _BACKGROUND}
    estimates = zip(Excess._fields, panel.crossfitted, strict=True)
    controls = {f"controls/{name}": values.numpy() for name, values in estimates}
    calibration = {f"calibration/{name}": getattr(panel.calibration, name) for name in _CALIBRATION}
    return {**background, **controls, "controls/depths": panel.depths, **calibration}


def _digest(file: h5py.File) -> str:
    """Digest the content: all datasets and attributes but the digest itself."""
    made = hashlib.sha256()
    for name in sorted(_DATASETS):
        values = file[name][:]
        made.update(f"{name} {values.shape}".encode())
        made.update("\n".join(map(bytes.decode, values)).encode() if values.dtype == object else values.tobytes())
    made.update(str(file.attrs.get("shrinkage")).encode() + str(file.attrs.get("attributes")).encode())
    return made.hexdigest()
