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
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

X = np.random.RandomState(0).randn(80, 3)
options = {"n_components": 2, "max_iter": 500, "random_state": 0}
kinds = [GaussianMixture, BayesianGaussianMixture]  # the patch changes names, but no lists
before = [kind(**options).fit(X) for kind in kinds]
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
    "model": """
ours = [
    sklearn.mixture.GaussianMixture(**options).fit(X),
    sklearn.mixture.BayesianGaussianMixture(**options).fit(X),
]
""",
    "unpatch": "fastgmm.unpatch_sklearn()",
    "check ours": """
check(ours[0], fastgmm.GaussianMixture)
check(ours[1], fastgmm.BayesianGaussianMixture)
""",
    "check theirs": """
for own, model, kind in zip(ours, before, kinds):
    check(model, kind)
    check(own.to_sklearn(), kind)
""",
}


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
def test_any_order(steps):
    run("\n".join(STEPS[step] for step in steps.split(", ")))


def test_without_the_patch():
    run("""
import skl2onnx
import fastgmm
import fastgmm.sklearn
for kind in (fastgmm.sklearn.GaussianMixture, fastgmm.sklearn.BayesianGaussianMixture):
    check(kind(**options).fit(X), kind)
for model, kind in zip(before, kinds):
    check(model, kind)
""")


def run(steps):
    """Take steps with models of both classes in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", START + EXPORT + steps], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
