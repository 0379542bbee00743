"""The arms: every method that is compared, and how commands, tables and figures name, draw and use it.

A new control is a line here and a function in `methmix.evaluation.controls`.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

# With a checkpoint; classical deconvolution; knowing the test donors; a constant answer, which figures leave out.
Kind = Literal["trained", "control", "bound", "trivial"]


@dataclass(frozen=True)
class Arm:
    """One method of a comparison."""

    name: str
    label: str  # in figures
    legend: str  # what the method does, in half a sentence
    colour: str  # safe for colour-blind readers (Okabe and Ito 2008)
    kind: Kind
    cut: bool = False  # whether proportions below the best threshold on validation become 0, the others renormalised
    of_main: bool = False  # whether it uses the main arm's settings, for example its marker regions
    markers: bool = False  # whether it uses marker regions; if the main arm has none, validation chooses their number
    compared: bool = True  # in a phase; if not, only in the ablation and the folds
    selected: bool = False  # one of the few in the ablation, the errors by tissue and the worked mixtures
    spiked: bool = False  # whether it is compared in real controls, as laboratories use it
    detection: bool = False  # whether its limit of detection is measured, which takes thousands of mixtures


# The arm that this package is about, and the one that it is measured against.
MAIN: Final = "sparse"
BASELINE: Final = "original"

# In the order of tables and figures.
ARMS = {
    arm.name: arm
    for arm in (
        Arm(
            BASELINE, "original", "MLP, sigmoid and L1 normalisation", "#e69f00", "trained",
            selected=True, detection=True,
        ),
        Arm(
            MAIN, "sparse", "two stages: which tissues are present, then their proportions", "#0072b2", "trained",
            selected=True, detection=True,
        ),
        Arm(
            "nnls", "NNLS", "depth-weighted non-negative least squares on the training donors' raw profiles",
            "#009e73", "control", detection=True, spiked=True,
        ),
        Arm(
            "nnls_cut", "NNLS, cut", "nnls, cut where validation is best and renormalised", "#66c2a5", "control",
            cut=True, selected=True,
        ),
        Arm(
            "nnls_markers", "NNLS on markers, cut",
            "nnls on the marker regions of sparse (if it uses all regions: on as many as are best on validation), each "
            "weighted by d / (d + 10) at depth d, cut likewise", "#117733", "control",
            cut=True, of_main=True, markers=True,
        ),
        Arm(
            "em", "maximum likelihood, cut",
            "maximum-likelihood proportions given the training donors' raw profiles (projected Newton method), "
            "cut likewise", "#cc79a7", "control", cut=True, selected=True, detection=True, spiked=True,
        ),
        Arm(
            "em_markers", "maximum likelihood on markers, cut", "em on the marker regions that nnls_markers uses",
            "#aa4499", "control", cut=True, of_main=True, markers=True,
        ),
        Arm(
            "qp_replicates", "QP on replicates, cut",
            "quadratic program with every training donor as an atom, the donors of each tissue added up, cut likewise",
            "#882255", "control", cut=True, spiked=True,
        ),
        Arm(
            "least_squares", "least squares, cut", "sparse without its network, cut likewise", "#56b4e9", "control",
            cut=True, of_main=True, compared=False, selected=True,
        ),
        Arm("uniform", "uniform", "the same proportion for every tissue", "#cccccc", "trivial"),
        Arm("all_absent", "all absent", "every tissue absent", "#cccccc", "trivial"),
        Arm(
            "oracle", "maximum likelihood, own profiles",
            "maximum likelihood with the very profiles of the donors in each mixture, cut likewise: the error that "
            "read noise alone leaves", "#999999", "bound", cut=True, selected=True,
        ),
    )
}  # fmt: skip


def names(*kinds: Kind, **having: Any) -> list[str]:
    """List the arms of some kinds (of all, if none is given) whose fields have the given values.

    Examples
    --------
    >>> names("trained")
    ['original', 'sparse']
    >>> names("control", detection=True)
    ['nnls', 'em']
    """
    of_kind = [arm for arm in ARMS.values() if arm.kind in kinds or not kinds]
    return [arm.name for arm in of_kind if all(getattr(arm, field) == value for field, value in having.items())]
