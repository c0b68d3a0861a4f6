"""Pickles of version 0.1 look for `Parameters` here."""

from fastgmm.model.parameters import Parameters

__all__ = ["Parameters"]
