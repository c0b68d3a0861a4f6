"""scikit-learn's `GaussianMixture` on the kernels of this library.

Importing this package needs scikit-learn. `TheirGaussianMixture` is scikit-learn's own class,
also while `fastgmm.patch_sklearn` is in force.
"""

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        'fastgmm.sklearn needs scikit-learn; install it with: pip install "fastgmm[sklearn]"'
    ) from error

from fastgmm.sklearn.compat import TheirGaussianMixture
from fastgmm.sklearn.convert import from_sklearn
from fastgmm.sklearn.gaussian_mixture import GaussianMixture
from fastgmm.sklearn.onnx import register_with_skl2onnx
from fastgmm.sklearn.regressor import GaussianMixtureRegressor

__all__ = ["GaussianMixture", "GaussianMixtureRegressor", "TheirGaussianMixture", "from_sklearn"]

register_with_skl2onnx()


def __dir__() -> list[str]:
    return __all__
