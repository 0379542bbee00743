"""The model card: what a checkpoint records of its model, for whoever uses it."""

import json
import math
from typing import Any

from methmix import metrics
from methmix.config.arm import ArmSettings, ReferenceBackboneSettings
from methmix.files.reference import SPLITS, Reference
from methmix.prediction.statement import STATEMENT
from methmix.training.checkpoint import arm_of
from methmix.training.record import BORROWED
from methmix.training.state import Checkpoint, donors

# What a card has of the record of the training.
_RECORD = ("n_parameters", "warm_start", "device", "commit")
# What calibration sets in the weights.
_CALIBRATED = {
    "intervals": "head.intervals.outside",
    "limits_of_detection": "limits.factors",
    "misfit_limit": "limits.misfit_curve",
}
_PRIOR = "head.prior"
_CHANGE = "head.readout.change"
# Whether the last layer of both stages has been fitted to mixtures of validation donors too.
_REFITTED = "refitted_to_validation_donors"
_SEEN = (
    "The last layer of both stages was fitted to these and to mixtures of validation donors, which also widen "
    "intervals and limits: for further donors these may be a little too narrow."
)
# Values of validation that a card for a terminal shows.
_METRICS = {
    "mae": "mean absolute error of a proportion",
    "spurious_per_mixture": "false-positive tissues (1 % or more) per mixture",
    "predicted_tissues": "tissues at 1 % or more per mixture",
    "presence_accuracy": "accuracy of the presence calls",
}
_MEASURES = {
    "cpg": "mean methylation of reads and CpGs",
    "fragment": "proportions of fragments that are not unmethylated",
}


def model_card(checkpoint: Checkpoint, reference: Reference | None = None) -> dict[str, Any]:
    """Collect what a checkpoint records of its model, as plain data for JSON.

    Donors are those of ``reference``, which it was trained on, or by default as they were counted in training.
    """
    arm, record = arm_of(checkpoint), checkpoint.record
    counts = donors(reference) if reference else record.get("donors", {})
    card = {
        "arm": arm.arm,
        "phase": arm.phase,
        "backbone": arm.model.backbone,
        "tissues": checkpoint.tissue_names,
        "donors": {tissue: dict(zip(SPLITS, numbers, strict=True)) for tissue, numbers in counts.items()},
        "regions": {
            "number": len(checkpoint.regions["chrom"]),
            "genome": checkpoint.genome,
            "measure": checkpoint.measure,
            "cpg_indices": "start_cpg" in checkpoint.regions,
            "first": checkpoint.region_names[0],
        },
        "thresholds": {
            "presence": getattr(arm.model, "gate_threshold", None),
            "label": getattr(arm.loss, "label_threshold", None),
        },
        "recipe": _least_squares(arm, record),
        "terms": {name: record.get(name) for name in ("licence", "terms_of_use")},
        "borrowed_spread": record.get("borrowed_spread", False),
        "calibration": {**_calibrated(checkpoint), **_best(checkpoint, "calibration/")},
        "validation": _best(checkpoint, "val/"),
        "training": {
            "seed": checkpoint.seed,
            "epoch": checkpoint.best.get("epoch"),
            "finished": checkpoint.finished,
            "reference": checkpoint.identity.get("reference"),
            **{name: record.get(name) for name in _RECORD},
            "versions": record.get("versions", {}),
        },
        "configuration": checkpoint.arm,
        "notes": json.loads(record.get("reference_notes", "[]")),
        "statement": STATEMENT,
    }
    return {**card, "limits": _limits(card)}


def card_text(card: dict[str, Any]) -> str:
    """Write a card for a terminal."""
    regions, training, validation = card["regions"], card["training"], card["validation"]
    unfinished = "" if training["finished"] else ", not finished"
    calibration = dict(card["calibration"])
    refitted = calibration.pop(_REFITTED)
    before = ", before the last layer was fitted anew" if refitted else ""
    sections = {
        f"methmix {card['arm']} model, {card['phase']}, backbone {card['backbone']}": [card["statement"]],
        f"Tissues: {len(card['tissues'])} (donors)": [_tissue(name, card["donors"]) for name in card["tissues"]],
        "Regions": [
            f"{regions['number']:,} of {regions['genome']}, the first {regions['first']}",
            f"values are {_MEASURES.get(regions['measure'], regions['measure'])}",
            f"CpG indices of wgbstools: {'yes' if regions['cpg_indices'] else 'no'}",
        ],
        "Thresholds": [f"{name}: {'none' if value is None else value}" for name, value in card["thresholds"].items()],
        **_section_of_least_squares(card["recipe"]),
        "Calibration": [
            f"last layer fitted to mixtures of validation donors too: {'yes' if refitted else 'no'}",
            *(f"{name}: {_of_value(value)}" for name, value in calibration.items()),
        ],
        f"Validation, best epoch{before}": [
            f"{what}: {validation[name]:.4g}" for name, what in _METRICS.items() if name in validation
        ],
        "Training": [
            f"seed {training['seed']}, commit {training['commit']}, on {training['device']}",
            f"best epoch {training['epoch']}, {training['n_parameters']:,} parameters{unfinished}",
            ", ".join(f"{name} {version}" for name, version in training["versions"].items()),
        ],
        "Terms of use of the reference": [f"{name}: {text or 'not stated'}" for name, text in card["terms"].items()],
        "Limits of use": [*card["limits"], *card["notes"]],
    }
    return "\n".join(
        line for title, lines in sections.items() for line in (title, *(f"  {text}" for text in lines), "")
    )


