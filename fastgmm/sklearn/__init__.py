"""scikit-learn's mixtures on the kernels of this library.

Importing this package needs scikit-learn. `TheirGaussianMixture` and
`TheirBayesianGaussianMixture` are scikit-learn's own classes, also while `fastgmm.patch_sklearn`
is in force.
"""

try:
    import sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        'fastgmm.sklearn needs scikit-learn; install it with: pip install "fastgmm[sklearn]"'
    ) from error

from fastgmm.sklearn.bayesian_mixture import BayesianGaussianMixture
from fastgmm.sklearn.compat import TheirBayesianGaussianMixture, TheirGaussianMixture
from fastgmm.sklearn.convert import from_sklearn
from fastgmm.sklearn.gaussian_mixture import GaussianMixture
from fastgmm.sklearn.onnx import register_with_skl2onnx
from fastgmm.sklearn.regressor import GaussianMixtureRegressor

__all__ = [
    "BayesianGaussianMixture",
    "GaussianMixture",
    "GaussianMixtureRegressor",
    "TheirBayesianGaussianMixture",
    "TheirGaussianMixture",
    "from_sklearn",
]

register_with_skl2onnx()


def __dir__() -> list[str]:
    return __all__
