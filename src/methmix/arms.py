"""The arms: every method that is compared, and how pages and figures name and draw it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Arm:
    """One method of a comparison.

    Parameters
    ----------
    name
        As in files, configurations and commands.
    label
        As in figures.
    legend
        What the method does, in half a sentence.
    colour
        Safe for colour-blind readers (Okabe and Ito 2008).
    kind
        ``trained``: has a checkpoint; ``control``: classical deconvolution; ``bound``: knows what no method for new
        donors can know; ``trivial``: a constant answer.
    """

    name: str
    label: str
    legend: str
    colour: str
    kind: Literal["trained", "control", "bound", "trivial"]


# In the order of tables and figures.
ARMS = {
    arm.name: arm
    for arm in (
        Arm("original", "original", "MLP, sigmoid and L1 normalisation", "#e69f00", "trained"),
        Arm("sparse", "sparse", "two stages: which tissues are present, then their proportions", "#0072b2", "trained"),
        Arm("nnls", "NNLS", "depth-weighted non-negative least squares on the training donors", "#009e73", "control"),
        Arm("nnls_cut", "NNLS, cut", "nnls, cut where validation is best and renormalised", "#66c2a5", "control"),
        Arm("em", "maximum likelihood, cut", "maximum likelihood of the reads, cut likewise", "#cc79a7", "control"),
        Arm("least_squares", "least squares, cut", "sparse without its network, cut likewise", "#56b4e9", "control"),
        Arm("uniform", "uniform", "the same proportion for every tissue", "#cccccc", "trivial"),
        Arm("all_absent", "all absent", "every tissue absent", "#cccccc", "trivial"),
        Arm("oracle", "NNLS, own profiles", "NNLS with the test donors' own profiles, uncut", "#999999", "bound"),
    )
}
