"""Draw the README's picture, assets/pareto.png, from the results of the experiments of chapter 00.

    python scripts/readme_figure.py

Reads every experiments/results/00_*.json on LeNet-300-100; its `methods` give bytes and accuracy by seed.
"""

import base64
import json
import sys
from pathlib import Path

import matplotlib
import numpy as np

from mcomp import figures, plots

ROOT = Path(__file__).resolve().parent.parent
NETWORK = "lenet300"


def read_methods(folder):
    """The methods of every result on the network, in the files' order."""
    methods = {}
    for path in sorted(folder.glob("00_*.json")):
        result = json.loads(path.read_text("utf-8"))
        if result["network"] == NETWORK:
            methods |= result["methods"]
    if "float32" not in methods:
        raise ValueError(
            f"{folder} has no 00_*.json on {NETWORK} with a method float32; run the experiments first"
        )
    return methods


def with_factors(methods):
    """The same methods, named with how many times smaller than float32 their mean file is."""
    whole = np.mean(methods["float32"]["bytes"])
    factors = {name: whole / np.mean(method["bytes"]) for name, method in methods.items()}
    return {
        f"{name} ({factors[name]:.{'1' if factors[name] < 10 else '0'}f}×)": methods[name] for name in methods
    }


def draw(methods):
    """The Pareto front as a figure."""
    plots.use_style()
    ax = plots.plot_pareto(
        with_factors(methods), title="LeNet-300-100 on Fashion-MNIST: size against accuracy"
    )
    ax.figure.set_size_inches(7.5, 4.5)
    return ax.figure


def main():
    matplotlib.use("agg")
    target = ROOT / "assets" / "pareto.png"
    target.parent.mkdir(exist_ok=True)
    data, metadata = figures.png(draw(read_methods(ROOT / "experiments" / "results")))
    target.write_bytes(base64.b64decode(data))
    print(f"{target.relative_to(ROOT)}: {metadata['alt']}")


if __name__ == "__main__":
    sys.exit(main())
