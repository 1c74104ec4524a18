"""A language model with some of its layers only: its own draft, or the start of a smaller one.

A layer adds to the residual stream, so the network computes something without it too (Men et al. 2024,
arXiv:2403.03853, section 2). How much the others matter depends on training: chapter 19 measures it.
"""

import copy

from torch import nn

from mcomp.arrays import bad_value
from mcomp.transformers.cache import check_gpt

__all__ = ["keep_layers"]


def keep_layers(model, kept):
    """A copy of a `TinyGPT` with the layers `kept` alone, in this order.

    Parameters
    ----------
    model : TinyGPT
        Not changed.
    kept : sequence of int
        Ascending places in ``model.layers``, at least one.

    Returns
    -------
    shallow : TinyGPT
        With the embedding, the last norm and the head of `model`; a tied head stays tied.

    Raises
    ------
    ValueError
        If `kept` is empty, not ascending or out of range, or `model` isn't a `TinyGPT`.

    Examples
    --------
    >>> from mcomp.gpt import TinyGPT
    >>> shallow = keep_layers(TinyGPT(dim=8, layers=4, heads=2, hidden=12), (0, 3))
    >>> shallow.config["layers"], len(shallow.layers)
    (2, 2)
    """
    layers, kept = len(check_gpt(model).layers), list(kept)
    whole = all(type(i) is int and 0 <= i < layers for i in kept)
    if not kept or not whole or sorted(set(kept)) != kept:
        raise bad_value("kept", kept, f"ascending integers from 0 to {layers - 1}, at least one")
    model = copy.deepcopy(model)
    model.layers = nn.ModuleList([model.layers[i] for i in kept])
    model.config["layers"] = len(kept)
    return model
