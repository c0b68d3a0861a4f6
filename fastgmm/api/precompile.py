"""`precompile`: fill the cache of machine code before the first fit has to.

The kernels are compiled by small jobs, each of which calls a few entry points. Several processes
share the jobs: this one goes through them from the first to the last and helpers from the last to
the first (`fastgmm.jit.helpers`). A fit that finds nothing compiled has helpers, too.
"""

from collections.abc import Callable, Iterable

import numpy as np

from fastgmm.api.fit import fit
from fastgmm.api.jobs import FEW_CLUSTERS, Job, ask_for_helpers
from fastgmm.em.models import MaximumLikelihood
from fastgmm.jit.turns import TURN, Busy
from fastgmm.kernels.types import SkippingLinks
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.model.parameters import Parameters
from fastgmm.search.kmeans import seed_rows
from fastgmm.sources.array import ArraySource
from fastgmm.sources.links import compile_linked
from fastgmm.sources.operands import Densities

_LABEL_LIMITS = (
    FEW_CLUSTERS,
    256,
    65_536,
)  # from here labels take 1, 2 and 4 bytes
_DTYPES = ("float64", "float32")
_SHAPE = 100, 3


def precompile() -> None:
    """Compile every kernel, for all covariance types, in float64 and float32.

    The machine code is kept in Numba's cache directory, so that the first fit of later processes
    starts at once. This takes up to a minute; if the cache is filled already, about a second. The
    work is shared with helper processes, where Numba may use several threads.
    """
    jobs = [
        *(Job(name, kind, dtype) for dtype in _DTYPES for kind in COVARIANCE_TYPES
          for name in ("moments", "about_center", "infer")),
        *(Job("step", kind, "float64") for kind in COVARIANCE_TYPES),
        Job("incomplete", "", "float64"),
        Job("matrices", "", "float64"),
        *(Job("assign", n_clusters, dtype) for dtype in _DTYPES for n_clusters in _LABEL_LIMITS),
        *(Job(name, "", dtype) for dtype in _DTYPES for name in ("seed", "ties")),
        *(Job("skipping", "full", dtype) for dtype in _DTYPES),
    ]  # fmt: skip
    ask_for_helpers(jobs[::-1], None)
    for job in jobs:
        _run(job)


def run_as_helper(jobs: Iterable[tuple[str, str | int, str]]) -> None:
    """Run jobs, except for what other processes compile."""
    TURN.waits = False
    for job in jobs:
        try:
            _run(Job(*job))
        except Busy:
            pass


def _run(job: Job) -> None:
    """Run one job."""
    rows = np.random.default_rng(0).normal(size=_SHAPE)
    _JOBS[job.name](ArraySource(rows.astype(job.dtype)), job.argument)


def _compile_moments(source: ArraySource, kind: str) -> None:
    source.moments(COVARIANCE_TYPES[kind], source.first_row())


def _linked(*names: str) -> Callable[[ArraySource, str], None]:
    """Return the function of a job that compiles linked kernels of a covariance type."""

    def compile_kernels(source: ArraySource, kind: str) -> None:
        compile_linked(COVARIANCE_TYPES[kind].kernels, names, source.dtype)

    return compile_kernels


def _compile_infer(source: ArraySource, kind: str) -> None:
    model = MaximumLikelihood(COVARIANCE_TYPES[kind], 0.0)
    means = source.rows(slice(3)).astype(np.float64)
    covariances = model.covariance_type.from_variances(np.ones((3, source.n_features)))
    factors, log_det = model.covariance_type.factorize(covariances, 3, source.n_features)
    mixture = Parameters(np.full(3, 1 / 3), means, covariances, factors, log_det)
    list(source.answers(Densities(model, mixture), ("proba",), source.n_samples))


def _compile_assignment(source: ArraySource, n_clusters: int) -> None:
    centers = np.resize(source.rows(slice(None)), (n_clusters, source.n_features))
    _assign(source, centers.astype(np.float64))


def _assign(source: ArraySource, centers: np.ndarray) -> None:
    drift = np.append(np.zeros(len(centers)), np.inf)
    source.assignment(len(centers), centers[0]).update(centers, drift)


def _compile_seeding(source: ArraySource, _: str) -> None:
    seed_rows(source, 3, np.random.RandomState(0))


def _compile_ties(source: ArraySource, _: str) -> None:
    centers = source.rows(slice(3)).astype(np.float64)
    source.nearest(centers)
    centers[1] = centers[0]
    _assign(source, centers)


def _compile_matrices(source: ArraySource, _: str) -> None:
    for kind in COVARIANCE_TYPES.values():
        factors = kind.factorize(kind.from_variances(np.ones((3, 2))), 3, 2)[0]
        kind.stretch(factors, factors, 3, 2, n_threads=1)


def _compile_incomplete(source: ArraySource, _: str) -> None:
    draw = np.random.default_rng(0)
    X = np.where(draw.random(_SHAPE) < 0.2, np.nan, source.rows(slice(None)))
    mixture = fit(X, 3, tol=1e3, random_state=0, missing="em")
    mixture.predict_proba(X, missing="em")
    mixture.sample_missing(X, random_state=0)


_JOBS: dict[str, Callable] = {
    "moments": _compile_moments,
    "about_center": _linked("moments_about_center"),
    "infer": _compile_infer,
    "step": _linked("step"),
    "skipping": _linked(*SkippingLinks._fields),
    "assign": _compile_assignment,
    "seed": _compile_seeding,
    "ties": _compile_ties,
    "matrices": _compile_matrices,
    "incomplete": _compile_incomplete,
}
