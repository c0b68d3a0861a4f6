"""Which rows of an array are the first of several equal ones."""

import numpy as np

_MIXER = np.uint64(0x9E3779B97F4A7C15)
_BLOCK = 2**16


def first_of_equals(data):
    """Return a mask (n_samples,) of rows that no earlier row of positive weight is equal to.

    Rows are compared by a 64-bit hash of their bits.
    """
    keys = np.zeros(len(data.X), np.uint64)
    for begin in range(0, len(keys), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        bits = (data.X[rows] + data.X.dtype.type(0)).view(f"u{data.X.itemsize}")  # -0.0 is 0.0
        for column in bits.T:
            keys[rows] = (keys[rows] ^ column) * _MIXER
            keys[rows] ^= keys[rows] >> np.uint64(29)
    weighted = np.arange(len(keys))
    if data.sample_weight.size:
        weighted = np.flatnonzero(data.sample_weight > 0)
    _, first = np.unique(keys[weighted], return_index=True)
    mask = np.zeros(len(keys), bool)
    mask[weighted[first]] = True
    return mask
