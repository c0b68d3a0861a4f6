"""Print a Markdown table of fastgmm's times and of scikit-learn's times divided by them.

    python tools/measure.py            about ten minutes
    python tools/measure.py --quick    few rows, one round: only checks that it runs

All libraries start from the same parameters and run a fixed number of EM iterations (``tol=0``).
The time of an iteration is the difference between a long fit and a short one, divided by the
difference of their iterations. The libraries take turns, and the table has medians, because
machines are noisy. If daal4py is installed (scikit-learn-intelex requires it), oneDAL's
``em_gmm`` is measured too.
"""

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import sys
from functools import partial
from pathlib import Path

import llvmlite.binding
import numpy as np
from sklearn.mixture import GaussianMixture

import fastgmm

sys.path.insert(0, str(Path(__file__).parents[1] / "asv_benchmarks"))
from benchmarks import common
from benchmarks.common import (
    clusters,
    fit_ours,
    fit_sklearn,
    iteration_seconds,
    seconds,
    start,
)

# rows, features, components, covariance type, dtype and whether all components overlap
ITERATIONS = [
    (1_000_000, 2, 3, "full", "float64", False),
    (1_000_000, 10, 10, "full", "float64", False),
    (1_000_000, 10, 10, "full", "float32", False),
    (1_000_000, 10, 10, "spherical", "float64", False),
    (200_000, 16, 16, "full", "float64", False),
    (200_000, 16, 16, "full", "float64", True),
    (200_000, 16, 16, "tied", "float64", False),
    (100_000, 64, 32, "full", "float64", False),
    (50_000, 64, 32, "full", "float64", True),
    (200_000, 64, 64, "diag", "float64", False),
]
OURS, THEIRS, ONEDAL = "fastgmm", "scikit-learn", "oneDAL"


def has_onedal():
    return importlib.util.find_spec("daal4py") is not None


