"""Limit of detection: how small a proportion of a tissue each arm can distinguish from none."""
