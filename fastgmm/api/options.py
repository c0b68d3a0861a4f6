"""The values that arguments with a choice accept, each list written once.

This module imports nothing: the command line reads it to answer ``--help`` without Numba.
"""

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")
THEIR_INIT_PARAMS = ("kmeans", "k-means++", "random", "random_from_data")  # scikit-learn's
INIT_PARAMS = ("auto", *THEIR_INIT_PARAMS)
ON_COLLAPSE = ("regularize", "reset", "raise")
MISSING = ("error", "em")
DEFAULT_PRIOR = "default"
CRITERIA = ("bic", "aic", "icl", "held_out")
