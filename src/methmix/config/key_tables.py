"""The reference of all keys and columns, config/README.md, made from the models that validate them."""

from collections.abc import Iterator
from typing import Any

from methmix.config.load import SCHEMAS, schema

_INTRO = """# Configuration

Made by `python -m methmix.config --readme > config/README.md`; a test holds it.

An experiment is one YAML file. `config/config.yaml` is yours: it is run unless `--configfile` names another, and
starts as the default experiment. State only what is different from the file that `base` names, which is looked for
beside yours and then among the shipped ones. Sections merge key by key; lists, and tables of tissues, are replaced. An
unknown key is an error that names file, line and the nearest valid key. `python -m methmix.config FILE` prints the
whole experiment as it will be run, and each run keeps that as `results/<name>/config.yaml`.

```yaml
base: default.yaml
name: mine
reference:
  source: counts
  file: data/atlas.tsv.gz
  genome: hg38
mixtures: {recipes: {phase3: {background: whole-blood}}}
detection: {background: {whole-blood: 1.0}}
prediction: {samples: config/samples.tsv, checkpoint_phase: phase2}
```

| shipped experiment | reference |
|---|---|
| `default`, `full_scale`, `tiny` | simulated: 22 tissues and 5,000 regions, 51,089 regions, 8 tissues and 600 regions |
| `metdecode`, `metdecode_294`, `metdecode_one` | 13 blood cell and tumour types, real replicates (hg38) |
| `loyfer_uxm`, `loyfer_u25` | the UXM atlas of 40 and 36 cell types (hg38, hg19); research use only |

## Deployment

The environment that runs Snakemake needs methmix itself, with the extra `workflow` (and `slurm`): `pip install
'methmix[slurm]'`, or `pip install '.[slurm]'` in a checkout. Then `snakedeploy deploy-workflow` makes a working folder,
or write a `Snakefile` in an empty one:

```python
configfile: "config/config.yaml"

module methmix:
    snakefile: "PATH/TO/methmix/workflow/Snakefile"  # or github("OWNER/methmix", path="workflow/Snakefile", tag="...")
    config: config

use rule * from methmix
```

Paths in a configuration are relative to the working folder. Those of shipped files (`config/...`) need not be there:
they are found in the workflow's own folder, or in the installed package. Leading `METHMIX_DATA/` stands for the folder
that the variable `METHMIX_DATA` names, by default `data/`, which `snakemake download` fills. With `--sdm conda` in a
folder without the workflow's sources, jobs need methmix in their environments as well: use a checkout there.
"""
_TITLES = {
    "experiment": "An experiment, such as config/config.yaml",
    "arm": "An arm, such as config/phase2_sparse.yaml",
    "ablation": "An ablation, such as config/phase2_ablation.yaml",
    "sweep": "A sweep, such as config/sweeps/loss_weights.yaml",
    "samples": "The samples sheet, such as config/samples.tsv",
    "donors": "The sample sheet of a reference",
}
_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


def readme() -> str:
    """Write the whole file, in Markdown."""
    return "\n".join([_INTRO, *(line for kind in SCHEMAS for line in _of_kind(kind))])


def _of_kind(kind: str) -> Iterator[str]:
    """Yield the tables of one kind of file, its own keys first."""
    whole = schema(kind)
    sections: dict[str, Any] = dict(whole.get("$defs", {}))  # type: ignore[call-overload]
    yield f"## {_TITLES[kind]}\n"
    if "properties" in whole:
        yield from _table(whole, sections)
    for name, section in sections.items():
        if "properties" in section:
            yield f"### {kind}: {name}\n"
            yield from _table(section, sections)


def _table(section: dict[str, Any], sections: dict[str, Any]) -> Iterator[str]:
    yield f"{_purpose(section)}\n"
    yield "| key | value | default | meaning |\n|---|---|---|---|"
    for name, key in section["properties"].items():
        default = "needed" if name in section.get("required", []) else _default(key)
        meaning = key.get("description") or _purpose(sections.get(_named(key), {}))
        # What stands for a name is no tag of HTML.
        cells = (f"`{name}`", _kind(key), default, meaning.replace("<", "&lt;"))
        yield f"| {' | '.join(text.replace('|', chr(92) + '|') for text in cells)} |"
    yield ""


def _purpose(section: dict[str, Any]) -> str:
    """Give the first paragraph of what a section is described as."""
    return str(section.get("description", "")).split("\n\n")[0].replace("\n", " ").replace("``", "`")


def _named(key: dict[str, Any]) -> str:
    """Name the section that a value refers to, if it does."""
    return str(key.get("$ref", "")).rpartition("/")[2]


def _default(key: dict[str, Any]) -> str:
    default = key.get("default")
    if isinstance(default, dict):
        return "as below" if default else "none"
    return "none" if default in (None, "", []) else f"`{str(default).lower() if default in (True, False) else default}`"


def _kind(key: dict[str, Any]) -> str:
    """Say in words what a value may be."""
    if "$ref" in key:
        return f"section {_named(key)}"
    for choice in ("anyOf", "oneOf"):
        if choice in key:
            return " or ".join(dict.fromkeys(_kind(other) for other in key[choice]))
    if "const" in key or "enum" in key:
        return ", ".join(f"`{value}`" for value in key.get("enum", [key.get("const")]))
    match key.get("type"):
        case "array":
            items = key.get("items") or {"anyOf": key.get("prefixItems", [])}
            return f"list of {_kind(items)}"
        case "object":
            by_pattern: dict[str, Any] = key.get("patternProperties", {})
            return f"table of {_kind(key.get('additionalProperties') or next(iter(by_pattern.values()), {}))}"
        case other:
            name = {"string": "text", "boolean": "true or false", "null": "null", None: "any"}.get(other, str(other))
            bounds = [f"{sign} {key[bound]:g}" for bound, sign in _BOUNDS.items() if bound in key]
            return f"{name} {' and '.join(bounds)}".strip()
