"""Is it the same function? The largest relative difference of two networks' outputs, computed in float64."""

import copy

import torch

from mcomp import calling
from mcomp.arrays import bad_value
from mcomp.train import evaluating

__all__ = ["largest_difference"]


@torch.no_grad()
def largest_difference(before, after, x, *, output=None):
    """max |after(x) - before(x)| / max |before(x)|, in evaluation mode and float64.

    What surgery claims to leave unchanged differs by a few 1e-16 times the depth; 1e-12 is a generous limit.

    Parameters
    ----------
    before, after : torch.nn.Module
        Copied; neither changes.
    x : tensor (n, ...), or several inputs as in `mcomp.calling`
        Floating tensors in it are made float64.

    Returns
    -------
    difference : float
        0 if all outputs are equal; also 0 / 0 counts as 0.

    Raises
    ------
    ValueError
        If the outputs' shapes differ or one isn't finite.

    Examples
    --------
    >>> layer = torch.nn.Linear(2, 2)
    >>> largest_difference(layer, torch.nn.Sequential(layer, torch.nn.Identity()), torch.ones(1, 2))
    0.0
    """
    x = calling.mapped(x, lambda t: t.double() if t.is_floating_point() else t)
    outputs = []
    for model in (before, after):
        model = copy.deepcopy(model).double()
        with evaluating(model):
            outputs.append(calling.call(model, x, output=output))
    a, b = outputs
    if a.shape != b.shape:
        raise bad_value("the shape of the second network's output", tuple(b.shape), tuple(a.shape))
    if not bool(a.isfinite().all() and b.isfinite().all()):
        raise bad_value("the outputs", "not all finite", "finite numbers")
    difference, size = float((b - a).abs().max()), float(a.abs().max())
    return difference / size if difference else 0.0
