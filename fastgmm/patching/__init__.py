"""Replacement of scikit-learn's GaussianMixture, in a process or for a whole program."""
