"""Pickles of version 0.1 look for `Selection` and `Candidate` here."""

from fastgmm.api.selection import Candidate, Selection

__all__ = ["Candidate", "Selection"]
