"""Limit of detection: how small a share of a tissue each arm can tell from none."""

from methmix.detection.dilution import DilutionScores, score_dilutions, write_scores
from methmix.detection.limits import detection_table, limits_table

__all__ = ["DilutionScores", "detection_table", "limits_table", "score_dilutions", "write_scores"]
