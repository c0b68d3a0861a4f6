"""Run scikit-learn's own tests of `GaussianMixture` on ours, from the installed package.

Usage: ``python tests/sklearn/suite.py [options of pytest]``. Tests that cannot pass are listed
with their reasons in ``suite_exceptions.txt``; one that is listed and passes is an error,
and so is one that is listed and no longer there.
"""

import os
import sys
from pathlib import Path

# All of their tests: in single precision too, from several seeds, on arrays of another library.
os.environ.setdefault("SKLEARN_RUN_FLOAT32_TESTS", "1")
os.environ.setdefault("SKLEARN_TESTS_GLOBAL_RANDOM_SEED", "40-44")
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import pytest

import fastgmm

MODULES = ("sklearn.mixture.tests.test_gaussian_mixture", "sklearn.mixture.tests.test_mixture")
EXCEPTIONS = Path(__file__).with_name("suite_exceptions.txt")


def exceptions():
    """Return the reason for each test, by its name."""
    lines = EXCEPTIONS.read_text().splitlines()
    pairs = (line.split(":", 1) for line in lines if line and not line.startswith("#"))
    return {name.strip(): reason.strip() for name, reason in pairs}


class Suite:
    """A plugin of pytest that expects the listed tests to fail, and counts what ran."""

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
    # A configuration of its own: this project's options are not scikit-learn's.
    settings = ["-c", "/dev/null", "-p", "no:cacheprovider", "-q"]
    code = pytest.main([*settings, *options, "--pyargs", *MODULES], plugins=[suite])
    from sklearn.mixture.tests import test_gaussian_mixture

    assert test_gaussian_mixture.GaussianMixture is fastgmm.GaussianMixture
    return int(code) if suite.ran else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
