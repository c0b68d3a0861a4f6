"""skl2onnx converts models of both classes, whatever was imported or patched first.

Each order of the imports needs a process of its own.
"""

import subprocess
import sys

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("skl2onnx")

START = """
import warnings
warnings.simplefilter("ignore")
import numpy as np
import sklearn.mixture
from sklearn.mixture import NAME as Theirs

X = np.random.RandomState(0).randn(80, 3)
options = {"n_components": 2, "max_iter": 500, "random_state": 0}
before = Theirs(**options).fit(X)
kinds = [Theirs]  # the patch changes names, but no lists
"""
EXPORT = """

def check(model, kind):
    from onnx.reference import ReferenceEvaluator
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler
    assert type(model) is kind
    pipeline = make_pipeline(StandardScaler(with_mean=False, with_std=False).fit(X), model)
    for exported in (model, pipeline):
        for by in (id(model), type(model)):
            graph = skl2onnx.to_onnx(exported, X, options={by: {"score_samples": True}})
            session = ReferenceEvaluator(graph)
            assert session.output_names == ["label", "probabilities", "score_samples"]
            label, proba, score = session.run(None, {"X": X})
            np.testing.assert_array_equal(label.ravel(), model.predict(X))
            np.testing.assert_allclose(proba, model.predict_proba(X), atol=1e-9)
            np.testing.assert_allclose(score.ravel(), model.score_samples(X), rtol=1e-9)
    graph = skl2onnx.to_onnx(model, X.astype(np.float32))
    assert ReferenceEvaluator(graph).output_names == ["label", "probabilities"]

"""
STEPS = {
    "skl2onnx": "import skl2onnx",
    "patch": "import fastgmm; fastgmm.patch_sklearn()",
    "model": "ours = sklearn.mixture.NAME(**options).fit(X)",
    "unpatch": "fastgmm.unpatch_sklearn()",
    "check ours": "check(ours, fastgmm.NAME)",
    "check theirs": "check(before, *kinds); check(ours.to_sklearn(), *kinds)",
}


each_class = pytest.mark.parametrize("name", ["GaussianMixture", "BayesianGaussianMixture"])


@each_class
@pytest.mark.parametrize(
    "steps",
    [
        "skl2onnx, patch, model, check ours, check theirs",
        "skl2onnx, patch, model, unpatch, check ours, check theirs",
        "patch, skl2onnx, model, check ours, check theirs",
        "patch, model, skl2onnx, unpatch, check ours, check theirs",
        "patch, model, unpatch, skl2onnx, check ours, check theirs",
        "skl2onnx, patch, model, unpatch, patch, check ours, check theirs",
    ],
)
def test_any_order(steps, name):
    lines = [STEPS[step] for step in steps.split(", ")]
    run(START + EXPORT + "\n".join(lines), name)


@each_class
def test_without_the_patch(name):
    run(
        START
        + EXPORT
        + """
import skl2onnx
import fastgmm
from fastgmm.sklearn import NAME
check(NAME(**options).fit(X), NAME)
check(before, Theirs)
""",
        name,
    )


def run(program, name):
    """Run a program about the class of this name in a process of its own."""
    program = program.replace("NAME", name)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
