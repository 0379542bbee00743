"""Limit of detection: how small a share of a tissue each arm can tell from none."""
