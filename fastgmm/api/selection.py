"""`Selection`: what a grid of fits came to, and which candidate wins."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgmm._provided import provided
from fastgmm.api.mixture import Mixture

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Candidate:
    """One fit of a grid.

    Attributes
    ----------
    n_components : int
        Number of components.
    covariance_type : {"full", "tied", "diag", "spherical"}
        What the components' covariances share.
    n_parameters : int
        Number of free parameters: weights, means and covariances.
    mixture : Mixture or None
        The fit; None if it failed.
    log_likelihood : float
        Log-likelihood of all rows, in nats; NaN if the fit failed, as the criteria are.
    bic, aic, icl : float
        Criteria as `Mixture.bic`, `Mixture.aic` and `Mixture.icl` define them: lower is better.
    held_out : float
        Mean log-likelihood of a row under a mixture that was fitted without it: greater is
        better. NaN unless the criterion is "held_out".
    seconds : float
        Time of the fit and its criteria, without the start, which the types share.
    spurious : dict of int to str
        Components that make this a spurious optimum, and why; empty for a sound one.
    failure : str
        Why the fit failed; empty if it did not.
    """

    n_components: int
    covariance_type: str
    n_parameters: int
    mixture: Mixture | None = None
    log_likelihood: float = np.nan
    bic: float = np.nan
    aic: float = np.nan
    icl: float = np.nan
    held_out: float = np.nan
    seconds: float = np.nan
    spurious: dict[int, str] | None = None
    failure: str = ""

    @property
    def name(self) -> str:
        """Type and number of components."""
        return f"{self.covariance_type} {self.n_components}"

    @property
    def converged(self) -> bool:
        """Whether EM converged."""
        return self.mixture is not None and self.mixture.converged

    @property
    def note(self) -> str:
        """Why it failed or is spurious, or that it did not converge, in a few words."""
        if self.failure:
            return f"failed: {self.failure}"
        reasons: dict[str, list[str]] = {}
        for k, reason in (self.spurious or {}).items():
            reasons.setdefault(reason, []).append(str(k))
        if reasons:
            parts = (
                f"component{'s' if len(places) > 1 else ''} {', '.join(places)} {reason}"
                for reason, places in reasons.items()
            )
            return f"spurious: {'; '.join(parts)}"
        return "" if self.converged else "not converged"

    def loss(self, criterion: str) -> float:
        """Return the criterion with a sign that makes lower better, NaN out of the running."""
        if self.failure or self.spurious:
            return np.nan
        value = float(getattr(self, criterion))
        return -value if criterion == "held_out" else value


_COLUMNS = (
    "covariance_type",
    "n_components",
    "log_likelihood",
    "bic",
    "aic",
    "icl",
    "held_out",
    "n_parameters",
    "converged",
    "seconds",
)


@dataclass(frozen=True)
class Selection:
    """A grid of fits and the best of them.

    Returned by `fastgmm.select`. ``len``, iteration and indexing are over `candidates`.

    Attributes
    ----------
    candidates : tuple of Candidate
        All of them, type by type, also those that failed.
    criterion : {"bic", "aic", "icl", "held_out"}
        What was chosen by.
    interrupted : bool
        Whether the fitting was stopped before all candidates were done.
    """

    candidates: tuple[Candidate, ...]
    criterion: str
    interrupted: bool = False

    @property
    def winner(self) -> Candidate | None:
        """The best candidate that neither failed nor is spurious; None if there is none."""
        losses = [candidate.loss(self.criterion) for candidate in self.candidates]
        if not np.isfinite(losses).any():
            return None
        return self.candidates[int(np.nanargmin(losses))]

    @property
    def best(self) -> Mixture:
        """The mixture of the winner.

        Raises
        ------
        LookupError
            If every candidate failed or is spurious.
        """
        winner = self.winner
        if winner is None or winner.mixture is None:
            notes = sorted({candidate.note for candidate in self.candidates})
            raise LookupError(
                f"No candidate is fit to win ({'; '.join(notes)}). Allow fewer components, more "
                "n_init or a larger reg_covar; the fits are in Selection.candidates."
            )
        return winner.mixture

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the table as lists, a column for each key.

        Returns
        -------
        dict of str to list
            covariance_type, n_components, log_likelihood (of all rows), bic, aic and icl
            (lower is better), held_out (greater is better), n_parameters, converged, seconds,
            spurious, best and note.
        """
        winner = self.winner
        table = {
            name: [getattr(candidate, name) for candidate in self.candidates] for name in _COLUMNS
        }
        if self.criterion != "held_out":
            del table["held_out"]
        table["spurious"] = [bool(candidate.spurious) for candidate in self.candidates]
        table["best"] = [candidate is winner for candidate in self.candidates]
        table["note"] = [candidate.note for candidate in self.candidates]
        return table

    def to_frame(self) -> Any:
        """Return the table of `to_dict` as a DataFrame of pandas or, without it, of polars.

        Raises
        ------
        ImportError
            If neither is installed.
        """
        for name in ("pandas", "polars"):
            with suppress(ImportError):
                return import_module(name).DataFrame(self.to_dict())
        raise ImportError("to_frame needs pandas or polars; install one of them, or use to_dict.")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the criterion against the number of components: `plotting.plot_selection`."""
        return provided("plot_selection")(self, ax=ax)

    def __len__(self) -> int:
        return len(self.candidates)

    def __iter__(self) -> Any:
        return iter(self.candidates)

    def __getitem__(self, place: int) -> Candidate:
        return self.candidates[place]

    def __repr__(self) -> str:
        winner = self.winner
        found = f"best={winner.name!r}" if winner else "best=None"
        stopped = ", interrupted=True" if self.interrupted else ""
        return f"Selection({len(self)} candidates, criterion={self.criterion!r}, {found}{stopped})"
