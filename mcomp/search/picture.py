"""The front as it grows: all networks trained in full, those that none beats, and what was asked for."""

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, PercentFormatter

from mcomp.figures import GREY, PALETTE
from mcomp.files import write_atomic
from mcomp.search.goal import best, on_front

__all__ = ["draw", "figure_of"]


def figure_of(trained, goal):
    """Bytes (log axis) against validation accuracy (%) of `trained`, a sequence of `Trained`: a Figure."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    ax = FigureCanvasAgg(figure).figure.add_subplot()
    ax.plot(*_points(trained), "o", color=GREY, alpha=0.6, label="trained in full")
    line = on_front(trained)
    ax.step(*_points(line), "s-", where="post", color=PALETTE[0], label="front: none is better in both")
    if goal.max_bytes is not None:
        ax.axvline(goal.max_bytes, color=PALETTE[1], linestyle="--", label="what was asked for")
    if goal.min_accuracy is not None:
        ax.axhline(goal.min_accuracy, color=PALETTE[1], linestyle="--")
    if found := best(goal, trained):
        ax.plot(*_points([found]), "*", color=PALETTE[1], markersize=16, label="chosen")
    ax.set(xscale="log", xlabel="file on disk (bytes)", ylabel="validation accuracy (%)")
    ax.set_title(f"{len(trained)} networks, {len(line)} on the front")
    ax.xaxis.set_major_formatter(EngFormatter(sep=" "))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1, symbol=""))
    ax.legend()
    return figure


def draw(path, trained, goal):
    """Write that figure to `path`, whole or not at all; nothing, if there is no network yet."""
    if trained:
        file = io.BytesIO()
        figure_of(trained, goal).savefig(file, format="png", dpi=110)
        write_atomic(path, file.getvalue())


def _points(trained):
    return [t.nbytes for t in trained], [t.accuracy for t in trained]
