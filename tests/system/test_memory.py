"""Peak memory: nothing of size rows times components exists while fitting."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import gc
import warnings

import numpy as np

import fastgmm

MIB = 2.0**20


def status(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024.0 for line in file if line.startswith(field))


def rise(call):
    "Peak resident memory above what is resident before the call, in MiB."
    gc.collect()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak starts again from what is resident now
    before = status("VmRSS:")
    result = call()
    return status("VmHWM:") - before, result


def fit(X, **options):
    warnings.simplefilter("ignore", fastgmm.ConvergenceWarning)
    return fastgmm.fit(X, 8, tol=0.0, max_iter=2, random_state=0, {options})


rng = np.random.default_rng(0)
X = np.empty((2_000_000, 4))
rng.standard_normal(out=X)
for k in range(8):
    X[k::8] += 3.0 * k
small = fit(X[:4000])  # compiles
small.predict(X[:4000]), small.score(X[:4000]), small.bic(X[:4000]), small.icl(X[:4000])
small.predict_proba(X[:4000]), small.score_samples(X[:4000])

peak, model = rise(lambda: fit(X))
print("fit", peak)
print("score", rise(lambda: model.score(X))[0])
print("bic", rise(lambda: model.bic(X))[0])
print("icl", rise(lambda: model.icl(X))[0])
peak, labels = rise(lambda: model.predict(X))
print("predict", peak - labels.nbytes / MIB)
peak, density = rise(lambda: model.score_samples(X))
print("score_samples", peak - density.nbytes / MIB)
peak, resp = rise(lambda: model.predict_proba(X))
print("predict_proba", peak - resp.nbytes / MIB)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads Linux's /proc")
@pytest.mark.parametrize(
    ("covariance_type", "init_params"),
    [("full", "kmeans"), ("diag", "random"), ("tied", "k-means++")],
)
def test_two_million_rows(covariance_type, init_params):
    """A fit rises by less than 64 MiB above the data; an answer by its output and 16 MiB."""
    options = f"covariance_type={covariance_type!r}, init_params={init_params!r}"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT.replace("{options}", options)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert result.returncode == 0, result.stderr
    rises = {name: float(value) for name, value in map(str.split, result.stdout.splitlines())}
    assert len(rises) == 7
    assert rises.pop("fit") < 64.0
    assert max(rises.values()) < 16.0, rises
