"""`precompile`: fill Numba's cache before the first fit has to."""

import numpy as np

from fastgmm.api.fit import fit
from fastgmm.model.covariance import COVARIANCE_TYPES


def precompile() -> None:
    """Compile every kernel, for all covariance types in float64 and float32.

    The machine code is kept in Numba's cache directory, so that the first fit of later
    processes starts at once. Takes some seconds; where the cache is filled already, little.
    """
    draw = np.random.default_rng(0)
    for dtype in (np.float64, np.float32):
        X = draw.normal(size=(40_000, 3)).astype(dtype)  # enough rows for several chunks
        for name in COVARIANCE_TYPES:
            for rows in (X[:100], X):
                mixture = fit(rows, 2, covariance_type=name, tol=1e3)
                mixture.predict_proba(rows)
