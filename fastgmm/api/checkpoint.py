"""Checkpoints: a file from which a fit that was killed goes on, with the same bits.

The file is a model file with the mixture that the present start has reached. It also has everything
that the rest of the fit depends on: the state of the run of EM and of the repair of collapsed
components, the random generator, and the best run of the starts before. It is replaced in one step
before the first pass of a start and after each pass.

What depends on the data alone is made again: the first pass over rows outside memory. Its counts
and its sample must be those of the file. A search that was finished is not made again, and neither
is any start.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastgmm._errors import ModelFileError
from fastgmm.em.collapse import CollapsePolicy
from fastgmm.em.journal import Journal
from fastgmm.em.loop import Run
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.model.model_file import read_model, write_model
from fastgmm.model.packing import pack, unpack
from fastgmm.model.parameters import Parameters
from fastgmm.search.record import SearchRecord

_FORMAT = 1
_ANEW = "or delete the file to begin anew"


class Checkpoint(Journal):
    """The file of a fit, which need not exist yet; without a path nothing is kept.

    Attributes
    ----------
    first : int
        The start with which the fit goes on.
    best : Run or None
        The best run of the starts before.
    n_passes_before : int
        Number of passes over all rows that were taken before the fit was killed.

    Raises
    ------
    TypeError, FileNotFoundError
        If the path is no path, or its folder does not exist.
    ValueError
        If the file exists and is no checkpoint, or is damaged.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._path = None if path is None else _checked(path)
        self._found = _read(self._path) if self._path is not None and self._path.exists() else None
        self._run: Mapping[str, Any] | None = None
        self._base: dict[str, Any] = {}
        self._record = SearchRecord()
        self.first = self.n_passes_before = 0
        self.best: Run | None = None

    def open(
        self,
        fit: Mapping[str, Any],
        random_state: np.random.RandomState,
        is_seeded: bool,
        count: Callable[[], int],
    ) -> None:
        """Say which fit this is, and restore where an earlier one stopped.

        Parameters
        ----------
        fit : mapping
            Numbers and strings by the names of arguments: everything that the result depends on.
        random_state : numpy.random.RandomState
            The generator of the fit, which was not used yet.
        is_seeded : bool
            Whether the caller gave the generator or its seed. A file that was begun without goes on
            with its own.
        count : callable
            Returns the number of passes that this process has taken.

        Raises
        ------
        ValueError
            If the file is of another fit; the message says what differs.
        """
        self._random_state, self._count = random_state, count
        self._base = {"format": _FORMAT, "fit": dict(fit), "begin": _state_of(random_state)}
        found = self._found
        if found is None:
            return
        self._refuse_another(found, is_seeded)
        random_state.set_state(found["begin"])
        self._base["begin"] = found["begin"]
        self.first, self.n_passes_before = found["init"], found["n_passes"]
        self.best = _run_of(found["best"])

    def _refuse_another(self, found: Mapping[str, Any], is_seeded: bool) -> None:
        """Raise ValueError if the file is of another fit."""
        if found["fit"]["X"] != self._base["fit"]["X"]:
            raise ValueError(
                f"checkpoint {self._path} is of a fit to other rows than X; pass the same rows and"
                f" weights, {_ANEW}."
            )
        for name, value in self._base["fit"].items():
            before = found["fit"][name]
            if before == value:
                continue
            given = isinstance(value or before, str) and name.endswith("s_init")  # a digest
            differs = f"another {name}" if given else f"{name}={before!r}, not {value!r}"
            raise ValueError(
                f"checkpoint {self._path} is of a fit with {differs}; pass the same arguments,"
                f" {_ANEW}."
            )
        kinds = (state["bit_generator"] for state in (found["begin"], self._base["begin"]))
        is_other = found["begin"] != self._base["begin"]
        if is_other and (is_seeded or len(set(kinds)) > 1):
            raise ValueError(
                f"checkpoint {self._path} is of a fit with another random_state; pass the same"
                f" seed, {_ANEW}."
            )

    def begin(self, init: int, policy: CollapsePolicy, record: SearchRecord) -> Parameters | None:
        """Begin a start; return the parameters that it has reached if it goes on, else None.

        The policy, the random generator and the record of the search are restored.
        """
        self._base["init"], self._policy, self._record = init, policy, record
        found, self._found = self._found, None
        self._run = None
        if found is None:
            return None
        self._run = found["run"]
        policy.restore(found["policy"])
        self._random_state.set_state(found["generator"])
        record.add(SearchRecord(**found["record"]))
        reached: Parameters = found["parameters"]
        return reached

    @property
    def writes(self) -> bool:
        """Whether there is a file."""
        return self._path is not None

    def kept(self) -> Mapping[str, Any] | None:
        """Return the state from which the run of the present start goes on."""
        return self._run

    def note(self, best: Run) -> None:
        """Keep the best run so far."""
        self.best = best

    def keep(
        self, parameters: Parameters, objectives: Sequence[float], state: Mapping[str, Any]
    ) -> None:
        """Write the file."""
        if self._path is None:
            return
        tree = {
            **self._base,
            "generator": _state_of(self._random_state),
            "policy": self._policy.state(),
            "record": vars(self._record),
            "best": self.best,
            "n_passes": self.n_passes_before + self._count(),
            "parameters": parameters,
            "run": dict(state),
        }
        text, numbers = pack(tree)
        name = self._base["fit"]["covariance_type"]
        kind = COVARIANCE_TYPES[name]
        write_model(
            self._path,
            covariance_type=name,
            **parameters._replace(
                covariances=kind.public_covariances(parameters.covariances)
            )._asdict(),
            converged=False,
            log_likelihoods=np.array(objectives, np.float64),
            regularized=np.empty(0, np.int64),
            state=text,
            numbers=numbers,
        )


def _checked(path: Any) -> Path:
    """Return the path of a file that can be written."""
    try:
        checked = Path(os.fspath(path))
    except TypeError:
        raise TypeError(
            f"checkpoint must be the name of a file but is {path!r}; pass a name such as 'fit.npz'."
        ) from None
    if not checked.parent.is_dir():
        raise FileNotFoundError(
            f"checkpoint is {str(checked)!r}, but there is no folder {str(checked.parent)!r}; make"
            " it, or pass another name."
        )
    return checked


def _read(path: Path) -> Mapping[str, Any]:
    """Return what a checkpoint holds."""
    try:
        fields = read_model(path)
    except ModelFileError as error:
        raise ValueError(
            f"checkpoint cannot be read: {error} Delete the file to begin anew."
        ) from error
    if "state" not in fields or "numbers" not in fields:
        raise ValueError(
            f"checkpoint {path} is a saved mixture without the state of a fit; pass another name."
        )
    tree: Mapping[str, Any] = unpack(str(fields["state"]), fields["numbers"])
    if tree["format"] != _FORMAT:
        raise ValueError(
            f"checkpoint {path} was written by another version of fastgmm; delete the file to begin"
            " anew."
        )
    return tree


def _run_of(parts: Sequence[Any] | None) -> Run | None:
    """Return a run from its parts."""
    if parts is None:
        return None
    parameters, converged, stopped, objectives, regularized = parts
    return Run(parameters, converged, stopped, tuple(objectives), tuple(regularized))


def _state_of(random_state: np.random.RandomState) -> Any:
    """Return the state of a generator, with lists in place of arrays of integers."""

    def plain(node: Any) -> Any:
        if isinstance(node, dict):
            return {name: plain(part) for name, part in node.items()}
        return node.tolist() if isinstance(node, np.ndarray) else node

    return plain(random_state.get_state(legacy=False))
