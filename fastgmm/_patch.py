"""Pickles that version 0.1 wrote while scikit-learn was patched look for `_theirs` here."""

from fastgmm.patching.patch import _theirs

__all__ = ["_theirs"]
