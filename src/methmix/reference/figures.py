"""Figures of the reference report."""

import io

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from methmix.files.reference import SPLITS
from methmix.reference.quality import CLEAR_DIFFERENCE, LOW_PURITY, Quality

# Colours that colour-blind readers can tell apart (Okabe and Ito); each split has its own marker as well.
_SPLIT_LOOKS = {"train": ("#0072B2", "o"), "validation": ("#E69F00", "s"), "test": ("#009E73", "^")}
_WARNING = "#D55E00"
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
}
_DPI = 150
# Values are written into the cells of a heat map of up to so many tissues.
_MAXIMUM_ANNOTATED = 24


def purity_figure(quality: Quality) -> bytes:
    """Draw how much each donor looks like its tissue: a row a tissue, a mark a donor, coloured by split."""
    tissues = quality.tissues["tissue"].tolist()
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8, 1.3 + 0.24 * len(tissues)), layout="constrained")
        axes = figure.subplots()
        lowest = quality.donors["purity"].min()
        left = 0.0 if np.isnan(lowest) else min(0.5, np.floor(10 * lowest - 0.2) / 10)
        axes.axvspan(left, LOW_PURITY, color=_WARNING, alpha=0.08, linewidth=0)
        axes.axvline(LOW_PURITY, color=_WARNING, linewidth=0.8, linestyle="--")
        for split in SPLITS:
            colour, marker = _SPLIT_LOOKS[split]
            own = quality.donors[quality.donors["split"] == split]
            rows = [tissues.index(tissue) for tissue in own["tissue"]]
            axes.scatter(
                own["purity"],
                rows,
                s=26,
                color=colour,
                marker=marker,
                alpha=0.85,
                linewidth=0.4,
                edgecolor="white",
                label=split,
                zorder=3,
            )
        unknown = quality.donors[quality.donors["purity"].isna()]
        for tissue in unknown["tissue"]:
            axes.text(left, tissues.index(tissue), "  only donor", va="center", fontsize=7, color="#666666")
        axes.set_yticks(range(len(tissues)), tissues)
        axes.set_ylim(len(tissues) - 0.4, -0.6)
        axes.set_xlim(left, 1.01)
        axes.set_xlabel("share that NNLS attributes to the donor's own tissue, known from its other donors")
        axes.grid(axis="y", color="#eeeeee", linewidth=0.8)
        axes.set_axisbelow(True)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=len(SPLITS), frameon=False)
        return _png(figure)


def similarity_figure(quality: Quality) -> bytes:
    """Draw in which share of regions two tissues clearly differ; similar tissues stand beside each other."""
    names = [quality.tissues["tissue"].iloc[i] for i in quality.order]
    percent = 100 * quality.difference[np.ix_(quality.order, quality.order)]
    n = len(names)
    with mpl.rc_context({**_STYLE, "axes.spines.bottom": False, "axes.spines.left": False}):
        size = 3.2 + 0.26 * n if n > 10 else 2.6 + 0.36 * n
        figure = Figure(figsize=(size + 0.6, size), layout="constrained")
        axes = figure.subplots()
        shown = np.ma.masked_array(percent, mask=np.eye(n, dtype=bool))
        top = float(shown.max())
        image = axes.imshow(shown, cmap="viridis_r", vmin=0, vmax=top)
        axes.set_xticks(range(n), names, rotation=90)
        axes.set_yticks(range(n), names)
        axes.tick_params(length=0)
        if n <= _MAXIMUM_ANNOTATED:
            for row, column in np.ndindex(n, n):
                if row != column:
                    value = percent[row, column]
                    colour = "white" if value > 0.55 * top else "#222222"
                    text = f"{value:.0f}" if top >= 10 else f"{value:.1f}"
                    axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color=colour)
        bar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02)
        bar.set_label(f"% of regions that differ by more than {CLEAR_DIFFERENCE}")
        bar.outline.set_visible(False)
        return _png(figure)


def methylation_figure(quality: Quality) -> bytes:
    """Draw the histogram of methylation over all observed entries."""
    edges = np.linspace(0, 1, len(quality.methylation) + 1)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6, 2.6), layout="constrained")
        axes = figure.subplots()
        axes.bar(edges[:-1], 100 * quality.methylation, width=np.diff(edges), align="edge", color="#0072B2")
        axes.set_xlim(0, 1)
        axes.set_xlabel("methylation of a donor in a region")
        axes.set_ylabel("% of observed entries")
        return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()
