"""Distinct rows of an array."""

import numpy as np

_MIXER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio, an odd number
_BLOCK = 2**16  # rows hashed at a time


def first_of_equals(data):
    """Return a mask (n_samples,) of the first row of each set of equal rows of positive weight.

    Two rows count as equal if a 64-bit hash of their bits is equal.
    """
    keys = np.zeros(len(data.X), np.uint64)
    for begin in range(0, len(keys), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        positive = data.X[rows] + data.X.dtype.type(0)  # makes -0.0 equal to 0.0
        bits = positive.view(f"u{data.X.itemsize}")
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
