"""`Selection`: the candidates of a grid of fits, their table and the best of them."""

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
        Form of the covariances: see `fastgmm.fit`.
    n_parameters : int
        Number of free parameters: weights, means and covariances.
    mixture : Mixture or None
        The fitted mixture; None if the fit failed.
    log_likelihood : float
        Log-likelihood of all rows, in nats; NaN if the fit failed.
    bic, aic, icl : float
        Criteria as `Mixture.bic`, `Mixture.aic` and `Mixture.icl` define them: lower is better.
        NaN if the fit failed.
    held_out : float
        Mean log-likelihood of a row, in nats, under a mixture that was fitted without it:
        greater is better. NaN unless the criterion is "held_out".
    seconds : float
        Time of the fit and its criteria. The time of the start is not included, because all
        covariance types use the same start. Fits that read files together wait for each other,
        and that is included.
    spurious : dict of int to str
        Indices of the components that make this a spurious optimum, and why; empty if there are
        none.
    failure : str
        Reason why the fit failed; empty if it did not.
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
        """Covariance type and number of components, for example ``"tied 3"``."""
        return f"{self.covariance_type} {self.n_components}"

    @property
    def converged(self) -> bool:
        """Whether EM converged."""
        return self.mixture is not None and self.mixture.converged

    @property
    def note(self) -> str:
        """Short text if the fit failed, is spurious or did not converge; else empty."""
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
        """Return the criterion with the sign for which lower is better.

        Parameters
        ----------
        criterion : {"bic", "aic", "icl", "held_out"}
            Name of the criterion.

        Returns
        -------
        float
            NaN if the fit failed or is spurious, so that it cannot be chosen.
        """
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
    """A grid of fits and the best of them, as `fastgmm.select` returns it.

    ``len``, iteration and indexing apply to `candidates`.

    Attributes
    ----------
    candidates : tuple of Candidate
        All candidates, sorted by covariance type, including those that failed.
    criterion : {"bic", "aic", "icl", "held_out"}
        Criterion of the choice.
    interrupted : bool
        Whether an interrupt stopped the fits before all candidates were done.
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
                f"No candidate can be chosen ({'; '.join(notes)}). Pass fewer components, a "
                "larger n_init or a larger reg_covar; the fits are in Selection.candidates."
            )
        return winner.mixture

    def to_dict(self) -> dict[str, list[Any]]:
        """Return the table of candidates as a list for each column.

        Returns
        -------
        dict of str to list
            Columns covariance_type, n_components, log_likelihood (of all rows, in nats), bic,
            aic and icl (lower is better), held_out (greater is better; only if it is the
            criterion), n_parameters, converged, seconds, spurious, best and note. Each list has
            an entry for each candidate.
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
        """Return the table of `to_dict` as a DataFrame.

        Returns
        -------
        pandas.DataFrame or polars.DataFrame
            The table, of polars only if pandas is not installed.

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
        """Draw the criterion against the number of components with `plotting.plot_selection`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Axes to draw in; by default those of a new figure.

        Returns
        -------
        matplotlib.axes.Axes
            The Axes with the drawing.
        """
        axes: Axes = provided("plot_selection")(self, ax=ax)
        return axes

    def __len__(self) -> int:
        return len(self.candidates)

    def __iter__(self) -> Any:
        return iter(self.candidates)

    def __getitem__(self, index: int) -> Candidate:
        return self.candidates[index]

    def __repr__(self) -> str:
        winner = self.winner
        found = f"best={winner.name!r}" if winner else "best=None"
        stopped = ", interrupted=True" if self.interrupted else ""
        return f"Selection({len(self)} candidates, criterion={self.criterion!r}, {found}{stopped})"
