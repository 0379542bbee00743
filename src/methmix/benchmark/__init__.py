"""What the computation costs, measured as ratios within one run."""
