"""Draw the README's two pictures from the results of all chapters on LeNet-300-100.

    python scripts/readme_figure.py

`assets/pareto.png`: the `methods` of every experiments/results/*.json, bytes of the file against accuracy.
`assets/rate_distortion.png`: their `rate_distortion` curves, bits per weight against squared error.
"""

import base64
import json
import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from mcomp import figures, plots

ROOT = Path(__file__).resolve().parent.parent
NETWORK = "lenet300"
LEAST = 0.85  # of accuracy that the first picture shows


def read_results(folder):
    """Methods on the network and curves, which are all of one of its layers, by chapter number."""
    chapters = {}
    for path in sorted(folder.glob("[0-9][0-9]_*.json")):
        result = json.loads(path.read_text("utf-8"))
        found = chapters.setdefault(path.stem[:2], {"methods": {}, "rate_distortion": {}})
        found["methods"] |= result["methods"] if result["network"] == NETWORK else {}
        found["rate_distortion"] |= result.get("rate_distortion", {})
    if "float32" not in chapters.get("00", {"methods": {}})["methods"]:
        raise ValueError(f"{folder} has no 00_*.json on {NETWORK} with float32; run the experiments first")
    return chapters


def titles(folder):
    """Chapter number to title, from the notebooks' first lines."""
    found = {}
    for path in sorted(folder.glob("*.ipynb")):
        line = "".join(json.loads(path.read_text("utf-8"))["cells"][0]["source"]).splitlines()[0]
        number, title = line.removeprefix("# ").split(" ", 1)
        found[number] = f"{number} {title.split(' (')[0]}"
    return found


def style(i):
    """Colour and marker of the i-th chapter; from the eighth on, the markers are hollow."""
    n = len(figures.PALETTE)
    fill = "full" if i < n else "none"
    return {"color": figures.PALETTE[i % n], "marker": figures.MARKERS[i % n], "fillstyle": fill}


def draw_pareto(chapters, names):
    """Bytes against accuracy: a mark for each method, a colour for each chapter, and the front."""
    ax = plt.subplots(figsize=(9, 5))[1]
    means = []
    for number, found in chapters.items():
        rows = [(np.mean(m["bytes"]), m["accuracy"]) for m in found["methods"].values() if "bytes" in m]
        rows = [(x, np.mean(y), np.ptp(y) / 2) for x, y in rows if np.mean(y) >= LEAST]
        if rows:
            x, y, half = np.array(rows).T
            means += zip(x, y, strict=True)
            label, look = names.get(number, number), style(list(chapters).index(number))
            ax.errorbar(x, y, yerr=half, label=label, linestyle="", elinewidth=1.2, **look)
    front = np.array(plots.front(means))
    ax.step(*front.T, where="post", color=figures.GREY, linewidth=1, marker="", zorder=1)
    whole = np.mean(chapters["00"]["methods"]["float32"]["bytes"])
    least = min(x for x, _ in means)
    ax.set(xscale="log", xlabel="file size (bytes)", ylabel="test accuracy (%)")
    ax.set_title(f"LeNet-300-100 on Fashion-MNIST: {whole:,.0f} bytes, and down to 1/{whole / least:.0f}")
    ax.xaxis.set_major_formatter(matplotlib.ticker.EngFormatter(sep=" "))
    ax.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0, decimals=0, symbol=""))
    ax.legend(title="chapter (mean, range of seeds)", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax.figure


def draw_rate_distortion(chapters, names):
    """Bits per weight against squared error: a line for each method, a colour for each chapter."""
    curves = [(n, curve) for n, found in chapters.items() for curve in found["rate_distortion"].values()]
    top = max(max(curve["bits"]) for _, curve in curves)
    ax = plots.rate_distortion_axes(bits=min(1.05 * top, 8.5), ax=plt.subplots(figsize=(9, 5))[1])
    order, shown = list(chapters), set()
    for number, curve in curves:
        label = None if number in shown else names.get(number, number)
        look = style(order.index(number))
        bits, mse = np.array(sorted(zip(curve["bits"], curve["mse"], strict=True))).T
        line = "-" if (np.diff(mse) <= 0).all() else ""  # several formats with one name make no curve
        ax.plot(bits, mse, line, linewidth=1.2, markersize=6, label=label, **look)
        shown.add(number)
    ax.set_title("fc1 of LeNet-300-100: bits against error, a line for each method")
    ax.legend(title="chapter", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax.figure


def main():
    matplotlib.use("agg")
    plots.use_style()
    chapters, names = read_results(ROOT / "experiments" / "results"), titles(ROOT / "chapters")
    for name, draw in (("pareto", draw_pareto), ("rate_distortion", draw_rate_distortion)):
        target = ROOT / "assets" / f"{name}.png"
        data, metadata = figures.png(draw(chapters, names))
        target.write_bytes(base64.b64decode(data))
        print(f"{target.relative_to(ROOT)}: {metadata['alt']}")


if __name__ == "__main__":
    sys.exit(main())
