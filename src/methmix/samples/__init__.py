"""Samples to predict: the sheet that names them, and their counts over the regions of a model."""
