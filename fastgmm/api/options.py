"""Every choice that an argument offers, written once.

Literals only: the command line reads them to answer ``--help`` without importing Numba.
"""

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")
INIT_PARAMS = ("kmeans", "k-means++", "random", "random_from_data")
ON_COLLAPSE = ("regularize", "reset", "raise")
CRITERIA = ("bic", "aic", "icl", "held_out")
