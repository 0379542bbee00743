"""Read configuration files, and the arms as an experiment configures them; errors name file, line and key."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from methmix.config.arm import ARM_KEYS, ArmSettings, SparseArm, keys_of_other_backbones, of_one_backbone
from methmix.config.experiment import Ablation, ArmName, Experiment, Variant
from methmix.config.phases import Phase
from methmix.config.section import DISCRIMINATORS
from methmix.config.sheets import DonorRow, SampleRow
from methmix.config.sweep import Sweep
from methmix.config.yaml_files import Document, Location, laid_over, parse, read, read_again
from methmix.errors import InputError
from methmix.shipped import found

Settings = TypeVar("Settings")
Keys = Mapping[str, Any] | None  # dotted key of an arm -> value

_EXPERIMENT: TypeAdapter[Experiment] = TypeAdapter(Experiment)
_ABLATION: TypeAdapter[Ablation] = TypeAdapter(Ablation)
_SWEEP: TypeAdapter[Sweep] = TypeAdapter(Sweep)
_ARM: TypeAdapter[ArmSettings] = TypeAdapter(Annotated[ArmSettings, Field(discriminator="arm")])
# What has a schema in workflow/schemas/.
SCHEMAS: dict[str, TypeAdapter[Any]] = {
    "experiment": _EXPERIMENT,
    "arm": _ARM,
    "ablation": _ABLATION,
    "sweep": _SWEEP,
    "samples": TypeAdapter(SampleRow),
    "donors": TypeAdapter(DonorRow),
}
_SWITCHES = {"model.backbone", "model.use_two_stage"}  # they decide which other keys a model has


def load_experiment(path: Path) -> Experiment:
    """Read and validate an experiment."""
    return _validated(_EXPERIMENT, read(path))


def load_ablation(path: Path) -> Ablation:
    """Read and validate the variants of an ablation."""
    return _validated(_ABLATION, read(path))


def load_sweep(path: Path) -> Sweep:
    """Read and validate what a sweep varies."""
    return _validated(_SWEEP, read(path))


def check_experiment(content: dict[str, Any], path: Path) -> Experiment:
    """Validate the content of an experiment as Snakemake has it: of the file, with what its command line changes."""
    document = read(path) if found(path).is_file() else Document(path, {})
    content = read_again(document, content) if document.content else content
    unchanged = {key for key, value in content.items() if document.content.get(key) == value}
    places = {location: place for location, place in document.places.items() if location[0] in unchanged}
    return _validated(_EXPERIMENT, Document(path, content, places))


def load_arm(path: Path, overrides: Keys = None, changes: Keys = None, expected: str | None = None) -> ArmSettings:
    """Read and validate the configuration of one arm.

    Overrides are for all arms of an experiment: keys that only other arms have are skipped. Changes are for this arm
    alone. ``expected`` is the name of the arm that the file must be for.
    """
    document = _with_base(_ARM, read(path))
    found = document.content.get("arm")
    if expected is not None and found != expected:
        example = f"config/phase2_{'sparse' if expected == 'sparse' else 'multitissue'}.yaml"
        hint = f"this is not a configuration of the {expected} arm; {example} is one"
        raise InputError(f"{path}: arm: expected {expected}, found {found!r}", hint)
    values, strict = {**(overrides or {}), **(changes or {})}, set(changes or {})
    switches = {key: values.pop(key) for key in _SWITCHES & values.keys()}
    return _changed(_changed(_validated(_ARM, document), path, switches, strict), path, values, strict)


def configured_arm(experiment: Experiment, phase: Phase, name: ArmName, changes: Keys = None) -> ArmSettings:
    """Read an arm with the experiment's overrides and further changes."""
    file = experiment.arms.get(phase, {}).get(name)
    if file is None:
        where = f"arms.{phase}: experiment {experiment.name} has no {name} arm there"
        raise InputError(where, "name its file, as config/default.yaml does")
    arm = load_arm(Path(file), experiment.overrides, changes, expected=name)
    if arm.phase != phase:
        raise InputError(
            f"{file}: phase: is {arm.phase}, but the experiment names the file in arms.{phase}",
            "name a file of that phase there, or correct phase in the file",
        )
    start = arm.training.warm_start
    if start is not None and name not in experiment.arms.get(start, {}):
        where = f"{file}: training.warm_start: experiment {experiment.name} has no {name} arm of {start}"
        raise InputError(where, f"name its file in arms.{start}, or start from null")
    return arm


def check_arms(experiment: Experiment) -> None:
    """Check that all arms can be trained."""
    for phase, arms in experiment.arms.items():
        for name in arms:
            configured_arm(experiment, phase, name)


def effective_variants(experiment: Experiment, phase: Phase) -> dict[str, Variant]:
    """Give the variants that an experiment can train, and that change something beyond its own overrides."""

    def differs(variant: Variant) -> bool:
        needed = {phase, str(variant.set.get("training.warm_start") or phase)}
        if any(variant.arm not in experiment.arms.get(of, {}) for of in needed):
            return False
        plain = configured_arm(experiment, phase, variant.arm)
        foreign = {f"model.{key}" for key in keys_of_other_backbones(plain.model.backbone)}
        if foreign & variant.set.keys() and not _SWITCHES & variant.set.keys():
            return False
        return plain != configured_arm(experiment, phase, variant.arm, variant.set)

    return {name: v for name, v in load_ablation(Path(experiment.ablation)).variants.items() if differs(v)}


