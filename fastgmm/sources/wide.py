"""EM's passes over wide float64 rows, by BLAS.

The kernels of `fastgmm.sources.passes` sum the moments of a few chunks side by side. With thousands
of features the sums of a chunk are larger than the caches: four matrices of 3,000 features that are
cleared, filled and added took longer than the arithmetic, and no more than four threads could work.
Here BLAS multiplies blocks of rows with all its threads and adds to one matrix per component. Its
triangular and symmetric products take as many operations as the kernels.

BLAS has its own number of threads (``OMP_NUM_THREADS``, ``threadpoolctl``), which may change the
last digits of the results. The argument `n_threads` does not.
"""

import numpy as np

from fastgmm.kernels.densities import LOWEST_OF_FIT
from fastgmm.kernels.tiles import NATS
from fastgmm.model.covariance.lapack import WIDE
from fastgmm.sources.base import Statistics
from fastgmm.sources.passes import EMPass
from fastgmm.sources.skipping import affordable

_BLOCK_BYTES = 2**25  # of the differences of one block of rows from a mean
_LEAST_ROWS = 256  # in a block: with fewer, BLAS is slow


def make_pass(data, kind, n_components, n_threads):
    """Return the object that runs EM's passes over an array: an `EMPass` or a `WidePass`.

    Rows are left to the kernels if there are enough for bounds of distances.
    """
    n_samples, n_features = data.X.shape
    wide = n_features >= WIDE and n_components <= kind.most_wide and data.X.dtype == np.float64
    if wide and not affordable(n_samples, n_features, max(n_components, 3), data.X.itemsize):
        return WidePass(data, kind, n_components)
    return EMPass(data, kind, n_components, n_threads)


class WidePass:
    """EM passes over one array of wide float64 rows: see `EMPass`.

    Parameters
    ----------
    data : Data
        The rows and their weights.
    covariance_type : CovarianceType
        A type whose attribute `most_wide` is at least `n_components`.
    n_components : int
        Number of components.
    """

    def __init__(self, data, covariance_type, n_components):
        self.covariance_type = covariance_type
        self.n_components = n_components
        self._X, self._weight = data
        n_samples, n_features = data.X.shape
        n_rows = max(_LEAST_ROWS, _BLOCK_BYTES // (8 * n_features))
        self._blocks = [slice(i, min(i + n_rows, n_samples)) for i in range(0, n_samples, n_rows)]

    def statistics(self, model, parameters, complete=False):
        """Return the statistics under `parameters`: see `Source.statistics`."""
        terms = model.terms(parameters)
        negligible = np.zeros(self.n_components)
        if not complete:
            negligible = terms.weights * np.exp(-NATS[8])
        sums = _Sums(*terms.means.shape)
        for rows in self._blocks:
            X, weight = self._X[rows], self._weights(rows)
            log_prob = _log_densities(X, terms)
            peak = log_prob.max(axis=0)
            resp = np.exp(np.subtract(log_prob, peak, out=log_prob), out=log_prob)
            total = resp.sum(axis=0)
            sums.log_likelihood += float(np.einsum("i,i", weight, peak + np.log(total)))
            resp *= weight / total
            for k, mean in enumerate(terms.means):
                sums.add(k, X, mean, resp[k], negligible[k] * weight)
        return self._statistics(sums)

    def given(self, means, labels=None, resp=None):
        """Return statistics under given labels or responsibilities: see `EMPass.given`."""
        sums = _Sums(*means.shape)
        for rows in self._blocks:
            X, weight = self._X[rows], self._weights(rows)
            for k, mean in enumerate(means):
                if resp is not None:
                    part = resp[rows, k] * weight
                elif labels is not None:
                    part = np.where(labels[rows] == k, weight, 0.0)
                else:
                    part = weight if k == 0 else np.zeros(len(X))
                sums.add(k, X, mean, part, 0.0)
        return self._statistics(sums)

    def _statistics(self, sums):
        """Return the sums, with S2 in the shape of the covariances."""
        shape = self.covariance_type.shape(*sums.s1.shape)
        return Statistics(sums.log_likelihood, sums.nk, sums.s1, sums.s2.reshape(shape))

    def _weights(self, rows):
        """Return the weights of a block of rows."""
        return self._weight[rows] if self._weight.size else np.ones(rows.stop - rows.start)


@np.errstate(over="ignore", invalid="ignore")  # rows too far away: their densities are clamped
def _log_densities(X, terms):
    """Return weighted log-densities (n_components, n_rows), at least `LOWEST_OF_FIT`."""
    from scipy.linalg.blas import dtrmm  # here: importing it takes longer than a small fit

    out = np.empty((len(terms.means), len(X)))
    factors = terms.factors.reshape(len(out), X.shape[1], X.shape[1])
    for k, (mean, factor) in enumerate(zip(terms.means, factors, strict=True)):
        # BLAS's matrices are transposed to ours: the columns of this one are rows of X.
        gaps = (X - mean).T
        whitened = dtrmm(1.0, factor.T, gaps, lower=0, trans_a=1, overwrite_b=1)
        out[k] = terms.offsets[k] - 0.5 * np.einsum("ji,ji->i", whitened, whitened)
    return np.fmax(out, LOWEST_OF_FIT)  # also in place of NaN


class _Sums:
    """The statistics of the blocks so far."""

    def __init__(self, n_components, n_features):
        self.log_likelihood = 0.0
        self.nk = np.zeros(n_components)
        self.s1 = np.zeros((n_components, n_features))
        self.s2 = np.zeros((n_components, n_features, n_features))

    def add(self, k, X, mean, resp, negligible):
        """Add the moments of rows about `mean` with responsibilities `resp` to component k.

        Those of at most `negligible`, a number for each row or for all, are left out.
        """
        from scipy.linalg.blas import dsyrk

        live = resp > negligible
        if not live.any():
            return
        if not live.all():
            X, resp = X[live], resp[live]
        root = np.sqrt(resp)
        gaps = X - mean
        gaps *= root[:, None]
        self.nk[k] += resp.sum()
        self.s1[k] += np.einsum("i,ij->j", root, gaps)  # NumPy has a BLAS of its own
        dsyrk(1.0, gaps.T, beta=1.0, c=self.s2[k].T, lower=0, overwrite_c=1)
