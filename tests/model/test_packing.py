"""Trees of numbers and arrays come back from a text and an array."""

import json

import numpy as np

from fastgmm.model.packing import pack, unpack
from fastgmm.model.parameters import Parameters


def test_a_tree_comes_back():
    array = np.arange(6.0).reshape(2, 3)
    parameters = Parameters(np.array([0.1, 0.9]), array, np.empty((2, 0)), array.T, np.array(3.5))
    tree = {
        "numbers": [1, -np.inf, 0.1 + 0.2, True, None, np.float64(2.0) / 3.0],
        "parameters": parameters,
        "nested": {"names": {"a": "b"}, "array": array},
    }
    text, numbers = pack(tree)
    assert numbers.size == 2 + 6 + 6 + 1  # the array that occurs twice is stored once
    assert isinstance(json.loads(text), dict)
    back = unpack(text, numbers)
    assert back["numbers"] == tree["numbers"]
    assert back["nested"]["names"] == {"a": "b"}
    assert back["nested"]["array"] is back["parameters"].means
    for ours, theirs in zip(back["parameters"], parameters, strict=True):
        np.testing.assert_array_equal(ours, theirs)
