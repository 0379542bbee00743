"""A checkpoint as a folder of open formats, to be published: weights in safetensors, all else in JSON, a card."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from methmix.errors import InputError
from methmix.files.atomic import all_or_none, atomic_path, write_text
from methmix.files.checkpoint_file import checked_content
from methmix.files.json_file import read_json
from methmix.provenance import sha256

WEIGHTS_FILE: Final = "model.safetensors"
_CONFIG: Final = "config.json"
_CARD: Final = "README.md"
# Parts of a checkpoint with tensors in them, the prefix of their names in the file of the weights.
_WITH_TENSORS: Final = ("model", "regions")
# Only for resuming a training.
_LEFT_OUT: Final[dict[str, Any]] = {"optimiser": {}, "history": [], "epoch_sums": {}}
_HINT: Final = "get the whole folder again, or use the checkpoint that it was made from"


@all_or_none()
def write_folder(folder: Path, content: dict[str, Any], card: str) -> None:
    """Write what a checkpoint file contains, as `methmix.training.checkpoint` reads it, and its card.

    What only resuming a training needs is left out. The card is written last.
    """
    from safetensors.torch import save

    tensors = {f"{part}.{name}": v for part in _WITH_TENSORS for name, v in content[part].items() if torch.is_tensor(v)}
    chroms = list(dict.fromkeys(content["regions"]["chrom"]))
    code = {name: number for number, name in enumerate(chroms)}
    tensors["regions.chrom"] = torch.tensor([code[name] for name in content["regions"]["chrom"]], dtype=torch.int32)
    plain = {part: {name: v for name, v in content[part].items() if not torch.is_tensor(v)} for part in _WITH_TENSORS}
    plain["regions"]["chrom"] = chroms
    with atomic_path(folder / WEIGHTS_FILE) as temporary:
        temporary.write_bytes(save({name: tensor.contiguous().clone() for name, tensor in tensors.items()}))
        weights = sha256(temporary)
    config = {"model_type": "methmix", "weights_sha256": weights, **content, **plain, **_LEFT_OUT}
    write_text(folder / _CONFIG, json.dumps({**config, "config_sha256": _digest(config)}, indent=1) + "\n")
    write_text(folder / _CARD, card)


def read_folder(folder: Path) -> dict[str, Any]:
    """Read what `write_folder` has written; InputError if a file is missing, damaged or of another model."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config, weights = folder / _CONFIG, folder / WEIGHTS_FILE
    for path in (config, weights):
        if not path.is_file():
            raise InputError(f"{path}: no such file, which a model folder has", _HINT)
    content = read_json(config, _HINT)
    if content.pop("model_type", None) != "methmix":
        raise InputError(f"{config}: is not the configuration of a methmix model", _HINT)
    if content.get("weights_sha256") != sha256(weights):
        raise InputError(f"{weights}: is not the file that {_CONFIG} belongs to", _HINT)
    stated = content.pop("config_sha256", None)
    sealed = stated == _digest({"model_type": "methmix", **content})
    if stated is not None and not sealed:
        raise InputError(f"{config}: is damaged: its digest does not hold", _HINT)
    try:
        tensors: dict[str, Tensor] = load_file(weights)
        for name, tensor in tensors.items():
            part, _, own = name.partition(".")
            content[part][own] = [content[part][own][code] for code in tensor] if name == "regions.chrom" else tensor
    except (ValueError, TypeError, KeyError, IndexError, SafetensorError) as error:
        raise InputError(f"{folder}: is not a readable model folder ({error})", _HINT) from None
    return checked_content(config, content, sealed)


def _digest(config: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
