"""scikit-learn's `GaussianMixture` on the kernels of this library."""

from fastgmm.sklearn.gaussian_mixture import (
    GaussianMixture,
    TheirGaussianMixture,
    from_sklearn,
)

__all__ = ["GaussianMixture", "TheirGaussianMixture", "from_sklearn"]
