"""Read configuration files; what is wrong with one is said with file, line, key, and what was expected."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from methmix.config.arm import ARM_KEYS, ArmSettings, SparseArm, of_one_backbone
from methmix.config.experiment import Ablation, Experiment
from methmix.config.explain import explained, nearest
from methmix.config.yaml_files import Document, Location, laid_over, parse, read
from methmix.errors import InputError

Settings = TypeVar("Settings")

_EXPERIMENT: TypeAdapter[Experiment] = TypeAdapter(Experiment)
_ABLATION: TypeAdapter[Ablation] = TypeAdapter(Ablation)
_ARM: TypeAdapter[ArmSettings] = TypeAdapter(Annotated[ArmSettings, Field(discriminator="arm")])
# They decide which other keys a model has.
_SWITCHES = {"model.backbone", "model.use_two_stage"}


def load_experiment(path: Path) -> Experiment:
    """Read and validate an experiment."""
    return _validated(_EXPERIMENT, read(path))


def load_ablation(path: Path) -> Ablation:
    """Read and validate the variants of an ablation."""
    return _validated(_ABLATION, read(path))


def check_experiment(content: dict[str, Any], path: Path) -> Experiment:
    """Validate the content of an experiment as Snakemake has it: of a file, with what its command line changes.

    A base is relative to that file, and messages name its lines.
    """
    document = read(path) if path.is_file() else Document(path, {})
    unchanged = {key for key, value in content.items() if document.content.get(key) == value}
    places = {location: place for location, place in document.places.items() if location[0] in unchanged}
    return _validated(_EXPERIMENT, Document(path, content, places))


def load_arm(
    path: Path,
    overrides: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
    expected: str | None = None,
) -> ArmSettings:
    """Read and validate the configuration of one arm.

    Parameters
    ----------
    path
        For example ``config/phase2_sparse.yaml``.
    overrides
        Dotted key -> value, for all arms of an experiment; keys that only other arms have are skipped.
    changes
        Dotted key -> value, for this arm.
    expected
        Name of the arm that the file must be for.
    """
    document = _with_base(_ARM, read(path))
    found = document.content.get("arm")
    if expected is not None and found != expected:
        raise InputError(
            f"{path}: arm: expected {expected}, found {found!r}",
            f"this is not a configuration of the {expected} arm; "
            f"config/phase2_{'sparse' if expected == 'sparse' else 'multitissue'}.yaml is one",
        )
    values, strict = {**(overrides or {}), **(changes or {})}, set(changes or {})
    switches = {key: values.pop(key) for key in _SWITCHES & values.keys()}
    return _changed(_changed(_validated(_ARM, document), path, switches, strict), path, values, strict)


def arm_of_record(content: dict[str, Any]) -> ArmSettings:
    """Validate the configuration of an arm in a checkpoint, also of an earlier version: missing keys have defaults."""
    return _validated(_ARM, Document(Path("configuration in the checkpoint"), content))


def load(path: Path) -> Experiment | ArmSettings | Ablation:
    """Read an experiment, an arm or an ablation, whichever the keys are of."""
    keys = read(path).content.keys()
    if keys & SparseArm.model_fields.keys():
        return load_arm(path)
    return load_ablation(path) if keys & Ablation.model_fields.keys() else load_experiment(path)


def schema(of: str) -> dict[str, object]:
    """Make the JSON schema of a whole ``experiment``, ``arm`` or ``ablation``."""
    adapters: dict[str, TypeAdapter[Any]] = {"experiment": _EXPERIMENT, "arm": _ARM, "ablation": _ABLATION}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **adapters[of].json_schema()}


def to_yaml(config: BaseModel) -> str:
    """Write a configuration out in full, as the record of a run."""
    return str(yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True))


def parse_assignment(text: str) -> tuple[str, Any]:
    """Split ``key=value`` of a ``--set`` option; the value is read as YAML."""
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set {text}: expected key=value, for example training.epochs=3")
    try:
        return key, parse(value)
    except yaml.YAMLError:
        raise InputError(f"--set {text}: the value {value!r} is not readable YAML") from None


def _validated(adapter: TypeAdapter[Settings], document: Document, above: tuple[Path, ...] = ()) -> Settings:
    """Validate a document; ``above`` are the files that are based on it."""
    document = _with_base(adapter, document, above)
    try:
        return adapter.validate_python(document.content)
    except ValidationError as error:
        message = explained(error, document, adapter)
        old = document.content.get("arm") == "sparse" and "missing key" in message
        hint = "an old configuration? compare with config/phase2_sparse.yaml" if old else ""
        raise InputError(message, hint) from None


def _with_base(adapter: TypeAdapter[Any], document: Document, above: tuple[Path, ...] = ()) -> Document:
    """Lay a document over the file that it names as its ``base``, relative to its own, and so on."""
    if "base" not in document.content:
        return document
    content = dict(document.content)
    name, place, path = content.pop("base"), document.place(("base",)), document.path
    if not isinstance(name, str) or not (path.parent / name).is_file():
        raise InputError(f"{place}: base: expected a file, relative to this one, found {name!r}")
    file, above = path.parent / name, (path, *above)
    if any(file.samefile(other) for other in above):
        raise InputError(f"{place}: base: {name} is itself based on this file", "a chain of bases must end")
    return Document(path, laid_over(_validated(adapter, read(file), above), content), document.places)


def _changed(arm: ArmSettings, path: Path, values: dict[str, Any], strict: set[str]) -> ArmSettings:
    """Set dotted keys of an arm; a key that only other arms have is skipped, unless it is among the strict ones."""
    content: dict[str, Any] = arm.model_dump(mode="json")
    places: dict[Location, str] = {}
    for dotted, value in values.items():
        *parents, last = dotted.split(".")
        section: Any = content
        for name in parents:
            section = section.get(name) if isinstance(section, dict) else None
        if isinstance(section, dict) and last in section:
            section[last] = value
            places[*parents, last] = f"{path}, override"
        elif dotted in strict or dotted not in ARM_KEYS:
            raise InputError(f"override {dotted}: {path} has no such key{nearest(last, _ARM)}")
    if _SWITCHES & values.keys():
        content["model"] = of_one_backbone(content["model"])
    return _validated(_ARM, Document(path, content, places))
