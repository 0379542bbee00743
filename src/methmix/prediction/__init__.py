"""Prediction: what a trained model says of samples of a laboratory."""
