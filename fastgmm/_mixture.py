"""Pickles of version 0.1 look for `Mixture` here."""

from fastgmm.api.mixture import Mixture

__all__ = ["Mixture"]
