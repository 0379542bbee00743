"""Sweeps: the points of an arm's keys that are tried, the choice among them on validation, and its page."""
