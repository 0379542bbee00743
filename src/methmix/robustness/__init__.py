"""Situations in which a model must never be overconfident."""
