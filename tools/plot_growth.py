"""Plot the time of an EM iteration against rows and features, for full covariances.

    python tools/plot_growth.py --out docs/growth.png    about five minutes, 2 GB
    python tools/plot_growth.py --quick                  few sizes, one round

A time is the difference between a long fit and a short one (``tol=0``, the same start for both
libraries). The libraries take turns, and the plot shows medians of the rounds. scikit-learn is
not measured where one of its iterations would take more than a few seconds.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

# `measure` makes the benchmarks' own modules importable.
from measure import OURS, THEIRS, clusters, iteration_clock, machine, start

STYLES = {  # colours of Okabe and Ito; markers and lines differ too
    OURS: {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    THEIRS: {"color": "#D55E00", "marker": "s", "linestyle": "--"},
}
# The panel over rows:
FEATURES, COMPONENTS = 10, 10
MOST_SECONDS = 5.0  # longest iteration of scikit-learn that is measured
# The panel over features:
FEW_COMPONENTS = 8
PASS_SECONDS = 0.05  # seconds of one pass of fastgmm; determines the number of rows
MOST_NUMBERS = 40_000_000  # largest X, rows times features
MOST_ROWS_OF_THEIRS = 200_000  # most rows given to scikit-learn


def measured(X, n_components, sides, rounds):
    """Return the median seconds of an iteration for each of `sides`."""
    options = start(X, n_components)
    clocks = {side: iteration_clock(side, X, **options) for side in sides}
    times = [[clock() for clock in clocks.values()] for _ in range(rounds)]
    return dict(zip(sides, np.median(times, axis=0), strict=True))


def over_rows(sizes, rounds):
    """Return points (rows, seconds of an iteration) of each side, for parts of one data set."""
    X = clusters(max(sizes), FEATURES, COMPONENTS)
    points = {side: [] for side in STYLES}
    per_row = 0.0  # seconds of scikit-learn's last measured iteration, per row
    for n_samples in sizes:
        sides = [OURS, THEIRS] if n_samples * per_row < MOST_SECONDS else [OURS]
        times = measured(X[:n_samples], COMPONENTS, sides, rounds)
        for side, value in times.items():
            points[side].append((n_samples, value))
            report(n_samples, FEATURES, side, value)
        per_row = times.get(THEIRS, np.inf) / n_samples
    clusters.cache_clear()
    return points


def over_features(sizes, rounds):
    """Return points (features, seconds of an iteration per row) of each side.

    The number of rows is chosen such that a pass of fastgmm takes `PASS_SECONDS`. It is
    estimated twice, because the time per row differs for few rows.
    """
    points = {side: [] for side in STYLES}
    for n_features in sizes:
        n_samples = 1000 * FEW_COMPONENTS
        for _ in range(2):
            X = clusters(n_samples, n_features, FEW_COMPONENTS)
            once = measured(X, FEW_COMPONENTS, [OURS], 1)[OURS]
            clusters.cache_clear()
            most = min(50 * n_samples, MOST_NUMBERS // n_features)
            n_samples = min(max(200 * FEW_COMPONENTS, int(n_samples * PASS_SECONDS / once)), most)
        X = clusters(n_samples, n_features, FEW_COMPONENTS)
        for side, rows in ((OURS, X), (THEIRS, X[:MOST_ROWS_OF_THEIRS])):
            value = measured(rows, FEW_COMPONENTS, [side], rounds)[side]
            points[side].append((n_features, value / len(rows)))
            report(len(rows), n_features, side, value)
        clusters.cache_clear()
    return points


def report(n_samples, n_features, side, value):
    print(
        f"{n_samples:9} rows {n_features:4} features {side:>13} {1e3 * value:10.3f} ms", flush=True
    )


def guide(axes, points, exponent, text):
    """Draw a dotted line of the given slope below the upper half of fastgmm's points."""
    last, seconds = points[OURS][-1]
    x = np.array([np.sqrt(points[OURS][0][0] * last), last])
    y = 0.5 * seconds * (x / last) ** exponent
    axes.plot(x, y, color="0.5", linewidth=1.0, linestyle=":")
    place = {"ha": "right", "va": "bottom", "transform": axes.transAxes}
    axes.text(0.99, 0.02, f"dotted: proportional to {text}", color="0.35", fontsize=8, **place)


def draw(rows, features, out):
    plt.rcParams.update({"font.size": 9, "axes.titlesize": 9})
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.6), layout="constrained")
    for axes, points, scale, law in (
        (left, rows, 1e3, (1, "rows")),
        (right, features, 1e6, (2, "features squared")),
    ):
        points = {side: [(x, scale * y) for x, y in places] for side, places in points.items()}
        for side, places in points.items():
            x, y = zip(*places, strict=True)
            axes.loglog(x, y, label=side, markersize=4.5, linewidth=1.5, **STYLES[side])
        guide(axes, points, *law)
        axes.grid(which="major", color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.yaxis.set_major_formatter("{x:g}")
    left.set(
        title=f"{FEATURES} features, {COMPONENTS} components",
        xlabel="rows",
        ylabel="time of an EM iteration (ms)",
    )
    right.set(
        title=f"{FEW_COMPONENTS} components",
        xlabel="features",
        ylabel="time of an EM iteration per row (\u00b5s)",
    )
    ticks = [x for x, _ in features[OURS]]
    right.set_xticks(ticks, [str(x) for x in ticks])
    right.minorticks_off()
    left.legend(frameon=False)
    figure.supxlabel(f"Full covariances, float64. {machine()}.", fontsize=6, color="0.35")
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=200)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", default="docs/growth.png", help="the PNG to write")
    parser.add_argument("--quick", action="store_true", help="few sizes and one round")
    arguments = parser.parse_args()
    if arguments.quick:
        rounds = 1
        samples, dimensions = [10_000, 100_000], [1, 4, 16, 64]
    else:
        rounds = 5
        samples = [round(10 ** (e / 2)) for e in range(8, 15)]
        dimensions = [2**e for e in range(9)]
    draw(over_rows(samples, rounds), over_features(dimensions, rounds), arguments.out)


if __name__ == "__main__":
    main()
