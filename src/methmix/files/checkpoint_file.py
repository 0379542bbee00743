"""What a checkpoint contains, stated once and checked on loading: a file of ``torch.save``, or a model folder.

Sizes and checksums are looked at before anything is unpickled, and only what ``weights_only=True`` allows is.
"""

import json
import logging
import pickle
import zipfile
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NotRequired, Required

import torch
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError, with_config
from torch import Tensor
from typing_extensions import TypedDict

from methmix.bounds import check_size
from methmix.errors import InputError, first_line
from methmix.files.seal import check_seal

logger = logging.getLogger("methmix")

# The last one has a seal (`methmix.files.seal`), a folder a digest of its JSON file.
VERSIONS: Final = (2, 3)
_REMEDY: Final = "copy it again from where it was made, or train again"
# Entries of lists and dictionaries: a few for each of ten million regions.
_MOST_ENTRIES: Final = 2 * 10**7
# Buffers in which infinity says that nothing is known (`methmix.models`).
_UNKNOWN: Final = ("limits.", "head.intervals.outside")


def _column(dtype: torch.dtype, high: float) -> AfterValidator:
    """Check a value for each region, 0 to ``high``."""

    def check(value: Any) -> Tensor:
        checked = _whole(value)
        if checked.ndim != 1 or checked.dtype != dtype:
            raise ValueError(f"expected {dtype}, 1 axis, found {checked.dtype}, {checked.ndim} axes")
        if not ((checked >= 0) & (checked <= high)).all():
            raise ValueError(f"expected values from 0 to {high}")
        return checked

    return AfterValidator(check)


def _whole(value: Any) -> Tensor:
    """Check that something is an ordinary tensor that has as much memory as it has elements."""
    if type(value) is not Tensor or value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
        raise ValueError(f"expected a tensor, found {type(value).__name__}")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes() or not value.is_contiguous():
        raise ValueError(f"expected a tensor with all its values, found shape {tuple(value.shape)} of fewer")
    return value


def _weights(weights: dict[str, Any]) -> dict[str, Tensor]:
    for name, tensor in weights.items():
        try:
            _whole(tensor)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    if (wrong := not_finite(weights)) is not None:
        raise ValueError(f"{wrong}: has values that are not finite")
    return weights


def _json_list(text: str) -> str:
    if not isinstance(json.loads(text), list):
        raise ValueError("expected a list in JSON")
    return text


