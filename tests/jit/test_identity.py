"""Kernels are told apart by what they capture, or refused."""

import numba
import numpy as np
import pytest
from numba import types
from numba.extending import intrinsic

from fastgmm.jit.decorators import entry, jit, jit_sum
from fastgmm.jit.identity import identity


def kernel_with(captured):
    def kernel(x):
        return captured

    return kernel


def constant_intrinsic(value):
    @intrinsic
    def constant(typingctx):
        return types.float64(), lambda context, builder, *_: context.get_constant(
            types.float64, value
        )

    return constant


def add_one(x):
    return x + 1


def adding(n):
    return lambda x: x + n


def test_different_captures_have_different_identities():
    nested = [jit(kernel_with(jit(adding(n)))) for n in (1, 2)]
    different = [
        1, 1.0, True, "1", b"1", None, (1,), ((1,),), (1, 2), -0.0, 0.0,
        add_one, adding(1), adding(2), jit(adding(1)), jit(adding(2)), jit_sum(adding(1)),
        constant_intrinsic(1.0), constant_intrinsic(2.0), *nested,
    ]  # fmt: skip
    identities = [identity(kernel_with(captured)) for captured in different]
    assert len(set(identities)) == len(different)


def test_equal_captures_have_equal_identities():
    for make in (
        lambda: jit(adding(1)),
        lambda: constant_intrinsic(1.0),
        lambda: (2, "two", adding(2)),
        lambda: jit(kernel_with(constant_intrinsic(3.0))),
    ):
        assert identity(kernel_with(make())) == identity(kernel_with(make()))


def test_defaults_count_too():
    def scaled(factor):
        def kernel(x, factor=factor):
            return factor * x

        return kernel

    assert identity(scaled(1)) != identity(scaled(2))


def test_two_functions_of_one_name_differ():
    assert identity(lambda x: x + 1) != identity(lambda x: x + 2)


@pytest.mark.parametrize(
    "captured",
    [
        np.ones(3),
        [1, 2],
        {"a": 1},
        {1},
        (1, [2]),
        object(),
        np,
        numba.njit(add_one),  # compiled with other options than ours
        np.int64(1),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("decorator", [entry, jit, jit_sum])
def test_anything_else_is_refused(captured, decorator):
    with pytest.raises(TypeError, match=r"kernel_with\S* captures captured, which is .* may"):
        decorator(kernel_with(captured))


def test_what_helpers_capture_is_checked_too():
    values = np.ones(3)
    with pytest.raises(TypeError, match="captures values"):
        jit(kernel_with(lambda: values))


def test_a_name_without_a_value_is_refused():
    def factory():
        def kernel(x):
            return later

        refused = pytest.raises(TypeError, match="captures later before it has a value")
        with refused:
            entry(kernel)
        later = 1

    factory()


def test_a_function_may_call_itself():
    def countdown(n):
        return 0 if n == 0 else countdown(n - 1)

    assert identity(countdown) == identity(countdown)
