"""What happens to components whose covariance became singular.

A component has collapsed when its covariance cannot be factorised, and when it lives on too few
points to have one: on a single point, where without `reg_covar` it is below 1e-12 of the
mixture's own variance in every feature; or on no more points than features, where in some
direction it is below 1e-6. Points are counted as if each had the greatest weight.
"""

import numpy as np

from fastgmm._errors import CollapseError
from fastgmm.em.models import marginal_variance
from fastgmm.model.base import Model
from fastgmm.model.parameters import Parameters
from fastgmm.sources.base import Source

MAX_RESETS = 20  # per start; after these a collapsed component counts as regularised
_POINT = 1e-12
_FLAT = 1e-6
_CANDIDATES = 64


def _names(mask):
    places = np.flatnonzero(mask)
    return f"component{'s' if len(places) > 1 else ''} {', '.join(map(str, places))}"


class CollapsePolicy:
    """Repairs the parameters of one start, by the rule that `on_collapse` names.

    Parameters
    ----------
    on_collapse : {"regularize", "reset", "raise"}
        The rule.
    model : Model
        Whose parameters these are.
    source : Source
        Rows to draw new means from.
    random_state : numpy.random.RandomState
        Draws them.
    """

    def __init__(
        self,
        on_collapse: str,
        model: Model,
        source: Source,
        random_state: np.random.RandomState,
    ) -> None:
        self._apply = getattr(self, f"_{on_collapse}")
        self._model = model
        self._type = model.covariance_type
        self._reg_covar = model.reg_covar
        self._source = source
        self._random_state = random_state
        self._n_rows = source.effective_rows
        self._resets = 0
        self._moves_points = on_collapse != "regularize"
        resets = on_collapse == "reset"
        self._tried = ", and moving it elsewhere did not help" if resets else ""
        self._untried = "" if resets else ", or on_collapse='reset'"
        self.floor_raised = False  # or a mask of the components whose floor was raised

    def on_few_points(self, parameters: Parameters) -> np.ndarray:
        """Return a mask (n_components,) of the components that live on too few points."""
        weights, means, covariances, factors = parameters[:4]
        scale = marginal_variance(self._model, parameters)
        raw = self._type.variances(covariances, *means.shape) - self._reg_covar
        collapsed = (raw <= _POINT * scale).all(axis=1)
        few = weights * self._n_rows < means.shape[1] + 0.5
        if few.any():
            with np.errstate(divide="ignore"):  # the factor of a singular matrix is unfinished
                pivots = self._type.pivots(factors, *means.shape) - self._reg_covar
            collapsed |= few & (pivots <= _FLAT * scale).any(axis=1)
        return collapsed & (weights > 0)

    def repair(self, parameters: Parameters, iterated: bool = True) -> tuple[Parameters, bool]:
        """Return valid parameters and whether a component was moved.

        A start may put a component on a single point (`iterated` false), what EM makes of it
        may not.

        Raises
        ------
        CollapseError
            If the rule is "raise", or the rule has no means to repair a singular covariance.
        """
        singular = np.isnan(parameters.log_det)
        collapsed = singular
        if iterated and self._moves_points:
            collapsed = singular | self.on_few_points(parameters)
        if not collapsed.any():
            return parameters, False
        return self._apply(parameters, collapsed, singular)

    def _raise(self, parameters, collapsed, singular):
        raise CollapseError(
            f"The covariance of {_names(collapsed)} collapsed: the component has fallen onto a "
            "single point, or its points lie in a subspace. Use fewer components, a larger "
            "reg_covar, another start, or on_collapse='reset' or 'regularize'."
        )

    def _regularize(self, parameters, collapsed, singular):
        if not singular.any():
            return parameters, False
        if self._reg_covar == 0:
            raise CollapseError(
                f"The covariance of {_names(singular)} is singular and reg_covar is 0, so "
                f"nothing can hold it up{self._tried}. Set reg_covar > 0 (1e-6 of the features' "
                f"variance is usual) or use fewer components{self._untried}."
            )
        return self._raise_floor(parameters, singular), False

    def _raise_floor(self, parameters, singular):
        """Add more and more to singular covariances, until they can be factorised."""
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
                    f"The covariance of {_names(singular)} is not finite: the values of X are "
                    "too large. Scale X, for example to unit variance."
                )
        return parameters._replace(covariances=covariances, factors=factors, log_det=log_det)

    def _reset(self, parameters, collapsed, singular):
        if self._resets >= MAX_RESETS:
            return self._regularize(parameters, collapsed, singular)
        self._resets += 1
        scale = marginal_variance(self._model, parameters)
        breadth = self._breadth(parameters, collapsed, scale)
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
            self._type.replace(covariances, k, breadth + self._reg_covar)
        if not moved:  # all rows are equal: there is nowhere to go
            return self._regularize(parameters, collapsed, singular)
        factors, log_det = self._type.factorize(covariances, *means.shape)
        repaired = parameters._replace(
            weights=weights / weights.sum(),
            means=means,
            covariances=covariances,
            factors=factors,
            log_det=log_det,
        )
        singular = np.isnan(log_det)
        return self._regularize(repaired, singular, singular)[0], True

    def _breadth(self, parameters, collapsed, scale):
        """Return variances (n_features,) for components that are moved.

        Those within the components that stand, on average. With the variance of all the data
        a moved component would reach the point it fell onto, and fall onto it again.
        """
        weights = np.where(collapsed, 0.0, parameters.weights)
        if not weights.any():
            return scale
        variances = self._type.variances(parameters.covariances, *parameters.means.shape)
        within = weights @ np.nan_to_num(variances - self._reg_covar) / weights.sum()
        return np.where(within > _POINT * scale, within, scale)

    def _draw_away_from(self, point, scale):
        """Return a row of the data drawn by its squared distance to `point`, None if all equal."""
        rows = self._source.draw(self._random_state, _CANDIDATES).astype(np.float64)
        distance = ((rows - point) ** 2 / np.where(scale > 0, scale, 1.0)).sum(axis=1)
        if not distance.any():
            return None
        return rows[self._random_state.choice(_CANDIDATES, p=distance / distance.sum())]
