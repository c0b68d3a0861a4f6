"""Draw how the time of an EM iteration grows with rows and features, full covariances.

    python asv_benchmarks/plot_growth.py --out docs/growth.png    some five minutes, 2 GB
    python asv_benchmarks/plot_growth.py --quick                  few sizes, one round

Times are those a long fit takes over a short one, ``tol=0``, from the same start on both sides;
medians of rounds in which the sides take turns. scikit-learn is left out where one of its
iterations would take more than some seconds.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from benchmarks.common import clusters, start
from measure import OURS, THEIRS, iteration_clock, machine

STYLES = {  # colours of Okabe and Ito, told apart without colours too
    OURS: {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    THEIRS: {"color": "#D55E00", "marker": "s", "linestyle": "--"},
}
FEATURES, COMPONENTS = 10, 10  # of the panel over rows
FEW_COMPONENTS = 8  # of the panel over features
PASS_SECONDS = 0.05  # that our pass over the rows of that panel takes
MOST_NUMBERS = 40_000_000  # in X there
MOST_ROWS_OF_THEIRS = 200_000  # there
MOST_SECONDS = 5.0  # that an iteration of scikit-learn may take in the other one


def measured(X, n_components, sides, rounds):
    """Median seconds of an iteration for each of `sides`."""
    options = start(X, n_components)
    clocks = {side: iteration_clock(side, X, **options) for side in sides}
    times = [[clock() for clock in clocks.values()] for _ in range(rounds)]
    return dict(zip(sides, np.median(times, axis=0), strict=True))


def over_rows(sizes, rounds):
    """Points (rows, seconds of an iteration) of each side, over parts of one data set."""
    whole = clusters(max(sizes), FEATURES, COMPONENTS)
    points = {side: [] for side in STYLES}
    per_row = 0.0  # what scikit-learn took last
    for n_samples in sizes:
        sides = [OURS, THEIRS] if n_samples * per_row < MOST_SECONDS else [OURS]
        times = measured(whole[:n_samples], COMPONENTS, sides, rounds)
        for side, value in times.items():
            points[side].append((n_samples, value))
            report(n_samples, FEATURES, side, value)
        per_row = times.get(THEIRS, np.inf) / n_samples
    clusters.cache_clear()
    return points


def over_features(sizes, rounds):
    """Points (features, seconds of an iteration and row) of each side.

    On as many rows as take us `PASS_SECONDS`, guessed twice: few rows are not typical.
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
    """Draw a straight line of the given slope under the larger half of our points."""
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
