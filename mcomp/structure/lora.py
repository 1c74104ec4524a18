"""LoRA: a frozen layer and, beside it, an update of low rank that learns (Hu et al. 2021, arXiv:2106.09685).

``y = W0 x + (alpha / rank)·B A x``, the paper's equation 3. A is random and B zero, so at the start nothing
has changed; only A and B, rank·(in + out) numbers a layer, get gradients and an optimiser's memory. W0 may be
what a codec makes of a weight: with `NormalFloat` that is QLoRA (Dettmers et al. 2023, arXiv:2305.14314).
"""

import torch
from torch import nn

from mcomp.arrays import bad_value, check_int, check_real
from mcomp.codecs.attachment import attached, outline
from mcomp.plain import copied, not_plain, put_in
from mcomp.structure.ranks import unfactorized

__all__ = ["LoRALinear", "lora", "merge_lora"]


class LoRALinear(nn.Module):
    """``base(x) + scale·up(down(x))``; the paper's A is ``down.weight`` (rank, in), its B ``up.weight``.

    Examples
    --------
    >>> layer = LoRALinear(nn.Linear(6, 4), 2, scale=1.0, generator=torch.Generator())
    >>> bool((layer(torch.ones(6)) == layer.base(torch.ones(6))).all())
    True
    """

    def __init__(self, base, rank, *, scale, generator):
        super().__init__()
        out, inputs = base.weight.shape
        like = {"device": base.weight.device, "dtype": base.weight.dtype}
        self.base, self.scale = base, scale
        self.down = nn.utils.skip_init(nn.Linear, inputs, rank, bias=False, **like)
        self.up = nn.utils.skip_init(nn.Linear, rank, out, bias=False, **like)
        with torch.no_grad():  # A x is as large as x, in each entry
            self.down.weight.copy_(torch.randn(rank, inputs, generator=generator) * inputs**-0.5)
            self.up.weight.zero_()

    def forward(self, x):
        return self.base(x) + self.scale * self.up(self.down(x))


def lora(model, names, *, rank, alpha=None, seed=0):
    """A copy of `model` in which the named layers are `LoRALinear`, and only their updates learn.

    Every parameter of `model` is frozen in the copy, and the codes of weights with a codec stay as they are.
    (Running statistics are no parameters: they move in training mode.)

    Parameters
    ----------
    model : torch.nn.Module
        Not changed.
    names : sequence of str
        Of `Linear` layers, by the names of `model.named_modules()`.
    rank : int
        1 to min(out, in) of each.
    alpha : float, optional
        Above 0. The update is multiplied by alpha / rank; by default by 1.
    seed : int
        For the values of A: normal, of variance 1 / in.

    Returns
    -------
    adapted : torch.nn.Module
        In the mode of `model`; the layers are free in ``down`` and ``up``.

    Raises
    ------
    ValueError
        With the layer's name, if it is no Linear, its weight is shared or read elsewhere or made by something
        else than a codec, or the rank is out of range.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 10))
    >>> adapted = lora(model, ["0"], rank=4)
    >>> sum(p.numel() for p in adapted.parameters() if p.requires_grad), 4 * (784 + 300)
    (4336, 4336)
    """
    layers = _layers(model, names)
    for name, layer in layers.items():
        check_int(f"the rank of {name}", rank, 1, min(layer.weight.shape))
    alpha = check_real("alpha", rank if alpha is None else alpha)
    if alpha <= 0:
        raise bad_value("alpha", alpha, "a number above 0")
    generator = torch.Generator().manual_seed(check_int("seed", seed, 0, 2**63 - 1))
    adapted = copied(model).requires_grad_(False)
    for made in attached(adapted).values():
        made.refresh, made.stale = "never", False  # a frozen weight has one code: no search at every step
    for name in layers:
        base = adapted.get_submodule(name)
        made = LoRALinear(base, rank, scale=alpha / rank, generator=generator)
        put_in(adapted, name, made.train(base.training))
    return adapted


def merge_lora(model):
    """A copy of `model` with plain Linears again: each weight is W0 + (alpha / rank)·B A.

    Parameters
    ----------
    model : torch.nn.Module
        With layers as `lora` makes them. Not changed.

    Returns
    -------
    merged : torch.nn.Module
        Parameters are frozen or free as they were; ``merged.requires_grad_()`` frees all.

    Raises
    ------
    ValueError
        If there is no such layer; with its name, if its weight has a codec: W0 + B A would not lie on the
        codec's grid, so the merged network would be larger again. `mcomp.codecs.bake` makes W0 plain, then it
        can be merged; quantizing the sum anew, with a new error, is up to the caller.

    Examples
    --------
    >>> adapted = lora(nn.Sequential(nn.Linear(4, 3)), ["0"], rank=2)
    >>> merge_lora(adapted)
    Sequential(
      (0): Linear(in_features=4, out_features=3, bias=True)
    )
    """
    found = [name for name, module in model.named_modules() if isinstance(module, LoRALinear)]
    if not found:
        raise bad_value("model", type(model).__name__, "one with layers that lora made")
    merged = copied(model)
    for name in found:
        if reason := not_plain(model, f"{name}.base".lstrip("."), (nn.Linear,)):
            allowed = "a plain weight: with B A it would leave its grid. bake first, then quantize the sum"
            raise bad_value("a layer to merge", f"{name}: {reason}", allowed)
        layer = merged.get_submodule(name)
        base = _merged(layer)
        if not name:
            return base
        put_in(merged, name, base)
    return merged


@torch.no_grad()
def _merged(layer):
    """The base of a `LoRALinear`, with the update in its weight."""
    w = layer.base.weight
    wide = torch.promote_types(w.dtype, torch.float32)
    w.copy_(w.to(wide) + layer.scale * (layer.up.weight.to(wide) @ layer.down.weight.to(wide)))
    return layer.base.train(layer.training)


def _layers(model, names):
    """The named layers, as they are without codecs: dict of name to Linear."""
    if isinstance(names, str) or not (names := list(names)):
        raise bad_value("names", names, "a list of names, at least one")
    plain, _ = outline(model)
    refused = unfactorized(plain)
    known = {name: m for name, m in plain.named_modules() if isinstance(m, nn.Linear) and name}
    for name in names:
        if name in refused:
            raise bad_value("the name of a layer", f"{name}; {refused[name]}", "a Linear that is plain")
        if name not in known:
            allowed = f"a Linear: {', '.join(n for n in known if n not in refused)}"
            raise bad_value("the name of a layer", name, allowed)
    if len({*names}) < len(names):
        raise bad_value("names", names, "each name once")
    return {name: known[name] for name in names}
