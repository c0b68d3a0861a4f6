"""scikit-learn's `GaussianMixture` on the kernels of this library.

Importing it needs scikit-learn.
"""

from fastgmm.sklearn.convert import from_sklearn
from fastgmm.sklearn.gaussian_mixture import GaussianMixture, TheirGaussianMixture

__all__ = ["GaussianMixture", "TheirGaussianMixture", "from_sklearn"]
