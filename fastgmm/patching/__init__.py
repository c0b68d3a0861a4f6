"""Putting the estimator in the place of scikit-learn's."""
