"""The reference report: one page that opens offline, its figures, and a table of donors beside it."""

import base64
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from methmix.files.atomic import atomic_path, write_text
from methmix.files.reference import SPLITS, Reference
from methmix.reference.figures import methylation_figure, purity_figure, similarity_figure
from methmix.reference.quality import CLEAR_DIFFERENCE, ENOUGH_DONORS, INVENTED_DONORS, LOW_PURITY, assess

_N_ALIKE = 8


def write_report(path: Path, reference: Reference) -> None:
    """Write the report of a reference.

    Parameters
    ----------
    path
        The page; ``donors.csv`` and the figures (``reference_*.png``) are written beside it.
    reference
        What to describe.
    """
    quality = assess(reference)
    figures = {
        "purity": purity_figure(quality),
        "similarity": similarity_figure(quality),
        "methylation": methylation_figure(quality),
    }
    for name, content in figures.items():
        with atomic_path(path.with_name(f"reference_{name}.png")) as temporary:
            temporary.write_bytes(content)
    write_text(path.with_name("donors.csv"), quality.donors.to_csv(index=False, float_format="%.4f"))
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(files("methmix.reference").joinpath("report.html").read_text())
    page = template.render(
        quality=quality,
        donors=quality.donors.to_dict("records"),
        tissues=quality.tissues.to_dict("records"),
        low_purity=quality.low_purity.to_dict("records"),
        remarks=quality.tissues["flags"].any(),
        few_donors=quality.few_donors.to_dict("records"),
        alike=quality.most_alike(_N_ALIKE).to_dict("records"),
        splits=SPLITS,
        split_sizes={split: reference.split.count(split) for split in SPLITS},
        reference=reference,
        invented=INVENTED_DONORS.get(str(reference.attributes.get("source"))),
        facts=_facts(reference),
        figures={name: base64.b64encode(content).decode() for name, content in figures.items()},
        low=LOW_PURITY,
        enough=ENOUGH_DONORS,
        clear=CLEAR_DIFFERENCE,
    )
    write_text(path, page)


def _facts(reference: Reference) -> dict[str, str]:
    """List where the reference comes from, in the order shown."""
    attributes: dict[str, Any] = reference.attributes
    facts = {
        "source": str(attributes.get("source", "unknown")),
        "genome": str(attributes.get("genome", "unknown")),
        "counted": {"cpg": "single CpG calls", "fragment": "fragments"}[reference.measure],
        "seed": str(attributes.get("seed", "unknown")),
    }
    for name, digest in json.loads(attributes.get("sha256", "{}")).items():
        facts[name] = f"sha256 {digest}"
    versions = json.loads(attributes.get("versions", "{}"))
    if versions:
        facts["versions"] = ", ".join(f"{name} {version}" for name, version in versions.items())
    if "settings" in attributes:
        facts["settings"] = str(attributes["settings"])
    return facts
