"""The figures that every chapter shares: small arrays, the rate–distortion plane, the Pareto front.

Style, colours and alternative text: `mcomp.figures`.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter

from mcomp.arrays import bad_value, check_finite, check_real, to_numpy
from mcomp.figures import GREY, MARKERS, PALETTE, use_style

__all__ = [
    "plot_pareto", "plot_rate_distortion", "rate_distortion_axes", "shannon_bound", "show_array", "show_mask",
    "use_style",
]  # fmt: skip

SIGNED = LinearSegmentedColormap.from_list("signed", (PALETTE[0], "#FFFFFF", PALETTE[1]))  # minus, zero, plus
COSTS = {"bytes": "file on disk (bytes)", "milliseconds": "median latency (milliseconds)"}


def show_array(w, *, title=None, ax=None):
    """Draw a small matrix as a coloured grid with its numbers: blue below zero, orange above.

    Parameters
    ----------
    w : real array, (columns,) or (rows, columns), at most 16 each
    title : str, optional
    ax : Axes, optional
        By default that of a new figure, sized to the matrix.

    Returns
    -------
    ax : Axes

    Raises
    ------
    ValueError
        If `w` is empty, not finite, or too large to be read.

    Examples
    --------
    >>> ax = show_array(np.array([[1.0, -2.0], [0.5, 0.0]]), title="four weights")
    >>> [text.get_text() for text in ax.texts]
    ['1.00', '-2.00', '0.50', '0.00']
    """
    return _grid(w, None, title, ax)


def show_mask(w, mask, *, title=None, ax=None):
    """Draw a small matrix as `show_array` does, the entries whose `mask` is False pale and struck out.

    Parameters
    ----------
    w, mask : real and bool array of one shape, as in `show_array`
    title : str, optional
    ax : Axes, optional

    Returns
    -------
    ax : Axes
    """
    if tuple(mask.shape) != tuple(w.shape):
        raise bad_value("mask.shape", tuple(mask.shape), f"the shape of w, {tuple(w.shape)}")
    return _grid(w, np.atleast_2d(to_numpy(mask)).astype(bool), title, ax)


def _grid(w, keep, title, ax):
    check_finite("w", w)
    values = np.atleast_2d(to_numpy(w))
    if values.ndim > 2 or max(values.shape) > 16:
        raise bad_value("w.shape", tuple(w.shape), "one or two dimensions of at most 16")
    rows, columns = values.shape
    keep = np.ones(values.shape, bool) if keep is None else keep
    ax = plt.subplots(figsize=(0.9 * columns + 0.4, 0.62 * rows + 0.6))[1] if ax is None else ax
    top = float(np.abs(values).max()) or 1.0
    ax.imshow(np.where(keep, values / top, 0.0), cmap=SIGNED, vmin=-1.4, vmax=1.4, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        shown = round(float(value), 2) + 0.0  # + 0.0: never "-0.00"
        text = f"{shown:.2f}" if values.dtype.kind == "f" else f"{int(value)}"
        ax.text(j, i, text, ha="center", va="center", color="black" if keep[i, j] else GREY)
        if not keep[i, j]:
            ax.plot((j - 0.38, j + 0.38), (i, i), color=GREY, linewidth=1.2, marker="")
    ax.hlines(np.arange(rows + 1) - 0.5, -0.5, columns - 0.5, color=GREY, linewidth=0.8)
    ax.vlines(np.arange(columns + 1) - 0.5, -0.5, rows - 0.5, color=GREY, linewidth=0.8)
    ax.set(xlim=(-0.55, columns - 0.45), ylim=(rows - 0.45, -0.55))
    ax.set_title(title or f"{rows} × {columns} numbers")
    ax.axis("off")
    return ax


def shannon_bound(bits, *, sigma2=1.0):
    """The least mean squared error of any code for Gaussian weights: D(R) = sigma2 · 2^(−2R).

    Shannon 1959; Cover and Thomas, Elements of Information Theory, 2nd edition, theorem 10.3.2.

    Parameters
    ----------
    bits : float or real array
        R, in bits per weight.
    sigma2 : float
        Variance of the weights.

    Examples
    --------
    >>> shannon_bound(2)
    0.0625
    """
    return check_real("sigma2", sigma2, 0.0) * 2.0 ** (-2.0 * bits)


def rate_distortion_axes(*, sigma2=1.0, bits=8.0, ax=None):
    """The empty rate–distortion plane, from 0 to `bits` per weight, with Shannon's bound drawn.

    The bound is the floor for independent Gaussian weights of variance `sigma2`. For any other distribution
    of that variance the true floor is lower, so a good code for real weights may come below the line.

    Returns
    -------
    ax : Axes
    """
    ax = plt.subplots()[1] if ax is None else ax
    rate = np.linspace(0.0, check_real("bits", bits, 1e-3), 65)
    bound = shannon_bound(rate, sigma2=sigma2)
    ax.plot(rate, bound, "--", color=GREY, marker="", label="Shannon's bound (Gaussian)")
    unit = "÷ variance" if sigma2 == 1.0 else "weights squared"
    ax.set(xlabel="rate (bits per weight)", ylabel=f"mean squared error ({unit})")
    ax.set(yscale="log", xlim=(0, bits))
    return ax


def plot_rate_distortion(curves, *, sigma2=1.0, title="Bits against distortion", ax=None):
    """Draw measured curves in the rate–distortion plane, over Shannon's bound.

    Parameters
    ----------
    curves : dict of str to (bits, error)
        For each method the bits per weight and the mean squared error, two sequences of one length. At the
        default `sigma2` the errors are in units of the weights' variance.
    sigma2 : float
        Variance of the weights.
    title : str
    ax : Axes, optional

    Returns
    -------
    ax : Axes
    """
    if not curves:
        raise bad_value("curves", curves, "at least one method")
    top = max(float(np.max(bits)) for bits, _ in curves.values())
    ax = rate_distortion_axes(sigma2=sigma2, bits=1.05 * top, ax=ax)
    for i, (name, (bits, error)) in enumerate(curves.items()):
        ax.plot(bits, error, color=PALETTE[i % 7], marker=MARKERS[i % 7], label=name)
    ax.set_title(title)
    ax.legend()
    return ax


def plot_pareto(points, *, cost="bytes", title="Size against accuracy", ax=None):
    """Draw methods as points, cost (log axis) against test accuracy: mean and range over seeds.

    A line joins the methods that no other beats in both.

    Parameters
    ----------
    points : dict of str to dict
        For each method ``{cost: [...], "accuracy": [...]}``, one entry a seed, accuracy a fraction.
    cost : str
        "bytes" or "milliseconds".
    title : str
    ax : Axes, optional

    Returns
    -------
    ax : Axes
    """
    if cost not in COSTS:
        raise bad_value("cost", cost, f"one of {', '.join(COSTS)}")
    if not points:
        raise bad_value("points", points, "at least one method")
    ax = plt.subplots()[1] if ax is None else ax
    means = []
    for i, (name, point) in enumerate(points.items()):
        (x, x_range), (y, y_range) = map(_mean_range, (point[cost], point["accuracy"]))
        means.append((x, y))
        style = {"fmt": MARKERS[i % 7], "color": PALETTE[i % 7], "capsize": 3, "elinewidth": 1.4}
        ax.errorbar(x, y, xerr=x_range, yerr=y_range, label=name, **style)
    best = front(means)
    best = np.array([*best, (max(x for x, _ in means), best[-1][1])])  # (methods + 1, 2)
    ax.step(*best.T, where="post", color=GREY, linewidth=1, marker="", zorder=1)
    ax.set(xscale="log", xlabel=COSTS[cost], ylabel="test accuracy (%)", title=title)
    ax.xaxis.set_major_formatter(EngFormatter(sep=" "))
    ax.yaxis.set_major_locator(MaxNLocator(steps=[1, 2, 5, 10]))  # no 85.25, which one decimal would bend
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1, symbol=""))
    seeds = max(len(point["accuracy"]) for point in points.values())
    ax.legend(title=f"mean and range of {seeds} seeds", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def _mean_range(values):
    mean = float(np.mean(values))
    below, above = mean - np.min(values), np.max(values) - mean
    return mean, np.maximum([[below], [above]], 0.0)  # (2, 1); the mean of equal numbers may round past them


def front(points):
    """The points (cost, accuracy) that no other beats in both: lower cost, higher accuracy; by rising cost.

    Examples
    --------
    >>> front([(3, 0.9), (1, 0.8), (2, 0.7)])
    [(1, 0.8), (3, 0.9)]
    """
    best, found = -np.inf, []
    for x, y in sorted(points, key=lambda p: (p[0], -p[1])):
        if y > best:
            best = y
            found.append((x, y))
    return found
