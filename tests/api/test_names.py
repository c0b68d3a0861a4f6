"""The names that users see, and the values that arguments with a choice accept."""

import inspect
import subprocess
import sys

import fastgmm
from fastgmm.api import options
from fastgmm.em.collapse import CollapsePolicy
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.search.starts import RESP_STARTS, ROW_STARTS

PUBLIC = [
    "BayesianGaussianMixture", "CollapseError", "ConvergenceWarning", "Dirichlet",
    "GaussianMixture", "Mixture", "ModelFileError", "NormalInverseWishart", "ReadingError",
    "Selection", "Statistics", "__version__", "fit", "load", "patch_sklearn", "precompile",
    "select", "sklearn", "sklearn_is_patched", "statistics", "unpatch_sklearn",
]  # fmt: skip
NEED_SKLEARN = {"BayesianGaussianMixture", "GaussianMixture", "sklearn"}


def test_dir_lists_public_names_only():
    assert dir(fastgmm) == PUBLIC
    assert set(fastgmm.__all__) == set(PUBLIC) - NEED_SKLEARN
    for name in set(PUBLIC) - NEED_SKLEARN:
        assert getattr(fastgmm, name) is not None


def test_every_public_function_and_method_has_a_docstring():
    for name in fastgmm.__all__:
        value = getattr(fastgmm, name)
        if inspect.isclass(value):
            for method, member in vars(value).items():
                if not method.startswith("_") and (callable(member) or hasattr(member, "__get__")):
                    assert inspect.getdoc(getattr(value, method)), f"{name}.{method}"
        elif callable(value):
            assert inspect.getdoc(value), name


def test_importing_the_package_imports_neither_numba_nor_scipy():
    code = (
        "import sys, fastgmm; dir(fastgmm); print({'numba', 'scipy', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_options_are_what_the_library_implements():
    assert options.COVARIANCE_TYPES == ("full", "tied", "diag", "spherical")
    assert set(options.COVARIANCE_TYPES) <= set(COVARIANCE_TYPES)
    assert set(options.INIT_PARAMS) == {*ROW_STARTS, *RESP_STARTS}
    assert all(hasattr(CollapsePolicy, f"_{rule}") for rule in options.ON_COLLAPSE)
    assert all(hasattr(fastgmm.api.selection.Candidate, name) for name in options.CRITERIA)