def machine(packages=("fastgmm", "numba", "numpy", "scikit-learn")):
    """Return one line with the processor, the cores available to this process, and versions."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        model = next((s.split(":")[1].strip() for s in lines if s.startswith("model name")), model)
    generation = llvmlite.binding.get_host_cpu_name()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return (
        f"{model} ({generation}), {cores} core{'s' * (cores > 1)}, "
        f"Python {platform.python_version()}, {versions}"
    )


def fit_onedal(X, *, max_iter, n_components, covariance_type, weights_init, means_init,
               precisions_init):  # fmt: skip
    import daal4py

    if covariance_type == "full":
        covariances, storage = list(np.linalg.inv(precisions_init)), "full"
    else:
        covariances, storage = list(1.0 / precisions_init[:, None, :]), "diagonal"
    algorithm = daal4py.em_gmm(
        n_components,
        fptype="float" if X.dtype == np.float32 else "double",
        maxIterations=max_iter,
        accuracyThreshold=0.0,
        covarianceStorage=storage,
    )
    return algorithm.compute(X, weights_init[None, :], means_init, covariances)


THEIR_SECONDS = 0.5  # least seconds of scikit-learn's long fit
# The fit of each library, and how many iterations its long fit has more than its short one. The
# number is fixed where the time of an iteration depends on how many responsibilities are zero;
# scikit-learn's does not, and its number is a minimum.
SIDES = {OURS: (fit_ours, 10), THEIRS: (fit_sklearn, 2), ONEDAL: (fit_onedal, 10)}


def iteration_clock(side, X, **options):
    """Return a function that measures the seconds of one iteration of a library."""
    fit, iterations = SIDES[side]
    fit(X[:5000], max_iter=1, **options)  # compiles
    if side == THEIRS:  # enough to exceed the noise
        iterations = max(iterations, int(THEIR_SECONDS / seconds(fit, X, max_iter=1, **options)))
    return partial(iteration_seconds, fit, X, iterations, **options)


def call_clock(call, calls=1):
    """Return a function that measures the mean seconds of `calls` consecutive calls."""
    call()  # compiles

    def clock():
        return seconds(lambda: [call() for _ in range(calls)]) / calls

    return clock


def iteration(n_samples, n_features, n_components, covariance_type, dtype, overlapping):
    X = clusters(n_samples, n_features, n_components, dtype, overlapping)
    options = start(X, n_components, covariance_type, overlapping)
    sides = [OURS, THEIRS]
    if has_onedal() and covariance_type in ("full", "diag"):
        sides.append(ONEDAL)
    return X, {side: iteration_clock(side, X, **options) for side in sides}


def kmeans_start():
    X = clusters(1_000_000, 10, 10)
    options = {"n_components": 10, "max_iter": 0, "random_state": 0}
    return X, {
        OURS: call_clock(partial(fit_ours, X, **options)),
        THEIRS: call_clock(partial(fit_sklearn, X, **options)),
    }


def small_fit():
    X = clusters(1000 * common.shrink, 4, 3)
    return X, {
        OURS: call_clock(lambda: fastgmm.fit(X, 3, random_state=0), 10),
        THEIRS: call_clock(lambda: GaussianMixture(3, random_state=0).fit(X), 10),
    }


def inference(n_samples, calls):
    X = clusters(1_000_000, 10, 10)
    options = {"max_iter": 5, **start(X, 10)}
    ours, theirs = (fit(X[:20_000], **options) for fit in (fit_ours, fit_sklearn))
    rows = X[:n_samples]
    return rows, {
        OURS: call_clock(partial(ours.predict_proba, rows), calls),
        THEIRS: call_clock(partial(theirs.predict_proba, rows), calls),
    }


def works():
    """Yield each row of the table: a description, and a function returning X and the clocks."""
    for work in ITERATIONS:
        _, _, n_components, covariance_type, dtype, overlapping = work
        kind = f"{covariance_type}, {dtype}{', all overlap' * overlapping}"
        yield f"iteration, {{}}, K={n_components}, {kind}", partial(iteration, *work)
    yield "k-means start, {}, K=10", kmeans_start
    yield "whole fit, {}, K=3, full, float64", small_fit
    yield "`predict_proba`, {}, K=10, full, float64", partial(inference, None, 1)
    yield "`predict_proba`, {}, K=10, full, float64", partial(inference, 1, 1000)


def readable(value):
    """Return seconds as text with three digits and a unit."""
    unit, size = next((u for u in (("s", 1.0), ("ms", 1e-3)) if value >= u[1]), ("us", 1e-6))
    digits = 2 - min(2, int(np.log10(max(value / size, 1.0))))
    return f"{value / size:.{digits}f} {unit}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few rows and one round")
    parser.add_argument(
        "--rounds", type=int, default=5, help="number of rounds; the table has their medians"
    )
    arguments = parser.parse_args()
    rounds = arguments.rounds
    if arguments.quick:
        common.shrink, rounds = 10, 1
    sides = [side for side in SIDES if side != ONEDAL or has_onedal()]
    print(f"Medians of {rounds} round{'s' * (rounds > 1)} on {machine()}.")
    if has_onedal():
        print(f"oneDAL {importlib.metadata.version('daal')}, through daal4py.")
    print()
    print("| work |", " | ".join([*sides, *(f"over {side}" for side in sides[1:])]), "|")
    print("|---|" + "---:|" * (2 * len(sides) - 1))
    for description, make in works():
        X, clocks = make()
        times = np.array([[clock() for clock in clocks.values()] for _ in range(rounds)])
        medians = dict(zip(clocks, np.median(times, axis=0), strict=True))
        ratios = dict(zip(clocks, np.median(times / times[:, :1], axis=0), strict=True))
        cells = [readable(medians[side]) if side in medians else "" for side in sides]
        cells += [f"{ratios[side]:.3g}x" if side in ratios else "" for side in sides[1:]]
        size = f"{len(X):,} x {X.shape[1]}".replace(",", " ")
        print(f"| {description.format(size)} |", " | ".join(cells), "|", flush=True)
        clusters.cache_clear()  # the next data set may need the memory


if __name__ == "__main__":
    main()
