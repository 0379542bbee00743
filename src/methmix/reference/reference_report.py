"""The reference report: one page that opens offline, its figures, and a table of donors beside it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from methmix.files.atomic import all_or_none, write_text
from methmix.files.reference import SPLITS, Reference
from methmix.pages.render import render
from methmix.pages.style import BLUE, GREEN, ORANGE, drawing, image, labelled_rows, save, tissue_columns
from methmix.reference.quality import CLEAR_DIFFERENCE, ENOUGH_DONORS, INVENTED_DONORS, LOW_PURITY, Quality, assess

_N_SIMILAR = 8
# Each split has its own marker, too.
_SPLIT_LOOKS = {"train": (BLUE, "o"), "validation": (ORANGE, "s"), "test": (GREEN, "^")}
_WARNING = "#d55e00"
# Values are written into the cells of a heat map of up to so many tissues.
_MAXIMUM_ANNOTATED = 24


@drawing
def _purity(quality: Quality) -> Figure:
    """Draw the leave-one-out purity of the donors: one row per tissue, one mark per donor, coloured by split."""
    tissues, donors = quality.tissues["tissue"].tolist(), quality.donors
    figure = Figure(figsize=(9, 1.3 + 0.24 * len(tissues)))
    axes = figure.subplots()
    lowest = donors["purity"].min()
    left = 0.0 if np.isnan(lowest) else min(0.5, np.floor(10 * lowest - 0.2) / 10)
    axes.axvspan(left, LOW_PURITY, color=_WARNING, alpha=0.08, linewidth=0)
    axes.axvline(LOW_PURITY, color=_WARNING, linewidth=0.8, linestyle="--")
    looks: dict[str, Any] = {"s": 26, "alpha": 0.85, "linewidth": 0.4, "edgecolor": "white", "zorder": 3}
    for split in SPLITS:
        own, (shade, marker) = donors[donors["split"] == split], _SPLIT_LOOKS[split]
        rows = [tissues.index(tissue) for tissue in own["tissue"]]
        axes.scatter(own["purity"], rows, color=shade, marker=marker, label=split, **looks)
    for tissue in donors[donors["purity"].isna()]["tissue"]:
        axes.text(left, tissues.index(tissue), "  only donor", va="center", fontsize=7, color="#666666")
    labelled_rows(axes, tissues)
    axes.set(xlim=(left, 1.01), xlabel="leave-one-out purity")
    axes.grid(axis="y", color="#eeeeee", linewidth=0.8)
    axes.set_axisbelow(True)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=len(SPLITS))
    return figure


@drawing
def _similarity(quality: Quality) -> Figure:
    """Draw the percentage of regions in which two tissues clearly differ; similar tissues stand side by side."""
    names = [quality.tissues["tissue"].iloc[i] for i in quality.order]
    n = len(names)
    ordered = quality.difference[np.ix_(quality.order, quality.order)]
    percent = 100 * np.ma.masked_array(ordered, mask=np.eye(n, dtype=bool))
    size = 3.2 + 0.26 * n if n > 10 else 2.6 + 0.36 * n
    figure = Figure(figsize=(size + 0.6, size))
    axes = figure.subplots()
    shades = axes.imshow(percent, cmap="viridis_r", vmin=0, vmax=percent.max())
    tissue_columns(axes, names)
    axes.set_yticks(range(n), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if n <= _MAXIMUM_ANNOTATED:
        _annotate(axes, percent)
    bar = figure.colorbar(shades, ax=axes, shrink=0.6, pad=0.02)
    bar.set_label(f"% of regions that differ by more than {CLEAR_DIFFERENCE}")
    bar.outline.set_visible(False)
    return figure


def _annotate(axes: Axes, percent: np.ma.MaskedArray) -> None:
    """Write the values into the cells of a heat map."""
    highest = percent.max()
    for (row, column), value in np.ndenumerate(percent):
        if row != column:
            shade = "white" if value > 0.55 * highest else "#222222"
            text = f"{value:.0f}" if highest >= 10 else f"{value:.1f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color=shade)


@drawing
def _methylation(quality: Quality) -> Figure:
    """Draw the histogram of methylation over all observed entries."""
    edges = np.linspace(0, 1, len(quality.methylation) + 1)
    figure = Figure(figsize=(6, 2.6))
    axes = figure.subplots()
    axes.stairs(100 * quality.methylation, edges, fill=True, color=BLUE)
    axes.set(xlim=(0, 1), xlabel="methylation of a donor in a region", ylabel="% of observed entries")
    return figure


# Figure, what it shows: a further figure is a function and a line here, and its place on the page.
_FIGURES = {
    "purity": (_purity, "Leave-one-out purity of each donor by tissue, coloured by split"),
    "similarity": (_similarity, "Percentage of regions in which two tissues differ"),
    "methylation": (_methylation, "Histogram of methylation"),
}


@all_or_none()
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
