"""Which of several starts is kept: ties, failures and runs without iterations."""

import numpy as np
import pytest

from fastgmm import CollapseError
from fastgmm.em.loop import Run
from fastgmm.search.restarts import best_of


def run_with(name, *objectives):
    """Return a run of a name, which stands for its parameters, with these objectives."""
    return Run(name, True, False, objectives, ())


def kept(*outcomes):
    """Return the name of the run that is kept; an exception among the outcomes is raised."""
    inits = []

    def run(init):
        inits.append(init)
        if isinstance(outcomes[init], Exception):
            raise outcomes[init]
        return outcomes[init]

    try:
        return best_of(len(outcomes), run).parameters
    finally:
        assert inits == list(range(len(outcomes)))  # every start ran, in order


def test_the_greatest_last_objective_is_kept():
    assert kept(run_with("a", -3.0), run_with("b", -9.0, -1.0), run_with("c", 0.0, -2.0)) == "b"


@pytest.mark.parametrize("base", [-7.0, 1e-20, 0.0, 1e9])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_of_runs_that_differ_by_rounding_the_first_is_kept(base, sign):
    other = base + sign * (2e-13 if abs(base) < 1.0 else 5e-13 * abs(base))
    assert kept(run_with("a", base), run_with("b", other)) == "a"


def test_a_difference_beyond_rounding_decides():
    assert kept(run_with("a", -7.0), run_with("b", -7.0 + 1e-10)) == "b"
    assert kept(run_with("a", 0.0), run_with("b", 1e-11)) == "b"


def test_a_start_that_fails_is_left_out():
    error = CollapseError("component 2")
    assert kept(error, run_with("b", -5.0), run_with("c", -4.0), error) == "c"


def test_if_all_fail_the_last_error_is_raised():
    with pytest.raises(CollapseError, match="last"):
        kept(CollapseError("first"), CollapseError("last"))


def test_other_errors_are_not_hidden():
    def run(init):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        best_of(2, run)


def test_without_iterations_the_last_run_is_kept():
    assert run_with("a").objective == -np.inf
    assert kept(run_with("a"), run_with("b")) == "b"
    assert kept(run_with("a"), run_with("b", -1e300)) == "b"
    assert kept(run_with("a", -1e300), run_with("b")) == "a"


def test_an_objective_that_is_not_a_number_never_wins():
    assert kept(run_with("a", -3.0), run_with("b", np.nan)) == "a"
