"""Evaluation: every arm and every control on the same mixtures through the same code."""
