"""Factors of wide covariance matrices by LAPACK.

The kernels of `fastgmm.kernels.linalg` factorise many small matrices, each on one thread and with
few rows in cache. From `WIDE` features on, one matrix is worth LAPACK's own threads, although they
go on spinning for 20 to 70 ms on the cores that the next pass needs: with two cores a matrix of
1,500 features took 0.13 s in the kernels and 0.035 s in LAPACK, one of 3,000 features 1.7 and
0.19 s. `fastgmm.sources.wide` says when BLAS runs the passes over the rows, too.

The number of BLAS threads (``OMP_NUM_THREADS``, ``threadpoolctl``) may change the last digits of
wide factors. The argument `n_threads` of a fit does not.
"""

import numpy as np

WIDE = 1500  # features


def factorize_one(covariance, factor):
    """Write the inverse Cholesky factor of a matrix; return the factor's log-determinant.

    The lower triangle is read. If the matrix is not positive definite, return NaN; `factor` is
    undefined then.
    """
    from scipy.linalg.lapack import dpotrf, dtrtri  # here: small fits do without

    # LAPACK's matrices are transposed to ours, so that our lower triangle is its upper one.
    np.copyto(factor, covariance)
    root, error = dpotrf(factor.T, lower=0, clean=1, overwrite_a=1)
    if error or not np.isfinite(root.diagonal()).all():
        return np.nan
    inverse, error = dtrtri(root, lower=0, overwrite_c=1)
    if error:
        return np.nan
    if not np.shares_memory(inverse, factor):
        factor[:] = inverse.T
    return float(np.log(factor.diagonal()).sum())
