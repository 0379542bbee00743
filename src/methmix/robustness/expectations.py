"""What is expected of the answers in each situation, and whether it is held."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from methmix.robustness.situations import Situation

# Foreign DNA is to be seen from this depth and proportion on.
_DEEP, _FOREIGN = 100, 0.1


@dataclass(frozen=True)
class Expectation:
    """A quantity of a situation and the range it is expected in, both ends included."""

    quantity: str
    low: float = float("-inf")
    high: float = float("inf")

    def judge(self, value: float) -> dict[str, Any] | None:
        """Compare with a measured value; None where there is nothing to measure."""
        if np.isnan(value):
            return None
        ends = {name: end for name, end in (("low", self.low), ("high", self.high)) if np.isfinite(end)}
        return {"quantity": self.quantity, **ends, "value": value, "held": bool(self.low <= value <= self.high)}


_EXCLUDED = Expectation("absent_excluded", high=0.07)
_SAID = Expectation("absent_said", high=0.03)
_LARGE = Expectation("large_zero", high=0)
# Half a point is the sampling error of an area.
_ORDER = Expectation("auc_minus_nnls", low=-0.005)
_ALL_TISSUES = Expectation("mae_over_nnls", high=1)
_SEEN = Expectation("flagged", low=0.8)
_NOT_SEEN = Expectation("flagged", low=0.005, high=0.02)
# 2 % and what the sampling of 100 mixtures adds.
_HARDLY_SEEN = Expectation("flagged", high=0.05)
_NOTHING = Expectation("claimed", high=0)
_ANSWERED = Expectation("unanswered", high=0.01)


def expected(situation: Situation) -> list[Expectation]:
    """List what is expected of a situation."""
    if situation.kind == "nothing":
        return [_NOTHING]
    made = [_EXCLUDED, _SAID, _LARGE, _ORDER]
    if situation.all_tissues:
        made.append(_ALL_TISSUES)
    if situation.usual:
        # Or else a model that never answers would hold everything.
        made.append(_ANSWERED)
    if situation.kind == "foreign" and not situation.foreign:
        made.append(_NOT_SEEN)
    if situation.kind in ("regions", "composition", "depth"):
        made.append(_HARDLY_SEEN)
    if situation.kind == "foreign" and situation.foreign >= _FOREIGN and situation.depth >= _DEEP:
        made.append(_SEEN)
    return made
