"""Panels of normals as files: HDF5 that is refused when damaged, changed, or of another model."""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from methmix.errors import InputError
from methmix.files.hdf5 import open_hdf5, read_dataset, readable
from methmix.files.new_hdf5 import new_hdf5
from methmix.files.schema import TEXT, Attribute, Dataset, FileSchema
from methmix.normals.amount_calibration import AMOUNTS, AmountCalibration
from methmix.normals.background import Background
from methmix.normals.excess import Excess
from methmix.normals.panel import Panel

# Intercept and slopes of the logit of presence.
_N_PRESENCE = 3
_BACKGROUND = ("mean", "factors", "variance")
_CALIBRATION = ("lower", "upper", "found", "presence")
_TEXTS = ("tissues", "controls/names", "controls/digests")
_OF_SAMPLE = Dataset("float64", ("controls",))
_OF_TISSUE = Dataset("float64", ("controls", "tissues"))
_QUANTILES = Dataset("float64", ("tissues", "amounts"))
SCHEMA = FileSchema(
    made_by="python -m methmix.normals",
    version=2,
    datasets={
        "tissues": Dataset(TEXT, ("tissues",)),
        **dict.fromkeys(("controls/names", "controls/digests"), Dataset(TEXT, ("controls",))),
        "controls/depths": replace(_OF_SAMPLE, low=0),
        **dict.fromkeys(("controls/total_score", "controls/misfit"), replace(_OF_SAMPLE, low=0)),
        # An error is infinite where a control has no reads that could show the tissue.
        "controls/amounts": replace(_OF_TISSUE, low=0),
        "controls/error": replace(_OF_TISSUE, low=0, high=math.inf),
        "mean": Dataset("float32", ("regions",), low=0, high=1),
        "factors": Dataset("float32", ("factors", "regions")),
        # Infinite where too few controls have reads.
        "variance": Dataset("float32", ("regions",), low=0, high=math.inf),
        **{f"calibration/{name}": _QUANTILES for name in _CALIBRATION if name != "presence"},
        "calibration/presence": Dataset("float64", ("coefficients",)),
    },
    attributes={
        "shrinkage": Attribute("number", optional=False),
        "attributes": Attribute("json object", optional=False),
        "digest": Attribute("text", optional=False),
    },
)


def write_panel(path: Path, panel: Panel) -> None:
    """Write a panel atomically."""
    strings = dict(zip(_TEXTS, (panel.tissues, panel.names, panel.digests), strict=True))
    content = _arrays(panel)
    with new_hdf5(path) as file:
        for name, values in content.items():
            # In single precision what has an axis of regions; the factors are by far the largest.
            file[name] = values.astype(SCHEMA.datasets[name].dtype)
        for name, texts in strings.items():
            file.create_dataset(name, data=np.array(texts, dtype=h5py.string_dtype()))
        file.attrs["schema_version"] = SCHEMA.version
        file.attrs["shrinkage"] = panel.shrinkage
        # The digest of one that was read is made again.
        attributes = {name: value for name, value in panel.attributes.items() if name != "digest"}
        file.attrs["attributes"] = json.dumps(attributes)
        file.attrs["digest"] = _digest(file)


def read_panel(path: Path) -> Panel:
    """Read a panel; `InputError` if it is none, damaged or changed."""
    file, stated = open_hdf5(path, SCHEMA)
    with file:
        with readable(path, SCHEMA):
            digest = _digest(file)
        if stated["digest"] != digest:
            raise InputError(f"{path}: was changed after it was made: its digest does not hold", SCHEMA.remedy)
        read = {name: read_dataset(path, file, SCHEMA, name) for name in SCHEMA.datasets}
    background = Background(*(torch.from_numpy(read[name].astype(np.float64)) for name in _BACKGROUND))
    crossfitted = Excess(*(torch.from_numpy(read[f"controls/{name}"]) for name in Excess._fields))
    calibration = AmountCalibration(*(read[f"calibration/{name}"] for name in _CALIBRATION))
    attributes = {**json.loads(stated["attributes"]), "digest": digest}
    _check_fit(path, attributes, calibration, len(read["tissues"]))
    tissues, names, digests = (read[name] for name in _TEXTS)
    shrinkage, depths = float(stated["shrinkage"]), read["controls/depths"]
    return Panel(background, shrinkage, tissues, names, digests, depths, crossfitted, calibration, attributes)


def _check_fit(path: Path, attributes: dict[str, Any], calibration: AmountCalibration, n_tissues: int) -> None:
    """Check what is read of a panel beside its arrays."""
    columns, *of_background = (attributes.get(name) for name in ("columns", "background", "background_composition"))
    if not (isinstance(columns, list) and len(columns) == n_tissues and all(isinstance(c, int) for c in columns)):
        wrong = f"columns: the places of its {n_tissues} tissues of interest in the model"
    elif not all(isinstance(part, list) for part in of_background):
        wrong = "background or background_composition"
    elif not {"versions", "commit"} <= attributes.keys():
        wrong = "versions or commit"
    elif calibration.lower.shape[1] != len(AMOUNTS) or len(calibration.presence) != _N_PRESENCE:
        wrong = f"a calibration at {len(AMOUNTS)} amounts with {_N_PRESENCE} coefficients of presence"
    else:
        return
    raise InputError(f"{path}: lacks {wrong}", SCHEMA.remedy)


def check_panel(path: Path, panel: Panel, expected: dict[str, str]) -> None:
    """Check that a panel was made with a model; ``expected`` are attributes of the panel, `InputError` on another."""
    for name, value in expected.items():
        if panel.attributes.get(name) != value:
            raise InputError(
                f"{path}: is a panel of normals of another {name.replace('_', ' ')} "
                f"(panel: {panel.attributes.get(name)}; model: {value})",
                f"make one for this model with {SCHEMA.made_by} --checkpoint",
            )


def check_counted(path: Path, panel: Panel, modification: str) -> None:
    """Check that a panel was counted as samples are (5mC, 5mC+5hmC), `InputError` if not; older ones do not say."""
    own = panel.attributes.get("modification", modification)
    if own != modification:
        raise InputError(
            f"{path}: its controls were counted as {own}, and the samples are as {modification}: what exceeds the "
            "controls would be 5hmC",
            f"count both alike, with --modification {own}, or by {SCHEMA.made_by} --modification {modification}",
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
    for name in sorted(SCHEMA.datasets):
        values = file[name][:]
        made.update(f"{name} {values.shape}".encode())
        made.update("\n".join(map(bytes.decode, values)).encode() if values.dtype == object else values.tobytes())
    made.update(str(file.attrs.get("shrinkage")).encode() + str(file.attrs.get("attributes")).encode())
    return made.hexdigest()
