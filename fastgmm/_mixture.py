"""Old import path of `Mixture`, which pickles of version 0.1 name."""

from fastgmm.api.mixture import Mixture

__all__ = ["Mixture"]
