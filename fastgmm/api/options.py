"""The choices of every option that has a fixed set of them."""

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")
INIT_PARAMS = ("kmeans", "k-means++", "random", "random_from_data")
ON_COLLAPSE = ("regularize", "reset", "raise")
CRITERIA = ("bic", "aic", "icl", "held_out")
