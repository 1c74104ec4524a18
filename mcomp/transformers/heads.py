"""Fewer heads of keys and values: several heads of queries share one, and the cache shrinks as many times.

Grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245, section 2); with one head for all it is
multi-query attention (Shazeer 2019, arXiv:1911.02150). A trained network gets there by the mean over each
group of heads, and some training after it: heads that learned apart needn't resemble their mean. Derived in
chapter 19.
"""

import copy

from torch import nn

from mcomp.arrays import bad_value, check_int
from mcomp.plain import check_plain
from mcomp.transformers.cache import check_gpt

__all__ = ["share_heads"]


def share_heads(model, kv_heads):
    """A copy of a `TinyGPT` with `kv_heads` heads of keys and values, each the mean of its group's.

    Where the heads of a group are equal it computes the same function.

    Parameters
    ----------
    model : TinyGPT
        Not changed.
    kv_heads : int
        Divides that of `model`.

    Returns
    -------
    shared : TinyGPT
        To be trained again; a tied head stays tied.

    Raises
    ------
    ValueError
        If the heads can't be grouped, or `model` isn't a `TinyGPT`; by name, if a projection isn't plain.

    Examples
    --------
    >>> from mcomp.gpt import TinyGPT
    >>> from mcomp.transformers import cache_bytes
    >>> model = TinyGPT(dim=16, layers=1, heads=4, hidden=8)
    >>> shared = share_heads(model, 2)
    >>> shared.layers[0].attention.k_proj, cache_bytes(model, 9), cache_bytes(shared, 9)
    (Linear(in_features=16, out_features=8, bias=False), 1152, 576)
    """
    before = check_gpt(model).config["kv_heads"]
    kv_heads = check_int("kv_heads", kv_heads, 1, before)
    if before % kv_heads:
        raise bad_value("kv_heads", kv_heads, f"a divisor of {before}")
    names = [f"layers.{i}.attention.{p}" for i in range(len(model.layers)) for p in ("k_proj", "v_proj")]
    for name in names:
        check_plain(model, name, (nn.Linear,), what="a layer to average")
        if model.get_submodule(name).bias is not None:
            raise bad_value("a layer to average", f"{name!r}: it has a bias", "one without, as TinyGPT's")
    model = copy.deepcopy(model)
    model.config["kv_heads"] = kv_heads
    for layer in model.layers:
        layer.attention.kv_heads = kv_heads
    for name in names:
        _average(model.get_submodule(name), before, kv_heads)
    return model


def _average(projection, before, after):
    """The mean of each `before / after` neighbouring heads, in place: they are those that shared queries."""
    w = projection.weight
    size = len(w) // before
    mean = w.detach().unflatten(0, (after, before // after, size)).mean(1).flatten(0, 1)  # (after·size, dim)
    projection.weight = nn.Parameter(mean, requires_grad=w.requires_grad)
    projection.out_features = after * size
