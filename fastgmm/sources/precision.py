"""When float32 does not suffice, and the same rows computed in float64.

Sums of float32 rows round every entry of a covariance by about 1e-7 of its features' deviations.
If features depend on each other, so that a feature's variance given the others is a fraction 1 /
inflation of its variance, this changes the log-determinant by 0.3 x 1.2e-7 x inflation (measured
for 3 to 128 features and 300 to 3,000 rows). With an inflation of 1e6, which is all that the usual
`reg_covar` leaves of dependent features, the log-likelihood then wanders by 0.03 nats and EM
does not converge. Beyond `MOST_INFLATION` the rows are therefore converted to float64 (see
`fastgmm.sources.double`). At this limit the determinant changes by 4e-4 nats, and the likelihood
that EM reaches by less than 1e-6 nats.
"""

from typing import Any

import numpy as np

from fastgmm.model.covariance import CovarianceType

MOST_INFLATION = 1e4  # see `CovarianceType.inflation`


def needs_double(kind: CovarianceType, parameters: Any, dtype: np.dtype) -> bool:
    """Return whether rows of `dtype` must be computed in float64 under the parameters.

    This includes covariances that are singular: float64 may show that they are not.
    """
    if dtype == np.float64:
        return False
    _, means, covariances, factors, log_det = parameters[:5]
    if not np.isfinite(log_det).all():
        return True
    return not kind.inflation(covariances, factors, *means.shape) <= MOST_INFLATION
