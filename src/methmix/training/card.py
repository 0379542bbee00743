"""The model card: what a checkpoint says of itself to whoever uses it."""

import json
import math
from typing import Any

from methmix.files.reference import SPLITS, Reference
from methmix.training.checkpoint import Checkpoint, arm_of, donors

# What a card has of the record of the training.
_RECORD = ("n_parameters", "train_seconds", "warm_start", "device", "host", "commit")
STATEMENT = "For research use only, not for diagnosis."
# Values of validation that a card shows, and how.
_METRICS = {
    "val/mae": "mean absolute error of a proportion",
    "val/spurious_per_mixture": "absent tissues at 1 % or more, a mixture",
    "val/predicted_tissues": "tissues at 1 % or more, a mixture",
    "val/presence_accuracy": "share of tissues rightly called present or absent",
}


def model_card(checkpoint: Checkpoint, reference: Reference | None = None) -> dict[str, Any]:
    """Collect what a checkpoint knows of its model, as plain data for JSON.

    Parameters
    ----------
    checkpoint
        Of any arm.
    reference
        The reference it was trained on, to count its donors; by default as counted in training.

    Raises
    ------
    InputError
        This version of methmix does not know the configuration in the checkpoint.
    """
    arm, regions, record = arm_of(checkpoint), checkpoint.regions, checkpoint.record
    counts = donors(reference) if reference else record.get("donors", {})
    ratio, curve = checkpoint.model.get("limits.detection_ratio"), checkpoint.model.get("limits.misfit_curve")
    shift = checkpoint.model.get("head.intervals.shift")
    card = {
        "arm": arm.arm,
        "phase": arm.phase,
        "backbone": arm.model.backbone,
        "tissues": checkpoint.tissue_names,
        "donors": {tissue: dict(zip(SPLITS, numbers, strict=True)) for tissue, numbers in counts.items()},
        "regions": {
            "number": len(regions["chrom"]),
            "genome": checkpoint.genome,
            "measure": checkpoint.measure,
            "cpg_indices": "start_cpg" in regions,
            "first": checkpoint.region_names[0],
        },
        "thresholds": {
            "presence": getattr(arm.model, "gate_threshold", None),
            "label": getattr(arm.loss, "label_threshold", None),
        },
        "calibration": {
            "interval_shift": _finite(shift),
            "detection_ratio": _finite(ratio),
            "misfit_limit": None if _finite(curve) is None else [round(value, 6) for value in curve.tolist()],  # type: ignore[union-attr]
            **_best(checkpoint, "calibration/"),
        },
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
    regions, training, calibration = card["regions"], card["training"], card["calibration"]
    counts = card["donors"]
    tissues = [
        f"{name} ({', '.join(f'{number} {split}' for split, number in counts[name].items())})"
        if name in counts
        else name
        for name in card["tissues"]
    ]
    versions = ", ".join(f"{name} {version}" for name, version in training["versions"].items())
    sections = {
        f"methmix {card['arm']} model, {card['phase']}, backbone {card['backbone']}": [card["statement"]],
        f"Tissues: {len(tissues)} (donors)": tissues,
        "Regions": [
            f"{regions['number']:,} of {regions['genome']}, the first {regions['first']}",
            f"values are {_MEASURES.get(regions['measure'], regions['measure'])}",
            f"CpG indices of wgbstools: {'yes' if regions['cpg_indices'] else 'no'}",
        ],
        "Thresholds": [f"{name}: {'none' if value is None else value}" for name, value in card["thresholds"].items()],
        "Calibration": [f"{name}: {'not known' if value is None else value}" for name, value in calibration.items()],
        "Validation, best epoch": [
            f"{what}: {card['validation'][name.removeprefix('val/')]:.4g}"
            for name, what in _METRICS.items()
            if name.removeprefix("val/") in card["validation"]
        ],
        "Training": [
            f"seed {training['seed']}, commit {training['commit']}, on {training['device']} of {training['host']}",
            f"best epoch {training['epoch']}, {training['n_parameters']:,} parameters, "
            f"{training['train_seconds'] or 0:.0f} s{'' if training['finished'] else ', not finished'}",
            versions,
        ],
        "Limits of use": [*card["limits"], *card["notes"]],
    }
    return "\n".join(
        line for title, lines in sections.items() for line in (title, *(f"  {text}" for text in lines), "")
    )


_MEASURES = {
    "cpg": "mean methylation of reads and CpGs",
    "fragment": "shares of fragments that are not unmethylated",
}


def _limits(card: dict[str, Any]) -> list[str]:
    """Say what the model cannot do, in words."""
    single = [name for name, counts in card["donors"].items() if counts["train"] < 2]
    calibration, phase = card["calibration"], card["phase"]
    said = [
        f"It knows {len(card['tissues'])} tissues; DNA of any other is given to those that are most like it.",
        f"Samples must be counted over its regions in {card['regions']['genome']}.",
        f"Its intervals, limits and metrics are of mixtures made in silico as those of {phase}; other samples may "
        "differ more from its donors than these do from each other.",
    ]
    if single:
        said.append(f"Of these tissues it has seen one donor only: {', '.join(single)}.")
    if calibration["detection_ratio"] is None:
        said.append("It tells no limit of detection.")
    elif calibration.get("n_there_not_called", 0) < _FEW:
        said.append(
            f"Its limits of detection rest on {calibration.get('n_there_not_called', 0)} tissues that were there and "
            f"not found, of {calibration.get('n_there', 0)}: take them as rough."
        )
    return said


# Fewer misses than this place a limit badly.
_FEW = 30


def _best(checkpoint: Checkpoint, prefix: str) -> dict[str, float]:
    return {name.removeprefix(prefix): v for name, v in checkpoint.best.items() if name.startswith(prefix)}


def _finite(value: Any) -> float | None:
    """Give the first number of a tensor, None where it is not finite or there is none."""
    number = math.inf if value is None else value.flatten()[0].item()
    return number if math.isfinite(number) else None
