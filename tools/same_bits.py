"""Fit 200 drawn problems on two checkouts and compare every bit of the results.

    python tools/same_bits.py OLD NEW      OLD and NEW are folders with a checkout each

Each checkout runs in a process of its own, with its folder in ``PYTHONPATH``. The problems cover
covariance types, precisions, starts, row weights and numbers of threads in all combinations, and
sizes from 1 to 64 features and up to 40 components; a fifth of them has well-separated clusters
and more than 20,000 rows, for which the E-step leaves pairs out. The SHA-256 of the weights,
means, covariances, log-likelihoods and responsibilities must agree. The exit code is 1 if any
differs. A run takes about two minutes per checkout when the kernels are compiled anew.
"""

import argparse
import hashlib
import itertools
import os
import pickle
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

N_PROBLEMS = 200
TYPES = ("full", "tied", "diag", "spherical")
INITS = ("kmeans", "k-means++", "random", "random_from_data")
SMALL_SIZES = [  # rows, features, components
    (400, 1, 3), (900, 2, 3), (300, 2, 1), (2500, 5, 7), (1200, 3, 40), (5000, 8, 6),
    (3001, 16, 4), (2000, 64, 3), (9000, 2, 12), (700, 10, 2), (6007, 7, 20), (4000, 33, 5),
]  # fmt: skip
LARGE_SIZES = [  # bounds of distances need at least 128 rows a feature
    (30_011, 10, 10), (24_000, 16, 16), (40_000, 8, 5), (21_000, 64, 8), (26_000, 12, 40),
]  # fmt: skip
KEPT_ROWS = 500  # responsibilities kept, for the size of a difference


class Problem(NamedTuple):
    """The arguments of a fit, as they are drawn."""

    covariance_type: str
    dtype: str
    init_params: str
    weighted: bool
    n_threads: int
    size: tuple
    on_collapse: str
    n_init: int
    seed: int

    def __str__(self):
        rows, features, components = self.size
        extras = ["weights"] * self.weighted + ["reset"] * (self.on_collapse == "reset")
        extras += ["n_init=2"] * (self.n_init > 1)
        return (
            f"#{self.seed} {rows} x {features}, K={components}, {self.covariance_type}, "
            f"{self.dtype}, {self.init_params}, {self.n_threads} thread{'s' * (self.n_threads > 1)}"
            + "".join(f", {extra}" for extra in extras)
        )


def problems():
    """Return the list of problems, the same in every process."""
    draw = np.random.default_rng(20_260_101)
    grid = list(itertools.product(TYPES, ("float64", "float32"), INITS, (False, True), (1, 2)))
    order = np.concatenate([draw.permutation(len(grid)) for _ in range(2)])[:N_PROBLEMS]
    found = []
    for seed, place in enumerate(order):
        sizes = LARGE_SIZES if seed % 5 == 0 else SMALL_SIZES
        size = sizes[draw.integers(len(sizes))]
        on_collapse = "reset" if draw.random() < 0.25 else "regularize"
        n_init = 2 if draw.random() < 0.2 else 1
        found.append(Problem(*grid[place], size, on_collapse, n_init, seed))
    return found


def data(problem):
    """Return rows and their weights (or None): clusters that stand apart if there are many."""
    rows, features, components = problem.size
    draw = np.random.default_rng([7, problem.seed])
    centers = draw.standard_normal((components, features))
    centers *= (8.0 if rows > 20_000 else 2.0) / np.sqrt(min(features, 4))
    labels = draw.integers(components, size=rows)
    scale = draw.uniform(0.5, 1.5, components)
    noise = draw.standard_normal((rows, features))
    mixing = np.eye(features) + 0.3 * draw.standard_normal((features, features)) / features**0.5
    X = (centers[labels] + scale[labels, None] * (noise @ mixing)).astype(problem.dtype)
    if problem.on_collapse == "reset":
        X[:3] = 40.0  # equal rows far from all others, on which a component collapses
    weight = draw.uniform(0.0, 2.0, rows) * (draw.random(rows) < 0.9) if problem.weighted else None
    return X, weight


