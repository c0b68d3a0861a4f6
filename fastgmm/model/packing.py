"""Nested numbers and arrays as one text and one array, which a file without pickle can hold."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from fastgmm.model.parameters import Parameters


def pack(tree: Any) -> tuple[str, np.ndarray]:
    """Return a text and an array from which `unpack` makes the same tree.

    A tree is a number, a string, None, an array of float64, `Parameters`, or a list or a dict of
    trees with names as keys. Tuples become lists. An array that occurs twice is stored once.
    """
    packer = _Packer()
    text = json.dumps(packer.encoded(tree))
    return text, np.concatenate([np.empty(0), *(array.ravel() for array in packer.arrays)])


def unpack(text: str, numbers: np.ndarray) -> Any:
    """Return the tree that `pack` was given."""
    made: dict[int, np.ndarray] = {}

    def decoded(node: Any) -> Any:
        if isinstance(node, list):
            return [decoded(part) for part in node]
        if not isinstance(node, dict):
            return node
        ((kind, content),) = node.items()
        if kind == "parameters":
            return Parameters(*decoded(content))
        if kind == "dict":
            return {name: decoded(part) for name, part in content.items()}
        begin, shape = content
        if begin not in made or made[begin].shape != tuple(shape):
            made[begin] = numbers[begin : begin + math.prod(shape)].reshape(shape).copy()
        return made[begin]

    return decoded(json.loads(text))


class _Packer:
    """Encodes trees for JSON, and gathers their arrays."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self._size = 0
        self._places: dict[int, int] = {}  # of arrays, by identity; `arrays` keeps them alive

    def encoded(self, node: Any) -> Any:
        """Return a tree for JSON."""
        if isinstance(node, Parameters):
            return {"parameters": [self.encoded(array) for array in node]}
        if isinstance(node, dict):
            return {"dict": {name: self.encoded(part) for name, part in node.items()}}
        if isinstance(node, list | tuple):
            return [self.encoded(part) for part in node]
        if isinstance(node, np.ndarray):
            return {"array": [self._place(node), list(node.shape)]}
        return node.item() if isinstance(node, np.generic) else node

    def _place(self, array: np.ndarray) -> int:
        """Return where the numbers of an array begin."""
        if id(array) not in self._places:
            self._places[id(array)] = self._size
            self.arrays.append(array)
            self._size += array.size
        return self._places[id(array)]
