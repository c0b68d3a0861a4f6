"""Old import path of `_theirs`, which pickles name that version 0.1 wrote under the patch."""

from fastgmm.patching.pickles import theirs as _theirs

__all__ = ["_theirs"]
