"""The mathematics of mixtures: parameters, covariance types, criteria and model files."""
