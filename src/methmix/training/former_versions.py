"""Weights of checkpoints that earlier versions of methmix have written."""

from torch import Tensor

# What marks, and what is dropped of, the calibration of an earlier version.
_FORMER_SHIFT = "head.intervals.shift"
_FORMER_CALIBRATION = ("intervals.shift", "detection_ratio", "misfit_curve")
# Slope and shift of the logits of presence.
_FORMER_MAP = "head.presence_map"


def present_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give weights their present names, without the calibration of an earlier version."""
    return _without_former_map(_without_former_calibration(_present_names(weights)))


def _present_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of a checkpoint that was written when heads were no modules of their own."""
    of_tissues = "backbone.mean" in weights
    former = {
        "proportion_head": "head.readout" if of_tissues else "head.readout.proportion",
        "presence_head": "head.readout.presence",
        "leave": "head.readout",
        "interval_head": "head.intervals.quantiles",
        "interval_shift": _FORMER_SHIFT,
    }
    parts = ((name.partition("."), tensor) for name, tensor in weights.items())
    return {former.get(first, first) + dot + rest: tensor for (first, dot, rest), tensor in parts}


def _without_former_calibration(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Drop what an earlier calibration has set, which did not hold for other donors: it is not known any more."""
    if _FORMER_SHIFT not in weights:
        return weights
    kept = {name: v for name, v in weights.items() if not name.endswith(_FORMER_CALIBRATION)}
    ends = {name: v[:2] for name, v in kept.items() if name.startswith("head.intervals.quantiles.")}
    return {**kept, **ends}


def _without_former_map(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Express a linear map of the logits of presence as a change of the weights that they are read off by."""
    kept = {name: value for name, value in weights.items() if name != _FORMER_MAP}
    if len(kept) == len(weights) or not {"head.readout.weight", "head.readout.bias"} <= kept.keys():
        return kept
    former, weight, bias = weights[_FORMER_MAP], kept["head.readout.weight"], kept["head.readout.bias"]
    if former.shape != (2,) or weight.ndim != 2 or bias.shape != weight.shape[:1]:
        # Refused like any other weights that do not fit the model.
        return weights
    change = weight.new_zeros(len(weight), weight.shape[1] + 1)
    slope, shift = former
    # Presence is the first of both numbers.
    change[0, :-1] = (slope - 1) * weight[0]
    change[0, -1] = (slope - 1) * bias[0] + shift
    return {**kept, "head.readout.change": change}
