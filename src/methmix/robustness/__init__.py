"""Situations in which an answer must never be surer than it may be."""
