"""A convolution as a depthwise and a pointwise one (Howard et al. 2017, arXiv:1704.04861, section 3.1).

Each input channel's kernels are a matrix (out, kh · kw); its nearest of rank r is r depthwise kernels and r
columns of the pointwise layer (truncated SVD), and no channel's error depends on another's. So the nearest
separable weight is known in closed form.
"""

import torch
from torch import nn

from mcomp.arrays import bad_value, check_int
from mcomp.made import remember, spec
from mcomp.plain import check_plain, copied, naming, put_in

__all__ = ["separable"]


def separable(model, names, *, rank=1, larger=False):
    """A copy of `model` in which each convolution of `names` is a Sequential of `depth` and `point`.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed.
    names : sequence of str
        Of Conv1d, Conv2d or Conv3d layers without groups.
    rank : int
        Depthwise kernels an input channel, 1 to min(out, kernel size); at the largest nothing changes.
    larger : bool
        Allow a layer to become larger than it was.

    Returns
    -------
    smaller : torch.nn.Module

    Raises
    ------
    ValueError
        With the layer's name, if it is none that is plain, has groups, the rank is out of range, or it would
        not become smaller: weights go from in · out · k to rank · in · (k + out), a factor of
        rank · (1 / out + 1 / k).

    Examples
    --------
    >>> separable(nn.Sequential(nn.Conv2d(8, 16, 3, padding=1)), ["0"])[0]
    Sequential(
      (depth): Conv2d(8, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), groups=8, bias=False)
      (point): Conv2d(8, 16, kernel_size=(1, 1), stride=(1, 1))
    )
    """
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    if isinstance(names, str):
        raise bad_value("names", names, "a list of names")
    smaller, put, modules = copied(model), {}, dict(model.named_modules())
    for name in names:
        if not isinstance(modules.get(name), kinds) or not name:
            known = [n for n, m in modules.items() if isinstance(m, kinds)]
            raise bad_value("the name of a layer", name, f"a convolution: {', '.join(known)}")
        check_plain(model, name, kinds)
        layer = modules[name]
        if layer.groups != 1:
            raise bad_value("the layer", f"{name} with {layer.groups} groups", "a convolution without groups")
        with naming(name):
            made = _pair(layer, rank)
        before, after = layer.weight.numel(), sum(m.weight.numel() for m in made.children())
        if after >= before and not larger:
            allowed = "a layer that becomes smaller (larger=True allows it)"
            raise bad_value("the separated layer", f"{name}, {after:,} weights for {before:,}", allowed)
        put_in(smaller, name, made.train(layer.training))
        put[name] = [[part, *spec(m)] for part, m in made.named_children()]
    return remember(smaller, "put", put)


@torch.no_grad()
def _pair(layer, rank):
    w = layer.weight.detach()
    out, inputs = w.shape[:2]
    rows = w.to(torch.promote_types(w.dtype, torch.float32)).transpose(0, 1).flatten(2)  # (in, out, k)
    check_int("rank", rank, 1, min(rows.shape[1:]))
    u, s, vh = torch.linalg.svd(rows, full_matrices=False)
    root = s[:, :rank].sqrt()
    where = {"device": w.device, "dtype": w.dtype}
    kind = next(k for k in (nn.Conv1d, nn.Conv2d, nn.Conv3d) if isinstance(layer, k))
    depth = kind(
        inputs, inputs * rank, layer.kernel_size, layer.stride, layer.padding, layer.dilation, inputs, False,
        layer.padding_mode, **where,
    )  # fmt: skip
    point = kind(inputs * rank, out, 1, bias=layer.bias is not None, **where)
    depth.weight.copy_((root[..., None] * vh[:, :rank]).reshape(depth.weight.shape))
    point.weight.copy_((u[..., :rank] * root[:, None]).movedim(1, 0).reshape(point.weight.shape))
    if layer.bias is not None:
        point.bias.copy_(layer.bias)
        point.bias.requires_grad_(layer.bias.requires_grad)
    for part in (depth, point):
        part.weight.requires_grad_(layer.weight.requires_grad)
    made = nn.Sequential()
    made.add_module("depth", depth)
    made.add_module("point", point)
    return made
