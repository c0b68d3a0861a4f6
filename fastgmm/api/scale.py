"""Features in units so small that `reg_covar` hides their clusters.

`reg_covar` is added to every variance, in squared units of the data. Where it exceeds 1% of the
variance of a whole feature, it is no longer small beside the variances of the components, which
are smaller still. A value above the default was raised on purpose, for example to fit fewer rows
than features, so it may be as large as the variance itself. A feature that does not vary beyond
rounding is left out: it has no clusters, and `reg_covar` is what makes its variance positive.
"""

import numpy as np

from fastgmm.api.names import Names
from fastgmm.sources.base import Source

_DEFAULT = 1e-6
_SHARE = 0.01  # of a feature's variance, for `reg_covar` up to the default
_RAISED_SHARE = 1.0  # for a greater one
_ROUNDING = 16  # units in the last place of the mean: no greater deviation is variation

# A few rows say whether the variances need a closer look. Most data do not, and the pass over all
# rows would compile kernels that many fits never use.
_FEW_ROWS = 128
_FEW_NUMBERS = 2**18
_MARGIN = 4.0  # by which the variance of a few rows may exceed that of all


def fault_of_scale(source: Source, reg_covar: float, names: Names = None) -> str:
    """Return a sentence on the feature that `reg_covar` swamps most; empty if there is none."""
    if reg_covar == 0:
        return ""
    least = reg_covar / (_SHARE if reg_covar <= _DEFAULT else _RAISED_SHARE)
    n_rows = min(_FEW_ROWS, source.n_samples, 2 + _FEW_NUMBERS // source.n_features)
    few = source.draw(np.random.RandomState(np.random.PCG64(0)), n_rows)
    with np.errstate(over="ignore", invalid="ignore"):
        if (few.var(axis=0, dtype=np.float64) > _MARGIN * least).all():
            return ""
    mean, variance = source.mean_and_variance()
    deviation = np.sqrt(np.maximum(variance, 0.0))  # float32 can underflow
    varies = deviation > _ROUNDING * np.finfo(source.dtype).eps * np.abs(mean)
    swamped = np.flatnonzero(varies & (variance < least))
    if swamped.size == 0:
        return ""
    j = int(swamped[np.argmin(variance[swamped])])
    label = repr(names[j]) if names else str(j)
    others = f" (and {swamped.size - 1} more are affected)" if swamped.size > 1 else ""
    return (
        f"reg_covar is {reg_covar:.3g} but the variance of feature {label} is only "
        f"{variance[j]:.3g}{others}, so clusters may be hidden and variances come out too large; "
        f"scale the feature, for example to unit variance, or pass a smaller reg_covar, for "
        f"example {_DEFAULT * variance[j]:.1g}."
    )
