"""Filters and handlers of either class catch the warning that EM did not converge."""

import copy
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

import cloudpickle
from sklearn.exceptions import ConvergenceWarning as Theirs

import fastgmm

X = np.random.RandomState(0).randn(60, 2)


def unconverged():
    return fastgmm.fit(X, 3, max_iter=1, random_state=0)


@pytest.mark.parametrize("kind", [fastgmm.ConvergenceWarning, Theirs, UserWarning])
def test_filters_and_handlers(kind):
    with pytest.warns(kind, match="EM did not converge in 1 iterations") as caught:
        unconverged()
    assert caught[0].filename == __file__
    assert caught[0].category.__name__ == "ConvergenceWarning"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", kind)
        unconverged()
        warnings.simplefilter("error", kind)
        with pytest.raises(kind) as raised:
            unconverged()
    for through in (pickle, cloudpickle):
        read = through.loads(through.dumps(raised.value))
        assert type(read) is type(raised.value)
        assert str(read) == str(raised.value)
    assert type(copy.copy(raised.value)) is type(raised.value)


def test_without_scikit_learn_there_is_one_class():
    code = """
import sys, warnings, fastgmm
warnings.simplefilter("error")
try:
    fastgmm.fit([[0.0], [1.0], [3.0], [4.0], [4.5]], 2, max_iter=1, random_state=0, tol=0.0)
except fastgmm.ConvergenceWarning as warning:
    assert type(warning) is fastgmm.ConvergenceWarning
    assert "sklearn" not in sys.modules
    print("caught")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "caught\n"), done.stderr
