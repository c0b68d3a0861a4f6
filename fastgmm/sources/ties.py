"""Ties of the first assignment of k-means, decided as scikit-learn decides them.

The first centers are rows. On data with few distinct values many rows are equally far from two of
them, and rounding decides which cluster such a row joins. Its squared distances tie exactly
in `fastgmm.kernels.kmeans`, but seldom in scikit-learn's ``|c|^2 - 2 x.c`` of centered rows. So the
expression is evaluated for these rows as there: on rows and centers minus `numpy.mean`, in the
precision of the rows, and by SciPy's ``gemm`` on chunks of 256 rows. ``gemm`` adds in an order that
depends on the processor, on the shape of the chunk and on a row's place in it. A chain of FMAs in
our own kernel had the same bits up to 32 features with OpenBLAS for AVX-512, but not for float32
with that for AVX2, nor for more features. NumPy's product has other bits from 600 features on.

k-means of 200,000 such rows takes 1.2 to 1.4 times as long. Without ties the labels are the same to
the bit, and the search for ties takes 0.05 to 1.1% of the time.

What may still differ:

- Later centers are means, and the rounding of their sums decides their ties. On drawn data with few
  distinct values, 1 of 1320 runs in float64 and 4 of 1180 in float32 ended with other labels than
  scikit-learn's on one thread (without this module 727 of the 1320). Its own labels on one and on
  two threads differed in 0 and 5 of these runs.
- scikit-learn allows BLAS one thread. A product of more than 1024 numbers per row (clusters times
  features) may have other bits if BLAS uses several.
- Rows with weights are left alone. The weights do not enter scikit-learn's mean, so rows of weight
  zero would affect the clusters.
"""

from itertools import pairwise

import numpy as np

_CHUNK = 256  # rows per product, as in scikit-learn


class Ties:
    """Chooses between centers that are equally near to a row, as scikit-learn does.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        All rows.
    """

    def __init__(self, X):
        self._X = X
        self._mean = None  # of all rows (n_features,), with the rounding errors of scikit-learn's

    @np.errstate(over="ignore", invalid="ignore")  # squares of huge numbers
    def nearest(self, X, rows, centers):
        """Return the index (n_rows,) of the center that scikit-learn finds nearest to each row.

        `rows` (n_rows,) are increasing indices into `X`, whose first row starts a chunk of all
        rows. `centers` (n_clusters, n_features) are rows.
        """
        # Imported here, because that takes longer than a small fit.
        from scipy.linalg.blas import dgemm, sgemm

        if self._mean is None:
            self._mean = self._X.mean(axis=0)
        gemm = dgemm if X.dtype == np.float64 else sgemm
        centers = centers.astype(X.dtype) - self._mean
        norms = np.einsum("ij,ij->i", centers, centers)
        chunks = rows // _CHUNK
        bounds = np.append(np.flatnonzero(np.diff(chunks, prepend=-1)), len(rows))
        labels = np.empty(len(rows), np.intp)
        for begin, end in pairwise(bounds):
            first = chunks[begin] * _CHUNK
            points = X[first : first + _CHUNK] - self._mean
            values = np.tile(norms, (len(points), 1))
            gemm(-2.0, centers.T, points.T, 1.0, values.T, trans_a=True, overwrite_c=True)
            labels[begin:end] = values[rows[begin:end] - first].argmin(axis=1)
        return labels
