"""Run the tests of scikit-learn's mixtures, as installed, on this library's classes.

Usage: ``python tests/sklearn/suite.py [options of pytest]``. ``suite_exceptions.txt`` lists
the tests that cannot pass, with reasons. A listed test that passes is an error, and so is a
listed test that does not exist.
"""

import os
import sys
from pathlib import Path

# Run all of their tests: also in float32, from several seeds, and on arrays of other libraries.
os.environ.setdefault("SKLEARN_RUN_FLOAT32_TESTS", "1")
os.environ.setdefault("SKLEARN_TESTS_GLOBAL_RANDOM_SEED", "40-44")
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import pytest

import fastgmm

MODULES = [
    f"sklearn.mixture.tests.{name}"
    for name in ("test_gaussian_mixture", "test_bayesian_mixture", "test_mixture")
]
EXCEPTIONS = Path(__file__).with_name("suite_exceptions.txt")


def exceptions():
    """Return the reason for each test, by its name."""
    lines = EXCEPTIONS.read_text().splitlines()
    pairs = (line.split(":", 1) for line in lines if line and not line.startswith("#"))
    return {name.strip(): reason.strip() for name, reason in pairs}


class Suite:
    """A plugin of pytest that expects the listed tests to fail and counts those that pass."""

    def __init__(self):
        self.ran = 0

    def pytest_collection_modifyitems(self, items):
        listed = exceptions()
        unknown = set(listed) - {item.originalname for item in items}
        if unknown:
            raise pytest.UsageError(f"{EXCEPTIONS.name} lists what is not there: {unknown}")
        for item in items:
            if item.originalname in listed:
                item.add_marker(pytest.mark.xfail(reason=listed[item.originalname], strict=True))

    def pytest_runtest_logreport(self, report):
        self.ran += report.when == "call" and report.passed


def main(options):
    fastgmm.patch_sklearn()
    suite = Suite()
    # Without this project's pytest options, which do not suit scikit-learn's tests.
    settings = ["-c", "/dev/null", "-p", "no:cacheprovider", "-q"]
    code = pytest.main([*settings, *options, "--pyargs", *MODULES], plugins=[suite])
    from sklearn.mixture.tests import test_bayesian_mixture, test_gaussian_mixture

    assert test_gaussian_mixture.GaussianMixture is fastgmm.GaussianMixture
    ours = fastgmm.BayesianGaussianMixture
    assert test_bayesian_mixture.BayesianGaussianMixture is ours
    return int(code) if suite.ran else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
