"""After `precompile` nothing is left to compile, whatever is fitted."""

import subprocess
import sys

BATTERY = '''
import itertools, warnings
import numpy as np
import fastgmm
from fastgmm.jit.registry import compiled_here, loaded_from_cache
from fastgmm.sklearn import GaussianMixture

warnings.simplefilter("ignore")


def kernels():
    """The code that this process has taken from the cache or compiled."""
    return {*loaded_from_cache(), *compiled_here()}


fastgmm.precompile()
precompiled = kernels()
draw = np.random.default_rng(0)
centers = 6.0 * draw.normal(size=(12, 8))
many = centers[draw.integers(0, 12, 30_000)] + draw.normal(size=(30_000, 8))
types = ("full", "tied", "diag", "spherical")
inits = ("auto", "kmeans", "k-means++", "random", "random_from_data")

for dtype, name in itertools.product((np.float64, np.float32), types):
    X = draw.normal(size=(150, 3)).astype(dtype)
    weight = draw.uniform(0.5, 2.0, 150)
    for init, n_components in itertools.product(inits, (1, 3)):
        for sample_weight in (None, weight):
            options = {"covariance_type": name, "init_params": init, "max_iter": 3}
            mixture = fastgmm.fit(
                X, n_components, sample_weight=sample_weight, random_state=0, **options
            )
    mixture.predict(X), mixture.predict_proba(X), mixture.score_samples(X[:1])
    mixture.bic(X), mixture.icl(X, weight), mixture.sample(10)
    mixture.save("model.npz")
    fastgmm.load("model.npz").predict_proba(X)
    start = {
        "weights_init": mixture.weights, "means_init": mixture.means,
        "precisions_init": np.linalg.inv(mixture.covariances) if name in ("full", "tied")
        else 1.0 / mixture.covariances,
    }
    fastgmm.fit(X, 3, covariance_type=name, max_iter=2, **start)
    fastgmm.fit(X, 3, covariance_type=name, max_iter=2, means_init=mixture.means)
    lazy = fastgmm.fit(  # skips pairs, on several threads
        many.astype(dtype), 12, covariance_type=name, init_params="kmeans", max_iter=12, tol=0.0,
        random_state=0,
    )
    fastgmm.fit(
        many[:3000].astype(dtype), 4, covariance_type=name, max_iter=2, on_collapse="reset"
    )
    model = GaussianMixture(3, covariance_type=name, random_state=0).fit(X)
    model.predict(X), model.score(X), model._estimate_log_prob(X)
    log_resp = model._estimate_log_prob_resp(X)[1]
    model._m_step(X, log_resp)
    fastgmm.Mixture.from_sklearn(model).predict(X)
    frozen = X.copy()
    frozen.flags.writeable = False
    fastgmm.fit(frozen, 2, covariance_type=name, random_state=0).predict(np.asfortranarray(X))
for dtype in (np.float64, np.float32):
    fastgmm.fit(
        many[:1000].astype(dtype), 300, covariance_type="diag", init_params="kmeans", max_iter=2
    )
fastgmm.select(many[:200], range(1, 3), criterion="held_out", random_state=0)
ties = draw.integers(0, 2, (400, 3))
for dtype in (np.float64, np.float32):
    fastgmm.fit(ties.astype(dtype), 4, max_iter=2, random_state=0)
wide = draw.normal(size=(60, 130))  # factors are long enough for several threads
fastgmm.fit(wide, 2, max_iter=2, random_state=0)

assert lazy.n_iter == 12
assert len(precompiled) > 30
print(*kernels() - precompiled, sep="\\n")
'''


def test_nothing_is_compiled_after_it(tmp_path):
    """Code is kept under a kernel's name and signature: no other is asked for than before."""
    done = subprocess.run(
        [sys.executable, "-c", BATTERY],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
