"""Covariance types: an interface, and one file for each type.

`COVARIANCE_TYPES` holds every type by its name; `register` adds one.
"""

from fastgmm.model.covariance.base import CovarianceType
from fastgmm.model.covariance.diag import Diag
from fastgmm.model.covariance.full import Full
from fastgmm.model.covariance.spherical import Spherical
from fastgmm.model.covariance.tied import Tied

__all__ = ["COVARIANCE_TYPES", "CovarianceType", "register"]

COVARIANCE_TYPES: dict[str, CovarianceType] = {}


def register(covariance_type: CovarianceType) -> CovarianceType:
    """Add a covariance type to `COVARIANCE_TYPES` under its name; return it."""
    COVARIANCE_TYPES[covariance_type.name] = covariance_type
    return covariance_type


for _type in (Full(), Tied(), Diag(), Spherical()):
    register(_type)