def _tissue(name: str, donors: dict[str, dict[str, int]]) -> str:
    counts = ", ".join(f"{number} {split}" for split, number in donors.get(name, {}).items())
    return f"{name} ({counts})" if counts else name


def _least_squares(arm: ArmSettings, record: dict[str, Any]) -> dict[str, Any]:
    """Collect how the least squares are solved, and why; nothing of other backbones."""
    if not isinstance(arm.model, ReferenceBackboneSettings):
        return {}
    chosen = record.get("recipe", {})
    return {**arm.model.least_squares._asdict(), "reason": chosen.get("reason", "stated in the configuration")}


def _section_of_least_squares(values: dict[str, Any]) -> dict[str, list[str]]:
    lines = [f"{name.replace('_', ' ')}: {value}" for name, value in values.items()]
    return {"Least squares": lines} if lines else {}


def _of_value(value: float | bool | None) -> str:
    if value is None or isinstance(value, bool):
        return "known" if value else "not known"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _limits(card: dict[str, Any]) -> list[str]:
    """State what the model cannot do, in words."""
    single = [name for name, counts in card["donors"].items() if counts["train"] < 2]
    limits = [
        f"Its reference has {len(card['tissues'])} tissues; DNA of any other is attributed to the most similar.",
        f"Samples must be counted over its regions in {card['regions']['genome']}.",
        f"Its metrics are of in-silico mixtures as in {card['phase']}; other samples may differ more from its donors "
        "than these do from each other.",
        *_of_calibration(card["calibration"]),
    ]
    if card["borrowed_spread"]:
        limits.append(BORROWED)
    elif single:
        limits.append(f"A single training donor, so no inter-individual variability, for: {', '.join(single)}.")
    if not card["calibration"]["limits_of_detection"]:
        limits.append("No limit of detection is available.")
    return limits


def _of_calibration(calibration: dict[str, Any]) -> list[str]:
    """State for which mixtures that holds which stands beside the proportions."""
    prior = calibration["presence_prior"]
    if prior is None:
        return []
    return [
        "Intervals, limits of detection and presence probabilities are calibrated on in-silico mixtures of donors that "
        "are drawn around the training donors and widened, at the depths of the training, of few tissues or many, with "
        "a background or without, and with all regions or a part; for other samples they are approximate.",
        *([_SEEN] if calibration[_REFITTED] else []),
        f"Presence probabilities presuppose, as in the calibration, that {100 * prior:.2g} % of the tissues make up "
        f"{100 * metrics.PRESENT:g} % or more of a mixture (prior; logit {math.log(prior / (1 - prior)):.2f}). They "
        "approach it where a sample does not fit, and are too low or too high where more or fewer are present.",
    ]


def _calibrated(checkpoint: Checkpoint) -> dict[str, Any]:
    """Say what calibration has set in the model, and the prior of presence, 0-1."""
    tensors = {name: checkpoint.model.get(key) for name, key in _CALIBRATED.items()}
    known = {name: bool(values is not None and values.isfinite().any()) for name, values in tensors.items()}
    prior = checkpoint.model.get(_PRIOR)
    presence = None if prior is None or not known["intervals"] else float(prior.sigmoid())
    change = checkpoint.model.get(_CHANGE)
    return {_REFITTED: change is not None and bool(change.any(dim=1).all()), **known, "presence_prior": presence}


def _best(checkpoint: Checkpoint, prefix: str) -> dict[str, float]:
    return {name.removeprefix(prefix): v for name, v in checkpoint.best.items() if name.startswith(prefix)}
