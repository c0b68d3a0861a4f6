"""Detection and repair of collapsed components.

A component has collapsed if one of the following holds. Variances are those without `reg_covar`,
relative to the variance of the mixture in the same feature.

- Its covariance cannot be factorised.
- It has fallen onto a single point: all its variances are at most 1e-12.
- It has no more rows than features, and some variance of a feature given the features before it
  is at most 1e-6. Its number of rows is its weight times `Source.effective_rows`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastgmm._errors import CollapseError
from fastgmm.em.models import marginal_variance
from fastgmm.model.base import Model
from fastgmm.model.parameters import Parameters
from fastgmm.sources.base import Source

MAX_RESETS = 20  # resets per start; later collapses are regularised
_POINT = 1e-12  # relative variance of a component on a single point
_FLAT = 1e-6  # relative variance of a component on a line or plane
_CANDIDATES = 64  # rows among which a new mean is drawn


def _names(mask):
    """Return the words "component 2" or "components 0, 2" for a mask (n_components,)."""
    indices = np.flatnonzero(mask)
    return f"component{'s' if len(indices) > 1 else ''} {', '.join(map(str, indices))}"


class CollapsePolicy:
    """Repairs collapsed components during one start.

    Attribute `floor_raised` is a mask (n_components,) of the components that needed more than
    `reg_covar` on their diagonal, or False if there are none.

    Parameters
    ----------
    on_collapse : {"regularize", "reset", "raise"}
        Add to the diagonals of singular covariances, move collapsed components to other rows, or
        raise an error.
    model : Model
        The model that is fitted.
    source : Source
        The rows from which new means are drawn.
    random_state : numpy.random.RandomState
        The generator that draws them.
    """

    def __init__(
        self,
        on_collapse: str,
        model: Model,
        source: Source,
        random_state: np.random.RandomState,
    ) -> None:
        self._model = model
        self._type = model.covariance_type
        self._reg_covar = model.reg_covar
        self._source = source
        self._random_state = random_state
        self._n_rows = source.effective_rows
        self._resets = 0
        self._on_collapse = on_collapse
        self.floor_raised: np.ndarray | bool = False

    def state(self) -> dict[str, Any]:
        """Return what earlier repairs of this start have left, for `Journal.keep`."""
        return {"resets": self._resets, "floor_raised": np.array(self.floor_raised).tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._resets, raised = state["resets"], state["floor_raised"]
        self.floor_raised = np.array(raised) if isinstance(raised, list) else raised

    def on_few_points(self, parameters: Parameters) -> np.ndarray:
        """Return a mask (n_components,) of the components on a single point or on few rows."""
        weights, means, covariances, factors = parameters[:4]
        if self._model.is_bounded:
            return np.zeros(len(weights), bool)
        scale = marginal_variance(self._model, parameters)
        raw = self._type.variances(covariances, *means.shape) - self._reg_covar
        collapsed = (raw <= _POINT * scale).all(axis=1)
        few = weights * self._n_rows < means.shape[1] + 0.5
        if few.any():
            with np.errstate(divide="ignore"):  # a singular matrix has an incomplete factor
                pivots = self._type.pivots(factors, *means.shape) - self._reg_covar
            collapsed |= few & (pivots <= _FLAT * scale).any(axis=1)
        return collapsed & (weights > 0)

    def leaves(self, parameters: Parameters) -> bool:
        """Return whether `repair` would return the parameters of an iteration as they are."""
        return not self._collapsed(parameters).any()

    def _collapsed(self, parameters, iterated=True):
        """Return a mask (n_components,) of the components that need repair."""
        singular = np.isnan(parameters.log_det)
        if iterated and self._on_collapse != "regularize":
            return singular | self.on_few_points(parameters)
        return singular

    def repair(self, parameters: Parameters, iterated: bool = True) -> tuple[Parameters, bool]:
        """Return valid parameters, and whether a component was moved.

        `iterated` is false for the parameters of a start, which may put a component on a single
        point: EM can make it grow.

        Raises
        ------
        CollapseError
            If a component has collapsed and `on_collapse` is "raise", or if a covariance is
            singular and nothing can be added to it.
        """
        collapsed = self._collapsed(parameters, iterated)
        if not collapsed.any():
            return parameters, False
        rules = {"regularize": self._regularize, "reset": self._reset, "raise": self._raise}
        return rules[self._on_collapse](parameters, collapsed, np.isnan(parameters.log_det))

    def _raise(self, parameters, collapsed, singular):
        """Raise an error that names the collapsed components."""
        raise CollapseError(
            f"The covariance of {_names(collapsed)} collapsed: its rows are all equal, or they lie "
            "on a line or plane. Use fewer components, a larger reg_covar, another start, or "
            "on_collapse='reset' or 'regularize'."
        )

    def _regularize(self, parameters, collapsed, singular):
        """Make singular covariances positive definite; leave other collapsed components alone."""
        if not singular.any():
            return parameters, False
        if self._reg_covar == 0:
            resets = self._on_collapse == "reset"
            tried = ", and moving it to other rows did not help" if resets else ""
            untried = "" if resets else ", or on_collapse='reset'"
            raise CollapseError(
                f"The covariance of {_names(singular)} is singular and reg_covar is 0{tried}. Set "
                "reg_covar > 0 (1e-6 of the features' variance is usual) or use fewer "
                f"components{untried}."
            )
        return self._raise_floor(parameters, singular), False

    def _raise_floor(self, parameters, singular):
        """Add increasing numbers to singular covariances until they can be factorised."""
        self.floor_raised = self.floor_raised | singular
        scale = marginal_variance(self._model, parameters).mean()
        floor = max(self._reg_covar, np.finfo(float).eps * scale)
        covariances = parameters.covariances.copy()
        while singular.any():
            self._type.add_to_diagonal(covariances, np.where(singular, floor, 0.0))
            factors, log_det = self._type.factorize(covariances, *parameters.means.shape)
            singular = np.isnan(log_det)
            floor *= 10
            if not np.isfinite(floor):
                raise CollapseError(
                    f"The covariance of {_names(singular)} is not finite because the values of X "
                    "are too large. Scale X, for example to unit variance."
                )
        return parameters._replace(covariances=covariances, factors=factors, log_det=log_det)

    def _reset(self, parameters, collapsed, singular):
        """Move collapsed components; regularise them after too many moves, or if none can move."""
        moved = None
        if self._resets < MAX_RESETS:
            self._resets += 1
            moved = self._move(parameters, collapsed)
        if moved is None:
            return self._regularize(parameters, collapsed, singular)
        singular = np.isnan(moved.log_det)
        return self._regularize(moved, singular, singular)[0], True

    def _move(self, parameters, collapsed):
        """Return parameters with new means for collapsed components; None if all rows are equal."""
        scale = marginal_variance(self._model, parameters)
        variances = self._variances_elsewhere(parameters, collapsed, scale)
        weights, means = parameters.weights.copy(), parameters.means.copy()
        covariances = parameters.covariances.copy()
        moved = False
        for k in np.flatnonzero(collapsed).tolist():
            row = self._draw_away_from(means[k], scale)
            if row is None:
                continue
            moved = True
            means[k] = row
            weights[k] = 1.0 / len(weights)
            self._type.replace(covariances, k, variances + self._reg_covar)
        if not moved:
            return None
        factors, log_det = self._type.factorize(covariances, *means.shape)
        return parameters._replace(
            weights=weights / weights.sum(),
            means=means,
            covariances=covariances,
            factors=factors,
            log_det=log_det,
        )

    def _variances_elsewhere(self, parameters, collapsed, scale):
        """Return variances (n_features,) for moved components.

        They are the average variances of the components that have not collapsed. With the
        variances of all rows, `scale` (n_features,), a moved component would reach the point
        onto which it fell and fall onto it again.
        """
        weights = np.where(collapsed, 0.0, parameters.weights)
        if not weights.any():
            return scale
        variances = self._type.variances(parameters.covariances, *parameters.means.shape)
        within = weights @ np.nan_to_num(variances - self._reg_covar) / weights.sum()
        return np.where(within > _POINT * scale, within, scale)

    def _draw_away_from(self, point, scale):
        """Return a row drawn in proportion to its squared distance from `point`, or None.

        The result is None if all candidates equal the point.
        """
        rows = self._source.draw(self._random_state, _CANDIDATES).astype(np.float64)
        distance = ((rows - point) ** 2 / np.where(scale > 0, scale, 1.0)).sum(axis=1)
        if not distance.any():
            return None
        return rows[self._random_state.choice(_CANDIDATES, p=distance / distance.sum())]
