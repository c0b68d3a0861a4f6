"""Old import path of `Selection` and `Candidate`, which pickles of version 0.1 name."""

from fastgmm.api.selection import Candidate, Selection

__all__ = ["Candidate", "Selection"]
