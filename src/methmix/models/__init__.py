"""The two models and their losses: pure torch, no files."""
