"""An implementation that forgets a method of an interface cannot be instantiated.

So no method is inherited from a sibling or silently missing until it is called.
"""

import pytest

from fastgmm.model.base import Model
from fastgmm.model.covariance import COVARIANCE_TYPES, CovarianceType
from fastgmm.sources.base import Source

INTERFACES = (CovarianceType, Model, Source)
EVERY_METHOD = [
    pytest.param(base, name, id=f"{base.__name__}.{name}")
    for base in INTERFACES
    for name in sorted(base.__abstractmethods__)
]


def implementation(base, left_out=()):
    """Return a subclass with a method of each abstract name but those in `left_out`."""
    names = base.__abstractmethods__ - set(left_out)
    return type("Implementation", (base,), dict.fromkeys(names, lambda self: None))


@pytest.mark.parametrize("base", INTERFACES)
def test_a_complete_implementation_is_accepted(base):
    assert isinstance(implementation(base)(), base)


@pytest.mark.parametrize(("base", "name"), EVERY_METHOD)
def test_a_forgotten_method_is_refused(base, name):
    with pytest.raises(TypeError, match=rf"abstract method '?{name}\b"):
        implementation(base, [name])()


def test_the_types_do_not_inherit_from_each_other():
    for kind in COVARIANCE_TYPES.values():
        assert type(kind).__bases__ == (CovarianceType,)
        assert vars(type(kind)).keys() >= CovarianceType.__abstractmethods__
