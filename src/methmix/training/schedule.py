"""Learning rate, in optimiser steps."""

import math


def learning_rate(step: int, total_steps: int, peak: float, warmup_fraction: float) -> float:
    """Give the learning rate of one optimiser step: a linear rise to the peak, then a cosine to 0.

    Parameters
    ----------
    step
        Step, 0 to total_steps - 1.
    total_steps
        Optimiser steps of the whole training.
    peak
        Largest learning rate, reached at the end of the warm-up.
    warmup_fraction
        Share of all steps that the rise takes, 0-1.
    """
    warmup = max(1, round(warmup_fraction * total_steps))
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total_steps - warmup)))
