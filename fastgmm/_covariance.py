"""Old import path of `Parameters`, which pickles of version 0.1 name."""

from fastgmm.model.parameters import Parameters

__all__ = ["Parameters"]
