"""Every picture of the documentation, drawn by the library.

    python docs/figures.py [folder]     writes them to docs/_build/figures, or elsewhere

The build of the pages calls `draw_all`; a picture's name is that of its function.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import fastgmm
from fastgmm.em.accelerate import run_to_convergence
from fastgmm.em.collapse import CollapsePolicy
from fastgmm.em.loop import Settings, run_em
from fastgmm.em.models import MaximumLikelihood
from fastgmm.model.covariance import COVARIANCE_TYPES
from fastgmm.plotting import (
    Traces,
    animate_fit,
    plot_convergence,
    plot_mixture,
    plot_responsibilities,
    plot_selection,
)
from fastgmm.plotting.style import (
    INK,
    LINE_STYLES,
    MARKERS,
    add_legend,
    component_colors,
    new_axes,
    set_frame,
)
from fastgmm.search.start import Given, make_start
from fastgmm.search.starts import starting_parameters
from fastgmm.sklearn import BayesianGaussianMixture
from fastgmm.sources.array import ArraySource

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import snapshot  # noqa: E402


def old_faithful():
    """Eruptions of Old Faithful: minutes of eruption, minutes of waiting."""
    return np.loadtxt(ROOT / "examples" / "old_faithful.csv", delimiter=",", skiprows=1)


NAMES = ["eruption (min)", "waiting (min)"]


def three_groups(offset):
    """Sixty numbers around -offset, 0 and offset."""
    draw = np.random.RandomState(0)
    x = np.linspace(-5, 5, num=20)
    groups = (x * draw.rand(20) + offset, x * draw.rand(20) - offset, x * draw.rand(20))
    return np.stack(groups).ravel()


def guessed():
    """Three components put down by guess."""
    return fastgmm.Mixture.from_parameters(
        np.full(3, 1 / 3), [-5.0, 8.0, 1.5], [[[25.0]], [[9.0]], [[1.0]]]
    )


def start_of(mixture):
    """Arguments that start a fit at a mixture with one feature."""
    return {
        "weights_init": mixture.weights,
        "means_init": mixture.means,
        "precisions_init": 1.0 / mixture.covariances,
    }


def slanted():
    """Three clusters in the plane, all stretched along the same slant."""
    draw = np.random.RandomState(20)
    centers = draw.uniform(-10, 10, size=(3, 2))
    stretch = draw.randn(2, 2)
    return (centers[draw.randint(3, size=500)] + draw.randn(500, 2)) @ stretch


def stray():
    """Two clusters and one point far from both, with a start on that point."""
    draw = np.random.RandomState(0)
    left = draw.normal((2.0, 3.0), (1.0, 0.7), size=(60, 2))
    right = draw.normal((11.0, 5.0), 1.0, size=(60, 2))
    X = np.vstack((left, right, [[23.4, 8.1]]))
    return X, {"means_init": [[2.0, 3.0], [11.0, 5.0], [23.4, 8.1]]}


def tutorial_guess():
    X = three_groups(10)
    return plot_mixture(guessed(), X, names=["x"])


def tutorial_responsibilities():
    X = three_groups(10)
    return plot_responsibilities(guessed(), X, [0, 4, 8, 20, 26, 32, 40, 43, 46, 50, 53, 56, 59])


def tutorial_strip():
    return animate_fit(
        three_groups(10), 3, strip=True, names=["x"], tol=1e-6, **start_of(guessed())
    )


def tutorial_fit():
    X = three_groups(15)
    return plot_mixture(fastgmm.fit(X, 3, random_state=0), X, new=[-6.0, 4.0], names=["x"])


def tutorial_starts():
    X = three_groups(15)
    traces = Traces()
    options = {"n_init": 12, "init_params": "random_from_data", "tol": 1e-6, "max_iter": 300}
    fastgmm.fit(X, 3, random_state=3, callback=traces, **options)
    return plot_convergence(traces)


def tutorial_plane_strip():
    options = {"init_params": "random_from_data", "random_state": 4, "reg_covar": 1e-2}
    return animate_fit(slanted(), 3, strip=True, names=["x", "y"], **options)


def tutorial_plane():
    X = slanted()
    mixture = fastgmm.fit(X, 3, random_state=0)
    return plot_mixture(mixture, X, new=[X.mean(axis=0)], names=["x", "y"])


def start_old_faithful():
    X = old_faithful()
    return plot_mixture(fastgmm.fit(X, 2, random_state=0), X, names=NAMES)


def choosing_shapes():
    """The four covariance types on the same data."""
    X = old_faithful()
    _, axes = plt.subplots(2, 2, figsize=(8, 6), layout="constrained")
    for ax, name in zip(axes.flat, ("full", "tied", "diag", "spherical"), strict=True):
        mixture = fastgmm.fit(X, 3, covariance_type=name, tol=1e-5, max_iter=500, random_state=0)
        plot_mixture(mixture, X, ax, names=NAMES)
        ax.set_title(f"{name}: {mixture.n_parameters} parameters", fontsize=9, loc="left")
    return axes[0, 0]


def choosing_bic():
    return plot_selection(fastgmm.select(old_faithful(), random_state=0, n_init=10))


def choosing_best():
    X = old_faithful()
    return plot_mixture(fastgmm.select(X, random_state=0).best, X, names=NAMES)


def singularities_stray():
    """A component on one point: held up by the floor, and moved elsewhere."""
    X, start = stray()
    _, axes = plt.subplots(1, 2, figsize=(8.5, 3.4), layout="constrained", sharex=True, sharey=True)
    for ax, rule in zip(axes, ("regularize", "reset"), strict=True):
        mixture = fastgmm.fit(X, 3, on_collapse=rule, random_state=0, max_iter=500, **start)
        plot_mixture(mixture, X, ax, names=["x", "y"])
        ax.set_title(f'on_collapse="{rule}"', fontsize=9, loc="left")
    return axes[0]


def singularities_spurious():
    """The best diagonal mixture of five components: one of them on repeated values."""
    X = old_faithful()
    selection = fastgmm.select(X, 5, "diag", n_init=10, random_state=0)
    return plot_mixture(selection[0].mixture, X, names=NAMES)


def bayesian(prior, concentration):
    """Eight components fitted to Old Faithful, and the numbers of those that keep rows."""
    model = BayesianGaussianMixture(
        n_components=8,
        weight_concentration_prior_type=prior,
        weight_concentration_prior=concentration,
        max_iter=1000,
        random_state=0,
    ).fit(old_faithful())
    return model, np.flatnonzero(model.mean_precision_ > 1.0 + model.mean_precision_prior_)


def bayes_concentration():
    """The same data and start with three concentrations: the components that keep rows."""
    _, axes = plt.subplots(
        1, 3, figsize=(10.5, 3.4), layout="constrained", sharex=True, sharey=True
    )
    for ax, concentration in zip(axes, (0.1, 2.0, 100.0), strict=True):
        model, kept = bayesian("dirichlet_distribution", concentration)
        weights = model.weights_[kept] / model.weights_[kept].sum()
        parts = weights, model.means_[kept], model.covariances_[kept]
        plot_mixture(fastgmm.Mixture.from_parameters(*parts), old_faithful(), ax, names=NAMES)
        title = f"concentration {concentration:g}: {len(kept)} of 8 keep rows"
        ax.set_title(title, fontsize=9, loc="left")
    return axes[0]


def bayes_kept():
    """How many of eight components keep rows, for both priors of the weights."""
    concentrations = np.logspace(-3, 3, 19)
    ax = new_axes(5.6, 3.0)
    names = "dirichlet_process", "dirichlet_distribution"
    for name, color, style in zip(names, component_colors(2), LINE_STYLES, strict=False):
        kept = [len(bayesian(name, concentration)[1]) for concentration in concentrations]
        ax.plot(concentrations, kept, style, color=color, marker=".", label=name)
    ax.set_xscale("log")
    ax.set_ylim(0, 8.5)
    add_legend(ax)
    return set_frame(ax, "weight_concentration_prior", "components that keep rows")


def bayes_prior():
    """Four components on forty rows, with and without a prior of the covariances."""
    X = old_faithful()[:40]
    _, axes = plt.subplots(1, 2, figsize=(8.5, 3.4), layout="constrained", sharex=True, sharey=True)
    for ax, prior in zip(axes, (None, "default"), strict=True):
        fitted = fastgmm.select(X, 4, "full", init_params="kmeans", prior=prior, random_state=0)[0]
        plot_mixture(fitted.mixture, X, ax, names=NAMES)
        title = f"prior={prior!r}: {'spurious' if fitted.spurious else 'valid'}"
        ax.set_title(title, fontsize=9, loc="left")
    return axes[0]


def cigars():
    """Three long parallel clusters in the plane, turned."""
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 3, 900)
    X = draw.normal(size=(900, 2)) * [40.0, 1.0] + np.outer(labels, [0.0, 6.0])
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    return X @ turn.T


def optimum_cigars():
    X = cigars()
    _, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True)
    for ax, init_params in zip(axes, ("kmeans", "auto"), strict=True):
        mixture = fastgmm.fit(X, 3, init_params=init_params, random_state=0)
        plot_mixture(mixture, X, ax=ax)
        score = mixture.score(X)
        ax.set_title(f'"{init_params}": log-likelihood a row {score:.2f}', loc="left")
    return axes[0]


def optimum_passes():
    """What is left to gain against passes over the data, for plain and for accelerated EM."""
    draw = np.random.default_rng(3)
    means, scales = np.array([-0.9, 0.0, 0.8, 0.3]), np.array([1.0, 0.8, 1.2, 0.7])
    labels = draw.choice(4, 3000, p=[0.02, 0.4, 0.3, 0.28])
    X = means[labels, None] + scales[labels, None] * draw.normal(size=(3000, 2))
    plain, accelerated = (_objectives(X, run) for run in (run_em, _accelerated))
    best = max(plain[-1], accelerated[-1])
    _, ax = plt.subplots(figsize=(7, 4))
    for name, objectives in (("EM", plain), ("accelerated EM", accelerated)):
        passes = np.arange(1, len(objectives) + 1)
        ax.plot(passes, best - objectives, label=f"{name}, {len(passes)} passes")
    ax.set(xscale="log", yscale="log", ylim=(1e-8, None))
    ax.set_xlabel("passes over the data")
    ax.set_ylabel("log-likelihood left to gain (nats per row)")
    ax.legend(loc="lower left", frameon=False)
    return ax


def _objectives(X, run):
    """Log-likelihoods of a row before each pass, from the same start."""
    source, random_state = ArraySource(X), np.random.RandomState(0)
    model = MaximumLikelihood(COVARIANCE_TYPES["full"], 1e-6)
    start = make_start(source, model, 4, random_state)
    parameters = starting_parameters(start, "kmeans", Given(), random_state)
    policy = CollapsePolicy("regularize", model, source, random_state)
    settings = Settings(1e-8, 5000, "regularize")
    return np.array(run(source, model, parameters, settings, policy).objectives)


def _accelerated(*arguments):
    return run_to_convergence(*arguments).run


def mammals():
    """Logarithms of body and brain weight, hours of sleep and of REM sleep, with gaps."""
    X = np.genfromtxt(
        ROOT / "examples" / "mammal_sleep.csv", delimiter=",", skip_header=1, usecols=(1, 2, 3, 4)
    )
    X[:, :2] = np.log10(X[:, :2])
    return X


MAMMALS = ["log10 body (kg)", "log10 brain (kg)", "sleep (h)", "REM sleep (h)"]


def incomplete_mammals():
    X = mammals()
    mixture = fastgmm.fit(X, 2, missing="em", random_state=0)
    return plot_mixture(mixture, X, names=MAMMALS)


def incomplete_mechanisms():
    """Waiting times that are hidden by chance, after long eruptions, and where they are long."""
    X = old_faithful()
    draw = np.random.default_rng(0).random((2, len(X)))
    hidden = {
        "by chance": draw[0] < 0.4,
        "after long eruptions": (X[:, 0] > 4) & (draw[1] < 0.8),
        "where they are long": (X[:, 1] > 75) & (draw[1] < 0.8),
    }
    true = X[:, 1].mean()
    _, axes = plt.subplots(
        1, 3, figsize=(10.5, 3.6), layout="constrained", sharex=True, sharey=True
    )
    for ax, (name, rows) in zip(axes, hidden.items(), strict=True):
        gaps = X.copy()
        gaps[rows, 1] = np.nan
        mixture = fastgmm.fit(gaps, 2, missing="em", random_state=0)
        plot_mixture(mixture, gaps, ax, names=NAMES)
        mean = mixture.weights @ mixture.means[:, 1]
        ax.axhline(true, color=INK, linewidth=0.8, linestyle="--")
        ax.set_title(f"hidden {name}: mean {mean:.1f} min", fontsize=9, loc="left")
    return axes[0]


ITERATION, WHOLE_FIT, COLD_START = (
    "yardstick.Iteration",
    "whole_fits.WholeFit",
    "cold_start.ColdStart",
)
ROWS = (
    "A 1000000x2 K=3 full",
    "B 1000000x10 K=10 full",
    "D 100000x64 K=32 full",
    "E 200000x64 K=64 diag",
    "F 200000x16 K=16 tied",
    "P 200000x16 K=16 full overlapping",
)


def history_of(lines, label, scale=1.0):
    """Draw series of the snapshot against the commits; `lines` has a legend for each series."""
    series, _ = snapshot.check()
    commits = [table["hash"] for table in snapshot.history()]
    ax = new_axes(8.5, 3.6)
    colors = component_colors(len(lines))
    for (name, text), color, style, marker in zip(
        lines.items(), colors, LINE_STYLES, MARKERS, strict=False
    ):
        points = [point for point in series.get(name, []) if point.value is not None]
        places = [commits.index(point.commit) for point in points]
        values = [scale * point.value for point in points]
        ax.plot(places, values, linestyle=style, color=color, marker=marker, ms=3, label=text)
    ax.set_yscale("log")
    ax.set_xlim(-0.5, len(commits) - 0.5)
    ax.set_xticks(range(len(commits)), commits, rotation=45, ha="right")
    add_legend(ax, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return set_frame(ax, "commit", label)


def dashboards_iterations():
    lines = {f"{ITERATION}.time_iteration({row!r})": row for row in ROWS}
    return history_of(lines, "time of an iteration (ms)", 1e3)


def dashboards_ratios():
    lines = {f"{ITERATION}.track_speedup_over_sklearn({row!r})": row for row in ROWS}
    return history_of(lines, "times as fast as scikit-learn")


def dashboards_fits():
    lines = {f"{WHOLE_FIT}.time_fit({rows!r})": rows for rows in (
        "60000x8 K=6", "20000x30 K=12", "100000x3 K=8 pixels")}  # fmt: skip
    lines["whole_fits.DefaultFit.time_fit"] = "20000x10 K=10, no options"
    return history_of(lines, "time of a whole fit (ms)", 1e3)


def dashboards_first_fit():
    lines = {
        f"{COLD_START}.track_first_fit": "first fit, empty cache",
        f"{COLD_START}.track_further_covariance_type": "first fit of another type",
        f"{COLD_START}.track_first_fit_with_warm_cache_over_import_numba": "filled cache",
    }
    return history_of(lines, "time (s)")


FIGURES = {
    name: draw
    for name, draw in list(globals().items())
    if name.startswith(
        (
            "start_old",
            "tutorial_",
            "choosing_",
            "singularities_",
            "bayes_",
            "optimum_",
            "incomplete_",
            "dashboards_",
        )
    )
}


def draw_all(folder):
    """Write all pictures as PNG files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in FIGURES.items():
        draw().get_figure(root=True).savefig(folder / f"{name}.png", dpi=130)
        plt.close("all")


if __name__ == "__main__":
    draw_all(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "_build" / "figures")
