"""How a figure looks and how it is shown: the course's style, alternative text, the check of its labels.

Colours: Okabe and Ito's palette, told apart by colour-blind readers; each series has its own marker too,
for readers in black and white.
"""

import base64
import io
import os
import sys

import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.figure import Figure

__all__ = ["GREY", "MARKERS", "PALETTE", "alt_text", "check_figure", "describe", "png", "use_style"]

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#767676"
STYLE = {
    "figure.figsize": (7.0, 4.2), "figure.dpi": 100, "font.size": 13, "axes.titlesize": 14,
    "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": "#DDDDDD", "grid.linewidth": 0.8, "axes.axisbelow": True, "lines.linewidth": 2.2,
    "lines.markersize": 7, "legend.frameon": False, "image.cmap": "cividis", "image.interpolation": "nearest",
    "axes.prop_cycle": cycler(color=PALETTE, marker=MARKERS),
}  # fmt: skip


def use_style():
    """Set the course's style; in a notebook, also give every figure shown alternative text (see `png`)."""
    plt.rcParams.update(STYLE)
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None:
        plt.switch_backend(plt.get_backend())  # the inline backend sets a formatter of its own when it loads
        shell.display_formatter.formatters["image/png"].for_type(Figure, png)


def png(figure):
    """What a notebook stores of a figure: its PNG in base64, and the alternative text as metadata.

    With ``MCOMP_CHECK_FIGURES=1`` in the environment (so are the course's own notebooks executed and
    tested) a figure that `check_figure` refuses raises here.

    Returns
    -------
    data : str
    metadata : dict
        ``{"alt": text}``, which belongs to "image/png" in a display's metadata.
    """
    if os.environ.get("MCOMP_CHECK_FIGURES") == "1":
        check_figure(figure)
    file = io.BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight", metadata={"Software": None})
    return base64.b64encode(file.getvalue()).decode("ascii"), {"alt": alt_text(figure)}


def describe(figure, text):
    """Set a figure's alternative text, in place of what `alt_text` reads off it; returns the figure."""
    figure.mcomp_alt = str(text)
    return figure


def alt_text(figure):
    """The figure in words: what `describe` set, or its titles, axis labels and legends.

    Examples
    --------
    >>> figure, ax = plt.subplots()
    >>> _ = ax.set(title="A falls", xlabel="step", ylabel="loss")
    >>> alt_text(figure)
    'A falls. loss against step'
    """
    if getattr(figure, "mcomp_alt", ""):
        return figure.mcomp_alt
    parts = [_text(figure, "suptitle")]
    for ax in figure.axes:
        parts.append(_title(ax))
        if ax.axison and ax.get_xlabel() and ax.get_ylabel():
            parts.append(f"{ax.get_ylabel()} against {ax.get_xlabel()}")
        if ax.get_legend():
            parts.append("Shown: " + "; ".join(text.get_text() for text in ax.get_legend().get_texts()))
    return ". ".join(part.replace("\n", " ").rstrip(".") for part in parts if part)


def check_figure(figure):
    """Raise ValueError if an Axes with data lacks an axis label, or the figure has no title.

    Not asked of an axis without ticks, nor of an Axes without axis lines (``ax.axis("off")``). Axes that
    share an axis need its label once.
    """
    axes = [ax for ax in figure.axes if ax.get_visible() and ax.has_data()]
    if axes and not _text(figure, "suptitle") and not any(_title(ax) for ax in axes):
        raise ValueError("the figure has no title; allowed: a title that says what to see")
    for ax in axes:
        for name in ("x", "y"):
            if ax.axison and not _is_labelled(ax, name) and not _text(figure, f"sup{name}label"):
                where = _title(ax) or f"number {axes.index(ax) + 1}"
                raise ValueError(f"plot {where} has no {name} label; allowed: a label with its unit")


def _title(ax):
    """An Axes' title, wherever it stands, or ''."""
    return next((t for t in map(ax.get_title, ("left", "center", "right")) if t), "")


def _is_labelled(ax, name):
    axis = getattr(ax, f"{name}axis")
    group = getattr(ax, f"get_shared_{name}_axes")().get_siblings(ax)
    labels = [getattr(other, f"get_{name}label")() for other in group]
    if hasattr(ax, "_colorbar"):  # a colour bar has one axis of numbers
        labels += [ax.get_xlabel(), ax.get_ylabel()]
    return any(labels) or not axis.get_visible() or len(axis.get_ticklocs()) == 0


def _text(figure, name):
    """The figure's suptitle, supxlabel or supylabel (matplotlib 3.8's getters, None-safe), or ''."""
    return getattr(figure, f"get_{name}")() or ""
