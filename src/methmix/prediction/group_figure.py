"""Figure of groups of samples."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from methmix.pages.style import colour as arm_colour
from methmix.pages.style import drawing

_METHODS = {"model": ("model", arm_colour("sparse")), "nnls": ("NNLS", arm_colour("nnls"))}


@drawing
def groups(record: dict[str, Any]) -> Figure:
    """Draw the summed proportion of each sample, group by group and method by method.

    Parameters
    ----------
    record
        What `methmix.prediction.groups.compare` gives.
    """
    rows = record["groups"]
    figure = Figure(figsize=(max(5.0, 1.5 * len(rows) + 1), 3.8))
    axes = figure.subplots()
    rng = np.random.default_rng(0)
    for at, (method, (label, colour)) in zip((-0.2, 0.2), _METHODS.items(), strict=True):
        if method not in rows[0]["sums"]:
            continue
        values = [row["sums"][method] for row in rows]
        places = [number + at for number in range(len(rows))]
        axes.boxplot(
            values, positions=places, widths=0.32, showfliers=False, manage_ticks=False, label=label,
            patch_artist=True, boxprops={"facecolor": colour, "alpha": 0.25, "edgecolor": colour},
            medianprops={"color": colour, "linewidth": 2}, whiskerprops={"color": colour}, capprops={"color": colour},
        )  # fmt: skip
        for place, of_group in zip(places, values, strict=True):
            beside = place + rng.uniform(-0.11, 0.11, len(of_group))
            axes.plot(beside, of_group, "o", color=colour, markersize=3, alpha=0.6, markeredgewidth=0, clip_on=False)
    axes.set_xticks(range(len(rows)), [f"{row['group']}\n{row['n']}" for row in rows])
    axes.set_ylabel("tissues of interest, summed")
    # Most sums are small; a root shows them, and 0.
    axes.set_yscale("function", functions=(lambda x: np.sqrt(np.clip(x, 0, None)), np.square))
    axes.set_yticks([0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1])
    axes.set_ylim(
        0, 1.08 * max(0.01, *(value for row in rows for of_group in row["sums"].values() for value in of_group))
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    figure.legend(loc="outside upper right", ncols=2)
    return figure
