"""A network with layers of low rank: each named layer becomes two or three thinner ones, model -> new model.

| layer | rank | becomes |
|---|---|---|
| Linear (out, in) | r | in -> r -> out |
| Conv2d, "channel" | r | kh x kw from in to r, then 1 x 1 to out |
| Conv2d, "spatial" | r | kh x 1 from in to r, then 1 x kw to out (Jaderberg et al. 2014, arXiv:1405.3866) |
| Conv2d | (a, b) | 1 x 1 from in to b, kh x kw from b to a, 1 x 1 to out (Tucker-2, arXiv:1511.06530) |

Derived in chapters/10_low_rank.ipynb.
"""

import torch
from torch import nn

from mcomp.arrays import bad_value, check_int
from mcomp.lowrank.project import low_rank, whitened_low_rank
from mcomp.lowrank.tensors import tucker2
from mcomp.made import remember, spec
from mcomp.plain import copied, put_in
from mcomp.structure.ranks import layer_matrix, unfactorized


def factorize(model, ranks, *, conv="spatial", grams=None, larger=False):
    """A copy of `model` in which each layer of `ranks` is a `Sequential` of thinner ones.

    The factors are the nearest of that rank (Tucker-2: by HOOI), the bias goes with the last. In the copy
    they are plain layers, `down`, `core` and `up`, which any training loop fine-tunes; frozen if the layer
    is.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed.
    ranks : dict of name to int or (int, int)
        Of `Linear` and `Conv2d` layers, by the names of `model.named_modules()`. A pair (out, in) makes a
        convolution Tucker-2.
    conv : "spatial" or "channel"
        What one rank of a convolution means.
    grams : dict of name to tensor, optional
        As `input_grams` gives them: these layers are nearest in their outputs, not in their weights. Not for
        spatial and Tucker-2 factors, which have no such closed form.
    larger : bool
        Allow a layer to become larger than it was.

    Returns
    -------
    small : torch.nn.Module

    Raises
    ------
    ValueError
        If a name isn't a layer that can be factorized (see `unfactorized`), a rank is out of range, or a
        layer would not become smaller and `larger` is False.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 10))
    >>> factorize(model, {"0": 20})[0]
    Sequential(
      (down): Linear(in_features=784, out_features=20, bias=False)
      (up): Linear(in_features=20, out_features=300, bias=True)
    )
    """
    if not isinstance(ranks, dict):
        raise bad_value("ranks", ranks, "a dict of name to rank such as {'fc1': 20}")
    grams = {} if grams is None else grams
    small, made, refused = copied(model), {}, unfactorized(model)
    for name, rank in ranks.items():
        layer = _layer(small, name, refused)
        made[name] = _factors(name, layer, rank, conv, grams.get(name))
        before, after = layer.weight.numel(), sum(p.weight.numel() for p in made[name])
        if after >= before and not larger:
            raise bad_value(f"ranks[{name!r}]", rank, _less(after, before))
    put = {}
    for name, factors in made.items():
        names = ("down", "up") if len(factors) == 2 else ("down", "core", "up")
        sequence = nn.Sequential()
        for part, factor in zip(names, factors, strict=True):
            sequence.add_module(part, factor)
        put[name] = [[part, *spec(factor)] for part, factor in sequence.named_children()]
        if not name:
            return remember(sequence.train(model.training), "put", put, before=model)
        put_in(small, name, sequence.train(small.get_submodule(name).training))
    return remember(small, "put", put)


def _less(after, before):
    return f"one below break-even: it makes {after:,} weights of {before:,} (larger=True allows that)"


def _layer(model, name, refused):
    layers = dict(model.named_modules())
    if name in refused:
        raise bad_value("the name of a layer", f"{name}; {refused[name]}", "a Linear or Conv2d that is plain")
    known = [n for n, m in layers.items() if isinstance(m, (nn.Linear, nn.Conv2d)) and n not in refused]
    if name not in known:
        raise bad_value("the name of a layer", name, f"a Linear or Conv2d: {', '.join(known)}")
    return layers[name]


def _factors(name, layer, rank, conv, gram):
    """The thinner layers, in the order of the pass."""
    pair = isinstance(rank, (tuple, list))
    if isinstance(layer, nn.Conv2d) and (pair or conv == "spatial") and gram is not None:
        raise bad_value(f"grams[{name!r}]", "given", "grams of Linear layers and of conv='channel'")
    if pair and isinstance(layer, nn.Conv2d):
        return _tucker(layer, rank)
    with torch.no_grad():
        matrix = _wide(layer_matrix(layer, conv=conv))
        check_int(f"ranks[{name!r}]", rank, 1, min(matrix.shape))
        up, down = low_rank(matrix, rank) if gram is None else whitened_low_rank(matrix, rank, gram=gram)
    if isinstance(layer, nn.Linear):
        return _linear(layer, down, None), _linear(layer, up, layer.bias)
    return _spatial(layer, up, down) if conv == "spatial" else _channel(layer, up, down)


def _wide(w):
    """`w` in float32 at least: no singular values come in half precision."""
    return w.to(torch.promote_types(w.dtype, torch.float32))


def _linear(layer, weight, bias):
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    return _filled(layer, made, weight, bias)


def _filled(layer, made, weight, bias):
    """`made`, which has no memory yet, with this weight and a copy of this bias, free where `layer` is."""
    weight = weight.detach().to(layer.weight.dtype, copy=True, memory_format=torch.contiguous_format)
    made.weight = nn.Parameter(weight, requires_grad=layer.weight.requires_grad)
    if bias is not None:
        made.bias = nn.Parameter(bias.detach().clone(), requires_grad=bias.requires_grad)
    return made


def _conv(layer, weight, bias, axes):
    """A convolution with this weight, and the stride, padding and dilation of `layer` along `axes` only."""

    def option(values, else_):
        if isinstance(values, str):  # "same", which is none where the kernel has one row or column
            return values
        return tuple(value if i in axes else else_ for i, value in enumerate(values))

    made = nn.Conv2d(
        weight.shape[1], weight.shape[0], tuple(weight.shape[2:]), bias=bias is not None, device="meta",
        stride=option(layer.stride, 1), padding=option(layer.padding, 0),
        dilation=option(layer.dilation, 1), padding_mode=layer.padding_mode,
    )  # fmt: skip
    return _filled(layer, made, weight, bias)


def _channel(layer, up, down):
    first = down.reshape(-1, *layer.weight.shape[1:])  # (rank, in, kh, kw)
    return _conv(layer, first, None, (0, 1)), _conv(layer, up[:, :, None, None], layer.bias, ())


def _spatial(layer, up, down):
    out, inputs, kh, kw = layer.weight.shape
    first = down.reshape(-1, inputs, kh, 1)
    second = up.reshape(out, kw, -1).transpose(1, 2)[:, :, None, :]  # (out, rank, 1, kw)
    return _conv(layer, first, None, (0,)), _conv(layer, second, layer.bias, (1,))


def _tucker(layer, ranks):
    with torch.no_grad():
        up, core, down = tucker2(_wide(layer.weight), ranks)
    first, last = down[:, :, None, None], up[:, :, None, None]
    return _conv(layer, first, None, ()), _conv(layer, core, None, (0, 1)), _conv(layer, last, layer.bias, ())
