"""Figures and pages: comparison of arms, Miami plots, ablation, folds, limits of detection."""
