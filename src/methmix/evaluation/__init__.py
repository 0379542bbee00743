"""Evaluation: every arm and every control on the same mixtures through the same code."""

from methmix.evaluation.answers import ARMS, CONTROLS, TRAINED_ARMS
from methmix.evaluation.evaluate import evaluate_arm
from methmix.evaluation.scores import Scores

__all__ = ["ARMS", "CONTROLS", "TRAINED_ARMS", "Scores", "evaluate_arm"]
