"""EM on a sample of the rows, so that little is left to do for passes over all rows."""

import numpy as np

from fastgmm.model.base import Model
from fastgmm.model.parameters import Parameters
from fastgmm.search.climb import LEFT_ON_SAMPLE, climb
from fastgmm.sources.base import Source

_MOST = 100  # iterations on a sample that a larger one follows
_MOST_OF_LAST = 500  # iterations before the passes over all rows, which cost far more


def settled(source: Source, model: Model, parameters: Parameters, most: int = _MOST) -> Parameters:
    """Return parameters after EM on a sample, until little is left to gain on it.

    They are returned as they are if a covariance is, or becomes, singular.
    """
    if np.isnan(parameters.log_det).any():
        return parameters
    improved, _ = climb(source, model, parameters, most=most, left=LEFT_ON_SAMPLE)
    return parameters if np.isnan(improved.log_det).any() else improved


def settled_outside_memory(source: Source, model: Model, parameters: Parameters) -> Parameters:
    """Return parameters settled on the sample of rows that are not in memory.

    Rows in memory need none: the parameters are returned as they are.
    """
    sample = source.to_settle()
    return parameters if sample is None else settled(sample, model, parameters, _MOST_OF_LAST)
