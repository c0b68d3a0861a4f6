"""Replacement of scikit-learn's mixtures, in a process or for a whole program."""