def arm_of_record(content: dict[str, Any]) -> ArmSettings:
    """Validate the configuration of an arm in a checkpoint, also of an earlier version: missing keys have defaults."""
    return _validated(_ARM, Document(Path("configuration in the checkpoint"), content))


def load(path: Path) -> Experiment | ArmSettings | Ablation | Sweep:
    """Read an experiment, an arm, an ablation or a sweep, whichever the keys are of."""
    keys = read(path).content.keys()
    # An arm has a key `arm` too.
    if keys & (Sweep.model_fields.keys() - {"arm"}):
        return load_sweep(path)
    if keys & SparseArm.model_fields.keys():
        return load_arm(path)
    return load_ablation(path) if keys & Ablation.model_fields.keys() else load_experiment(path)


def schema(of: str) -> dict[str, object]:
    """Make the JSON schema of one of `SCHEMAS`: a whole configuration, or a row of a sheet."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **SCHEMAS[of].json_schema()}


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
        raise InputError(
            f"--set {text}: the value {value!r} is not readable YAML",
            "write it as in a configuration, for example true, 0.001 or [64, 128], in quotes for the shell",
        ) from None


def _validated(adapter: TypeAdapter[Settings], document: Document, above: tuple[Path, ...] = ()) -> Settings:
    """Validate a document; ``above`` are the files that are based on it."""
    document = _with_base(adapter, document, above)
    try:
        return adapter.validate_python(document.content)
    except ValidationError as error:
        problems = [_explained(dict(problem), document, adapter) for problem in error.errors()]
        message = "\n".join(f"{document.place(where)}: {what}" for where, what in problems)
        old = adapter is _ARM and document.content.get("arm") == "sparse" and "missing key" in message
        hint = "an old configuration? compare with config/phase2_sparse.yaml" if old else ""
        if adapter is _EXPERIMENT and message.count("missing key") > 1:
            hint = "a file that states only what is different names the one that it changes: base: default.yaml"
        raise InputError(message, hint) from None


def _with_base(adapter: TypeAdapter[Any], document: Document, above: tuple[Path, ...] = ()) -> Document:
    """Lay a document over the file that it names as its ``base``, beside it or a shipped one, and so on."""
    if "base" not in document.content:
        return document
    content = dict(document.content)
    name, place, path = content.pop("base"), document.place(("base",)), document.path
    file = _base(name, path) if isinstance(name, str) else path.parent
    if not file.is_file() or file.suffix not in {".yaml", ".yml"}:
        raise InputError(
            f"{place}: base: expected a YAML file, relative to this one, found {name!r}",
            "name the configuration that this one changes, for example default.yaml",
        )
    above = (path, *above)
    if file.resolve() in {other.resolve() for other in above}:
        raise InputError(f"{place}: base: {name} is itself based on this file", "a chain of bases must end")
    return Document(path, laid_over(_validated(adapter, read(file), above), content), document.places)


def _base(name: str, path: Path) -> Path:
    """Find the base of a document beside it, or else among the shipped configurations."""
    beside = path.parent / name
    return beside if beside.is_file() else found(PurePath("config", name))


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
            raise InputError(f"override {dotted}: {path} has no such key{_nearest(last, _ARM)}")
    if _SWITCHES & values.keys():
        content["model"] = of_one_backbone(content["model"])
    return _validated(_ARM, Document(path, content, places))


def _nearest(key: str, adapter: TypeAdapter[Any]) -> str:
    """Say what may have been meant by a key that is unknown where it stands."""
    schema = adapter.json_schema()
    known = {name for section in [schema, *schema["$defs"].values()] for name in section.get("properties", {})}
    if key in known:
        return "; it belongs to another section, arm or backbone"
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.75)
    return f" (did you mean {near[0]}?)" if near else "; nothing reads it, remove it"


def _explained(problem: dict[str, Any], document: Document, adapter: TypeAdapter[Any]) -> tuple[Location, str]:
    """Say where a problem that pydantic has found is, and what was expected there."""
    kind, message, context = problem["type"], problem["msg"].removeprefix("Value error, "), problem.get("ctx", {})
    location = _as_written(problem["loc"], kind, document.content)
    if kind.startswith("union_tag"):
        location = (*location, context["discriminator"].strip("'"))
    key = ".".join(map(str, location))
    if kind in {"missing", "union_tag_not_found"}:
        return location[:-1], f"missing key {key}"
    if kind == "extra_forbidden":
        return location, f"unknown key {key}{_nearest(str(location[-1]), adapter)}"
    if kind == "union_tag_invalid":
        return location, f"{key}: unknown value {context['tag']!r}; expected one of {context['expected_tags']}"
    if kind == "value_error":
        # The message of a section begins with the key inside of it.
        within = re.match(r"([\w.]+): ", message)
        inner = (*location, *within[1].split(".")) if within else location
        what = f"{key}{'.' if within else ': '}{message}" if key else message
        return inner if inner in document.places else location, what
    return location, f"{key}: {message}, found {problem['input']!r}"


def _as_written(location: Location, kind: str, content: Any) -> Location:
    """Drop from a location of pydantic what no file has: the tags of alternatives, which follow their section's key."""
    present, missing = (location[:-1], location[-1:]) if kind == "missing" else (location, ())
    keys: list[str | int] = []
    tag = False
    for part in present:
        section = content if isinstance(content, dict) else {}
        absent = isinstance(part, str) and part not in section
        # A recipe of kind background has a key of that name too.
        tag = not tag and (absent or part in [section.get(key) for key in DISCRIMINATORS])
        if not tag:
            keys.append(part)
            content = content[part] if isinstance(part, int) else section.get(part)
    return (*keys, *missing)
