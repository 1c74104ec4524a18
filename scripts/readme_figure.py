"""Draw the README's two pictures from the stored results on LeNet-300-100.

    python scripts/readme_figure.py

`assets/pareto.png`: six methods, bytes of the file against accuracy, mean and range of the seeds.
`assets/rate_distortion.png`: six projections of its first layer, bits per weight against squared error.
What is drawn is declared here: a result's stem and the key in it. One that is missing is an error.
"""

import base64
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from mcomp import figures, plots
from mcomp.arrays import bad_value
from mcomp.course import results

ROOT = Path(__file__).resolve().parent.parent
WHOLE = ("00_a_hundred_times_smaller", "float32")
METHODS = {  # name in the picture: (stem, key)
    "8 bits, no training (06)": ("06_a_grid_for_numbers", "8 bits, a scale a tensor"),
    "4 bits, rounding learned (07)": ("07_calibration_and_integers", "4 bits, channel, clipped, AdaRound"),
    "90 % pruned (02)": ("02_magnitude_pruning", "prune 90 %, fine-tune"),
    "2 bits, trained (08)": ("08_training_with_the_rounding", "W2"),
    "1 bit, trained (09)": ("09_few_levels", "Binary, trained on"),
    "pruned, shared, coded (00)": ("00_a_hundred_times_smaller", "deep compression"),
}
ABOVE = {"8 bits, no training (06)": "center", "2 bits, trained (08)": "right", "float32": "center"}
CURVES = {
    "keep the largest (05)": ("05_pruning_over_time", "one shot, not trained"),
    "even grid (06)": ("06_a_grid_for_numbers", "grid, a scale a tensor"),
    "powers of two (09)": ("09_few_levels", "PowerOfTwo"),
    "small floats (09)": ("09_few_levels", "MiniFloat"),
    "k-means codebook (09)": ("09_few_levels", "Codebook"),
    "groups of weights (09)": ("09_few_levels", "Product"),
}


def pick(part, declared, folder=ROOT):
    """The entries `declared` of the results' `part`, by the name that the picture gives them.

    Parameters
    ----------
    part : str
        A key of a result: "methods" or "rate_distortion".
    declared : dict of str to (str, str)
        Name in the picture: stem of the result and key in its `part`.
    folder : path-like
        That of the course.

    Raises
    ------
    ValueError
        If there is no such result, its script has changed since, or it has no such key: with its name.
    """
    found = {}
    for name, (stem, key) in declared.items():
        entries = results.read(stem, folder=folder).get(part, {})
        if key not in entries:
            raise bad_value(f"the {part} key of {name!r} in {stem}.json", key, ", ".join(entries) or "none")
        found[name] = entries[key]
    return found


def style(i):
    """Colour and marker of the i-th of at most seven things."""
    return {"color": figures.PALETTE[i], "marker": figures.MARKERS[i]}


def draw_pareto(methods, whole):
    """Bytes against accuracy: each method with its name and the range of its seeds, and the front."""
    ax, means = plt.subplots(figsize=(9, 5))[1], []
    for i, (name, method) in enumerate({**methods, "float32": whole}.items()):
        x, y, low, high = (
            np.mean(method["bytes"]),
            *(f(method["accuracy"]) for f in (np.mean, np.min, np.max)),
        )
        look = style(i) if name in methods else {"color": figures.GREY, "marker": "X"}
        ax.errorbar(x, y, yerr=[[max(y - low, 0)], [max(high - y, 0)]], linestyle="none", capsize=3, **look)
        above = name in ABOVE  # its name, and how it is aligned; the others' stand below
        ax.annotate(
            name, (x, high if above else low), (0, 7 if above else -7), textcoords="offset points",
            ha=ABOVE.get(name, "center"), va="bottom" if above else "top", fontsize=12, color="black",
        )  # fmt: skip
        means.append((float(x), float(y)))
    front = np.array(plots.front(means))
    ax.step(*front.T, where="post", color=figures.GREY, linewidth=1, marker="", zorder=1)
    ratio = means[-1][0] / min(x for x, _ in means)
    ax.set(xscale="log", xlabel="file size (bytes)", ylabel="test accuracy (%): mean and range of seeds")
    ax.set_title(f"LeNet-300-100 on Fashion-MNIST: six ways down, to a file {ratio:.0f} times smaller")
    ax.margins(x=0.26, y=0.14)
    ax.xaxis.set_major_formatter(matplotlib.ticker.EngFormatter(sep=" "))
    ax.yaxis.set_major_locator(matplotlib.ticker.MultipleLocator(0.005))  # one decimal says it whole
    ax.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0, decimals=1, symbol=""))
    return ax.figure


def draw_rate_distortion(curves):
    """Bits per weight against squared error: a line where more bits mean less error, else marks alone."""
    top = max(max(curve["bits"]) for curve in curves.values())
    ax = plots.rate_distortion_axes(bits=min(1.05 * top, 6.0), ax=plt.subplots(figsize=(9, 5))[1])
    for i, (name, curve) in enumerate(curves.items()):
        bits, mse = np.array(sorted(zip(curve["bits"], curve["mse"], strict=True))).T
        line = "-" if (np.diff(mse) <= 0).all() else "none"  # an empty format would draw a line
        ax.plot(bits, mse, linestyle=line, linewidth=1.4, label=name, **style(i))
    ax.set_ylim(1e-3, 1.2)
    ax.set_title("fc1 of LeNet-300-100: what bits buy, before any training")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax.figure


def main():
    matplotlib.use("agg")
    plots.use_style()
    whole = pick("methods", {"float32": WHOLE})["float32"]
    drawn = {
        "pareto": draw_pareto(pick("methods", METHODS), whole),
        "rate_distortion": draw_rate_distortion(pick("rate_distortion", CURVES)),
    }
    for name, figure in drawn.items():
        target = ROOT / "assets" / f"{name}.png"
        data, metadata = figures.png(figure)
        target.write_bytes(base64.b64decode(data))
        print(f"{target.relative_to(ROOT)}: {metadata['alt']}")


if __name__ == "__main__":
    sys.exit(main())
