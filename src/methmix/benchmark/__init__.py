"""What the computing costs, measured as ratios inside one run: ``python -m methmix.benchmark``."""