def solve(fastgmm, problem):
    """Return the arrays that a fit produces, or the text of its error."""
    X, weight = data(problem)
    try:
        mixture = fastgmm.fit(
            X,
            problem.size[2],
            covariance_type=problem.covariance_type,
            init_params=problem.init_params,
            sample_weight=weight,
            n_threads=problem.n_threads,
            on_collapse=problem.on_collapse,
            n_init=problem.n_init,
            random_state=problem.seed,
            tol=1e-7,
            max_iter=30,
        )
        resp = mixture.predict_proba(X)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {
        "weights": mixture.weights,
        "means": mixture.means,
        "covariances": mixture.covariances,
        "log_likelihoods": np.asarray(mixture.log_likelihoods),
        "predict_proba": resp,
    }


def digest(value):
    array = np.ascontiguousarray(value)
    kind = f"{array.dtype} {array.shape} ".encode()
    return hashlib.sha256(kind + array.tobytes()).hexdigest()


def run(checkout, out):
    """Solve all problems with the package of a checkout; called in a process of its own."""
    import fastgmm

    if Path(checkout).resolve() not in Path(fastgmm.__file__).resolve().parents:
        raise SystemExit(f"{fastgmm.__file__} was imported, which is not in {checkout}")
    warnings.simplefilter("ignore")
    results = []
    for problem in problems():
        found = solve(fastgmm, problem)
        digests = {name: digest(value) for name, value in found.items()}
        if "error" not in found:
            found["predict_proba"] = found["predict_proba"][:KEPT_ROWS]
        results.append((digests, found))
    Path(out).write_bytes(pickle.dumps(results))


def results_of(checkout, folder, name):
    """Run this script on a checkout; return (digests, arrays) of each problem."""
    out = Path(folder) / name
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, __file__, "--run", str(checkout), str(out)],
        env={**os.environ, "PYTHONPATH": str(checkout.resolve())},
        cwd=folder, check=True,
    )  # fmt: skip
    print(f"{checkout}: {time.perf_counter() - begin:.0f} s", flush=True)
    return pickle.loads(out.read_bytes())


def difference(old, new):
    """Return a text that says how far two results are apart."""
    if np.shape(old) != np.shape(new) or np.asarray(old).dtype.kind != "f":
        return f"{old} against {new}" if np.size(old) == 1 else f"{np.shape(old)}, {np.shape(new)}"
    scale = np.max(np.abs(old), initial=0.0) or 1.0
    worst = np.max(np.abs(np.subtract(new, old, dtype=float)), initial=0.0) / scale
    return f"{worst:.1e}" if worst else "beyond the rows kept"


def compare(old, new):
    """Print each problem that differs; return how many do."""
    n_different = 0
    for problem, (old_digests, old_found), (new_digests, new_found) in zip(
        problems(), old, new, strict=True
    ):
        names = list(dict.fromkeys([*old_digests, *new_digests]))
        wrong = [name for name in names if old_digests.get(name) != new_digests.get(name)]
        if wrong:
            n_different += 1
            both = old_found.keys() & new_found.keys()
            parts = [
                f"{name} {difference(old_found[name], new_found[name])}" if name in both
                else f"{name} only once: {old_found.get(name, new_found.get(name))}"
                for name in wrong
            ]  # fmt: skip
            print(f"{problem}: " + "; ".join(parts))
    return n_different


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("old", type=Path, help="folder of the first checkout")
    parser.add_argument("new", type=Path, help="folder of the second checkout")
    arguments = parser.parse_args()
    if arguments.run:
        run(arguments.old, arguments.new)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        old = results_of(arguments.old.resolve(), folder, "old")
        new = results_of(arguments.new.resolve(), folder, "new")
    n_different = compare(old, new)
    n_errors = sum("error" in digests for digests, _ in old)
    print(
        f"{N_PROBLEMS} problems, {n_errors} of them errors of the first checkout: "
        f"{N_PROBLEMS - n_different} have the same bits, {n_different} differ "
        "(relative to the largest entry)"
    )
    return int(n_different > 0)


if __name__ == "__main__":
    sys.exit(main())