def _distinct(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("expected distinct names")
    return names


_Name = Annotated[str, Field(min_length=1)]
_Position = Annotated[Any, _column(torch.int64, 2**62)]
_Count = Annotated[int, Field(ge=0)]
_STRICT: Final = ConfigDict(strict=True, arbitrary_types_allowed=True, extra="allow")


@with_config(_STRICT)
class _Regions(TypedDict):
    chrom: Annotated[list[_Name], Field(min_length=1)]
    start: _Position
    end: _Position
    start_cpg: NotRequired[_Position]
    end_cpg: NotRequired[_Position]
    measure: NotRequired[Literal["cpg", "fragment"]]
    modification: NotRequired[Literal["5mC", "5mC+5hmC"]]
    mean_methylation: NotRequired[Annotated[Any, _column(torch.float32, 1)]]
    least_correlation: NotRequired[Annotated[float, Field(ge=-1, le=1)]]


@with_config(_STRICT)
class _Record(TypedDict, total=False):
    n_parameters: Required[_Count]
    versions: dict[str, str]
    reference_notes: Annotated[str, AfterValidator(_json_list)]
    donors: dict[str, Annotated[list[_Count], Field(min_length=3, max_length=3)]]
    recipe: dict[str, Any]
    admixture: dict[str, list[Annotated[float, Field(allow_inf_nan=False)]]]
    borrowed_spread: bool
    train_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


@with_config(_STRICT)
class _Content(TypedDict):
    arm: dict[str, Any]
    seed: _Count
    tissue_names: Annotated[list[_Name], Field(min_length=1), AfterValidator(_distinct)]
    regions: _Regions
    genome: str
    reference_digest: str
    identity: dict[str, str]
    model: Annotated[dict[str, Any], AfterValidator(_weights)]
    optimiser: dict[str, Any]
    step: _Count
    epoch_sums: dict[str, Annotated[float, Field(allow_inf_nan=False)]]
    history: list[dict[str, str | int | float | None]]
    best: dict[str, bool | str | int | float | None]
    finished: bool
    record: _Record


_SCHEMA: Final[TypeAdapter[Any]] = TypeAdapter(_Content)


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Name the first of these weights or buffers that has NaN or, where that has no meaning, infinity."""
    for name, tensor in tensors.items():
        unknown = name.startswith(_UNKNOWN)
        # A tensor of whole numbers is always finite.
        if tensor.is_floating_point() and (tensor.isnan() if unknown else ~tensor.isfinite()).any():
            return name
    return None


def read_checkpoint_file(path: Path) -> dict[str, Any]:
    """Read what a file of ``torch.save`` contains, onto the CPU; InputError if it is damaged or no checkpoint."""
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint", "it is made by python -m methmix.training")
    sealed = check_seal(path, _REMEDY)
    _check_archive(path, sealed)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except Exception as error:
        # A damaged pickle can fail in any way. What torch advises, weights_only=False, would run code of the file.
        foreign = isinstance(error, pickle.UnpicklingError)
        raise _no_checkpoint(path, "it has objects that a checkpoint does not have" if foreign else error) from None
    return checked_content(path, content, sealed)


def checked_content(path: Path, content: Any, sealed: bool) -> dict[str, Any]:
    """Check the content of a checkpoint; ``sealed``: its digest holds."""
    version = content.get("format_version") if isinstance(content, dict) else None
    if type(version) is not int or version not in VERSIONS:
        raise InputError(
            f"{path}: format_version: expected {VERSIONS[-1]}, found {version!s:.20}",
            "it was written by another version of methmix, or is not one of its checkpoints: train again",
        )
    if version == VERSIONS[-1] and not sealed:
        raise InputError(f"{path}: was changed after it was written: its digest is missing", _REMEDY)
    if version < VERSIONS[-1]:
        logger.warning("%s: is of an earlier version, whose files have no digest: changes cannot be detected", path)
    _check_entries(path, content)
    try:
        checked: dict[str, Any] = _SCHEMA.validate_python(content)
    except ValidationError as error:
        raise InputError(f"{path}: {_problem(error)}", "use the checkpoint as it was written, or train again") from None
    _check_regions(path, checked["regions"])
    return checked


def _check_archive(path: Path, sealed: bool) -> None:
    """Check the zip archive, before torch reads it, which checks no checksums: sizes, and checksums without a seal."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
            if not stored or sum(member.file_size for member in members) > path.stat().st_size:
                raise _no_checkpoint(path, "its parts claim more than the file has")
            if not sealed and (damaged := archive.testzip()) is not None:
                raise _no_checkpoint(path, f"the checksum of its part {damaged} does not hold")
    # What zipfile raises of damage; NotImplementedError: of a method of compression that does not exist.
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, PermissionError):
            raise
        raise _no_checkpoint(path, error) from None


def _check_entries(path: Path, content: Any) -> None:
    """Check the number of entries, those of a list as often as it stands in others: it must not stand in itself."""
    sizes: dict[int, int] = {}

    def size(parts: Any) -> int:
        if id(parts) not in sizes:
            sizes[id(parts)] = _MOST_ENTRIES
            inner = chain.from_iterable(parts.items()) if isinstance(parts, dict) else parts
            sizes[id(parts)] = 1 + sum(size(p) if isinstance(p, dict | list | tuple | set) else 1 for p in inner)
        return sizes[id(parts)]

    try:
        check_size(path, "content", size(content), _MOST_ENTRIES, "entries")
    except RecursionError:
        raise _no_checkpoint(path, "its content is nested too deep") from None


def _check_regions(path: Path, regions: Mapping[str, Any]) -> None:
    n = len(regions["chrom"])
    for name in ("start", "end", "start_cpg", "end_cpg", "mean_methylation"):
        if name in regions and len(regions[name]) != n:
            raise InputError(f"{path}: regions.{name}: expected {n} values, found {len(regions[name])}", _REMEDY)
    if (regions["end"] < regions["start"]).any():
        raise InputError(f"{path}: regions: a region ends before it begins", _REMEDY)


def _problem(error: ValidationError) -> str:
    """Say where the first problem is and what was expected there."""
    first = error.errors(include_url=False)[0]
    where, message = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
    if first["type"] == "missing":
        return f"{where} is missing"
    found = f", found {type(first['input']).__name__} {first['input']!r:.40}" if first["type"] != "value_error" else ""
    return f"{where}: {message}{found}"


def _no_checkpoint(path: Path, reason: Exception | str) -> InputError:
    what = reason if isinstance(reason, str) else first_line(reason)
    return InputError(f"{path}: is damaged or not a checkpoint ({what})", _REMEDY)
