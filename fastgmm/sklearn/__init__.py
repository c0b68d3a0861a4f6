"""scikit-learn's `GaussianMixture` on the kernels of this library.

Importing it needs scikit-learn.
"""

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        'fastgmm.sklearn needs scikit-learn; install it with: pip install "fastgmm[sklearn]"'
    ) from error

from fastgmm.sklearn.convert import from_sklearn
from fastgmm.sklearn.gaussian_mixture import GaussianMixture, TheirGaussianMixture

__all__ = ["GaussianMixture", "TheirGaussianMixture", "from_sklearn"]
