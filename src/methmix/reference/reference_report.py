"""The reference report: one page that opens offline, its figures, and a table of donors beside it."""

import json
from pathlib import Path
from typing import Any

from methmix.files.atomic import write_text
from methmix.files.reference import SPLITS, Reference
from methmix.pages.render import render
from methmix.pages.style import image, save
from methmix.reference.quality import CLEAR_DIFFERENCE, ENOUGH_DONORS, INVENTED_DONORS, LOW_PURITY, assess
from methmix.reference.reference_figures import methylation, purity, similarity

_N_SIMILAR = 8
# Figure, what it shows: a further figure is a function and a line here, and its place on the page.
_FIGURES = {
    "purity": (purity, "Leave-one-out purity of each donor by tissue, coloured by split"),
    "similarity": (similarity, "Percentage of regions in which two tissues differ"),
    "methylation": (methylation, "Histogram of methylation"),
}


def write_report(path: Path, reference: Reference) -> None:
    """Write the page of a reference, and ``donors.csv`` and the figures (``reference_*.png``) beside it."""
    quality = assess(reference)
    images = {}
    for name, (draw, alt) in _FIGURES.items():
        figure = draw(quality)
        save(figure, path.with_name(f"reference_{name}.png"))
        images[name] = image(figure, alt)
    write_text(path.with_name("donors.csv"), quality.donors.to_csv(index=False, float_format="%.4f"))
    page = render(
        "reference/reference.html",
        quality=quality,
        donors=quality.donors.to_dict("records"),
        tissues=quality.tissues.to_dict("records"),
        low_purity=quality.low_purity.to_dict("records"),
        remarks=quality.tissues["flags"].any(),
        few_donors=quality.few_donors["tissue"].tolist(),
        similar=quality.most_similar(_N_SIMILAR).to_dict("records"),
        split_sizes={split: reference.split.count(split) for split in SPLITS},
        n_regions=len(reference.regions),
        invented=INVENTED_DONORS.get(str(reference.attributes.get("source"))),
        facts=_facts(reference),
        images=images,
        low=LOW_PURITY,
        enough=ENOUGH_DONORS,
        clear=CLEAR_DIFFERENCE,
    )
    write_text(path, page)


def _facts(reference: Reference) -> dict[str, str]:
    """List where the reference comes from, in the order shown."""
    attributes: dict[str, Any] = reference.attributes
    facts = {name: str(attributes.get(name, "unknown")) for name in ("source", "genome", "seed")}
    facts["counted"] = {"cpg": "single CpG calls", "fragment": "fragments"}[reference.measure]
    for name, digest in json.loads(attributes.get("sha256", "{}")).items():
        facts[name] = f"sha256 {digest}"
    versions = json.loads(attributes.get("versions", "{}"))
    if versions:
        facts["versions"] = ", ".join(f"{name} {version}" for name, version in versions.items())
    if "settings" in attributes:
        facts["settings"] = str(attributes["settings"])
    return facts
