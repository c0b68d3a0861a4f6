"""Registration of our classes, and of scikit-learn's, with skl2onnx.

skl2onnx chooses the converter of a model in tables by its exact class. It fills them when it is
imported, and it takes the classes of the names in `sklearn.mixture`, which are ours under the
patch. The registration waits for that import. It makes the names in skl2onnx refer to
scikit-learn's classes, and the patch leaves them alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from fastgmm._importing import AfterImport
from fastgmm._logging import logger
from fastgmm.sklearn.base import KernelMixture
from fastgmm.sklearn.convert import ESTIMATORS

_ALIAS, _THEIR_ALIAS = "Fastgmm", "Sklearn"  # followed by the name of the class


def register_with_skl2onnx() -> None:
    """Let skl2onnx convert models of both classes once it is imported."""
    _waiting.start()


def _register() -> None:
    try:
        from skl2onnx import get_model_alias, update_registered_converter
        from skl2onnx.operator_converters.gaussian_mixture import convert_sklearn_gaussian_mixture
        from skl2onnx.shape_calculators.mixture import calculate_gaussian_mixture_output_shapes
    except ImportError as error:  # a release that has moved them; its import must not fail
        logger.warning("skl2onnx cannot convert models of fastgmm: %s", error)
        return

    def register(kind: type, alias: str, parser: Callable | None = None) -> None:
        update_registered_converter(
            kind,
            alias,
            calculate_gaussian_mixture_output_shapes,
            convert_sklearn_gaussian_mixture,
            parser=parser,
            options={"score_samples": [True, False]},
        )

    _give_back_names()
    for theirs, ours in ESTIMATORS.items():
        register(ours, _ALIAS + theirs.__name__, _outputs)
        try:
            get_model_alias(theirs)
        except RuntimeError:  # skl2onnx was imported under the patch
            register(theirs, _THEIR_ALIAS + theirs.__name__)


def _give_back_names() -> None:
    """Make every name in skl2onnx that refers to one of our classes refer to scikit-learn's."""
    modules = [m for n, m in list(sys.modules.items()) if n.partition(".")[0] == "skl2onnx"]
    for names in map(vars, modules):
        for name, value in list(names.items()):
            for theirs, ours in ESTIMATORS.items():
                if value is ours:
                    names[name] = theirs


def _outputs(scope: Any, model: KernelMixture, inputs: list, custom_parsers: Any = None) -> list:
    """Return the outputs of a converted model, the same as of a model of scikit-learn's class."""
    from skl2onnx.common.data_types import Int64TensorType, guess_tensor_type

    operator = scope.declare_local_operator(_ALIAS + model._stands_in_for.__name__, model)
    operator.inputs = inputs
    names = ["label", "probabilities"]
    if scope.get_options(model, {"score_samples": False})["score_samples"]:
        names.append("score_samples")
    for name in names:
        kind = Int64TensorType() if name == "label" else guess_tensor_type(inputs[0].type)
        operator.outputs.append(scope.declare_local_variable(name, kind))
    return operator.outputs


_waiting = AfterImport("skl2onnx", _register)
