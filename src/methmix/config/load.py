"""Read configuration files, and say what is wrong with them in the user's words."""

import difflib
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from methmix.config.ablation import Ablation
from methmix.config.arm import ARM_ADAPTER, ArmSettings, SparseArm
from methmix.config.experiment import Experiment
from methmix.errors import InputError

_EXPERIMENT_ADAPTER: TypeAdapter[Experiment] = TypeAdapter(Experiment)
_ABLATION_ADAPTER: TypeAdapter[Ablation] = TypeAdapter(Ablation)
# pydantic names the chosen member of a union in the path of an error; users do not write it.
_UNION_TAGS = {
    *("simulated", "counts", "uxm_atlas", "beta_table", "pattern_h5", "wgbstools", "all", "markers"),
    *("pairs", "dirichlet", "background", "one tissue", "composition", "original", "sparse"),
}


class _Loader(yaml.SafeLoader):
    """YAML without silently overwritten keys, and with ``1e-3`` read as a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is there twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


# YAML 1.1 reads 1e-3 (without a dot) as text, which surprises everybody.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises
    ------
    InputError
        The file is missing, empty, not YAML, not a mapping, or has a key twice.
    """
    try:
        content = yaml.load(path.read_text(), Loader=_Loader)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such configuration file", "the shipped ones are in config/") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not readable YAML: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a mapping of keys, found {type(content).__name__}")
    return content


def load_experiment(path: Path) -> Experiment:
    """Read and validate an experiment.

    Raises
    ------
    InputError
        A key is missing, unknown, or has a wrong type or value; the message names file and key.
    """
    return check_experiment(read_yaml(path), path)


def check_experiment(content: dict[str, Any], path: Path) -> Experiment:
    """Validate the content of an experiment; ``path`` is named in messages. Errors as `load_experiment`."""
    experiment: Experiment = _validate(_EXPERIMENT_ADAPTER, content, path)
    return experiment


def load_ablation(path: Path) -> Ablation:
    """Read and validate the variants of an ablation; errors as `load_experiment`."""
    ablation: Ablation = _validate(_ABLATION_ADAPTER, read_yaml(path), path)
    return ablation


def load_arm(path: Path, overrides: dict[str, Any] | None = None, expected: str | None = None) -> ArmSettings:
    """Read and validate the configuration of one arm.

    Parameters
    ----------
    path
        For example ``config/phase2_sparse.yaml``.
    overrides
        Dotted key -> value, set before validation.
    expected
        Name of the arm that the file must be for.

    Raises
    ------
    InputError
        As for `load_experiment`, or the file is for another arm.
    """
    content = read_yaml(path)
    found = content.get("arm")
    if expected is not None and found != expected:
        raise InputError(
            f"{path}: arm: expected {expected}, found {found!r}",
            f"this is not a configuration of the {expected} arm; "
            f"config/phase2_{'sparse' if expected == 'sparse' else 'multitissue'}.yaml is one",
        )
    for dotted, value in (overrides or {}).items():
        _set(content, dotted, value, path)
    arm: ArmSettings = _validate(ARM_ADAPTER, content, path)
    return arm


def to_yaml(config: BaseModel) -> str:
    """Write a configuration out in full, as the record of a run."""
    text: str = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return text


def parse_assignment(text: str) -> tuple[str, Any]:
    """Split ``key=value`` of a ``--set`` option; the value is read as YAML.

    Raises
    ------
    InputError
        There is no ``=``, or the value cannot be read.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set {text}: expected key=value, for example training.epochs=3")
    try:
        return key, yaml.load(value, Loader=_Loader)
    except yaml.YAMLError:
        raise InputError(f"--set {text}: the value {value!r} is not readable YAML") from None


def _set(content: dict[str, Any], dotted: str, value: Any, path: Path) -> None:
    *parents, last = dotted.split(".")
    section: Any = content
    for name in parents:
        section = section.get(name) if isinstance(section, dict) else None
    if not isinstance(section, dict) or last not in section:
        raise InputError(f"override {dotted}: {path} has no such key")
    section[last] = value


def _validate(adapter: TypeAdapter[Any], content: dict[str, Any], path: Path) -> Any:
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        lines = [_describe(dict(problem), content) for problem in error.errors()]
        hint = ""
        if content.get("arm") == "sparse" and any("missing key" in line for line in lines):
            hint = "an old configuration? compare with config/phase2_sparse.yaml"
        raise InputError("\n".join(f"{path}: {line}" for line in lines), hint) from None


def _describe(problem: dict[str, Any], content: dict[str, Any]) -> str:
    location = list(problem["loc"])
    shown, section, skipped = [], content, False
    for part in location:
        # Skip union tags, unless the user really has a key of that name here and it is not the value of another one.
        keys, values = (section.keys(), section.values()) if isinstance(section, dict) else ((), ())
        skipped = part in _UNION_TAGS and not skipped and (part not in keys or part in values)
        if skipped:
            continue
        shown.append(str(part))
        if isinstance(section, dict):
            section = section.get(part, {})
    key = ".".join(shown)
    kind = problem["type"]
    if kind == "missing":
        return f"missing key {key}"
    if kind == "extra_forbidden":
        return f"unknown key {key}{_suggest(shown, content)}"
    if kind in {"union_tag_not_found", "union_tag_invalid"}:
        discriminator = problem["ctx"]["discriminator"].strip("'")
        where = f"{key}.{discriminator}" if key else discriminator
        if kind == "union_tag_not_found":
            return f"missing key {where}"
        context = problem["ctx"]
        return f"{where}: unknown value {context['tag']!r}; expected one of {context['expected_tags']}"
    message = problem["msg"].removeprefix("Value error, ")
    if kind == "value_error":
        return f"{key}.{message}" if key else message
    return f"{key}: {message}, found {problem['input']!r}"


def _suggest(shown: list[str], content: dict[str, Any]) -> str:
    known = _all_keys()
    near = difflib.get_close_matches(shown[-1], known, n=1, cutoff=0.75)
    return f" (did you mean {near[0]}?)" if near else "; nothing reads it, remove it"


def _all_keys() -> set[str]:
    schemas = [model.model_json_schema() for model in (Experiment, SparseArm, Ablation)]
    sections = [section for schema in schemas for section in [schema, *schema.get("$defs", {}).values()]]
    return {key for section in sections for key in section.get("properties", {})}
