"""Mixtures as mathematics: parameters, covariance types, M-steps and model files."""
