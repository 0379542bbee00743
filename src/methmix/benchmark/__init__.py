"""Computing costs, measured as ratios within one run."""
