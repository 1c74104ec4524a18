"""Move a factor from a layer's inputs into what makes them: ``W x = (W·diag s)(diag(1/s)·x)``.

Who makes the inputs takes 1/s into its own weight and bias: a norm, whose gain is its last operation, or a
linear layer. Everybody who reads it must take s. So the readers of each norm are found by running the
network, and tried: a factor is moved, and the function must stay, in float64. SmoothQuant
(arXiv:2211.10438) and AWQ (arXiv:2306.00978) choose s, `plant_outliers` plants what they are for.
"""

import torch
from torch import nn

from mcomp import calling
from mcomp.arrays import bad_value, check_int, check_real
from mcomp.layers import tell
from mcomp.measure.difference import largest_difference
from mcomp.plain import copied, not_plain
from mcomp.ptq.layers import read_together
from mcomp.watch import watch

__all__ = ["checked_pairs", "divide", "linear_readers", "norm_readers", "plant_outliers", "read_by"]

SAME = 1e-9  # of the largest output: float64 has 1e-16, a deep network loses some digits


def norm_readers(model, x, *, output=None):
    """The norms whose outputs only linear layers read: dict of norm name to the tuple of its readers' names.

    A norm is a module without children that gives as many numbers as it gets, and whose `weight` has one
    number for each of the last axis. What isn't in the dict is printed with the reason.

    Parameters
    ----------
    model : torch.nn.Module
    x : tensor (n, ...), or several inputs as in `mcomp.calling`; two rows are used
    output : what picks the outputs, see `mcomp.calling.pick`

    Raises
    ------
    ValueError
        If there is none: the message names each norm, and why it can't be.

    Examples
    --------
    >>> from mcomp.gpt import TinyGPT
    >>> model = TinyGPT(dim=8, layers=1, heads=2, hidden=12)
    >>> norm_readers(model, torch.zeros(2, 5, dtype=torch.int64))["layers.0.mlp_norm"]
    not scaled: norm, because head: its weight is shared: embed.weight, head.weight
    ('layers.0.mlp.gate_proj', 'layers.0.mlp.up_proj')
    """
    x, found, left = calling.take(x, slice(2)), {}, {}
    for norm, readers in read_by(model, x).items():
        why = _unfit(model, x, norm, readers, output)
        (left if why else found)[norm] = why or readers
    if not found:
        reasons = "; ".join(f"{name}: {why}" for name, why in left.items()) or type(model).__name__
        raise bad_value("norms that only linear layers read", f"none ({reasons})", "at least one")
    tell("not scaled", left)
    return found


def linear_readers(model, x, *, output=None):
    """The linear layers that make what others read, but for a factor a channel: dict of name to readers.

    What no norm makes: the values of attention, of which its output layer reads means; one side of a gated
    MLP; a layer in front of a ReLU. Found by trying those that ran before, the latest first: a factor is
    moved, and the function must stay. Lin et al. 2023, arXiv:2306.00978 scales these pairs, too.

    Parameters
    ----------
    model, x, output : as for `norm_readers`

    Returns
    -------
    pairs : dict of name to tuple of names
        Empty if there is none; for `smooth` and `awq`, with or without those of `norm_readers`.

    Examples
    --------
    >>> from mcomp.gpt import TinyGPT
    >>> model = TinyGPT(dim=8, layers=1, heads=2, hidden=12).layers[0]
    >>> linear_readers(model, torch.randn(2, 5, 8))
    {'attention.v_proj': ('attention.o_proj',), 'mlp.up_proj': ('mlp.down_proj',)}
    """
    x, found, ran = calling.take(x, slice(2)), {}, []
    normed = {name for readers in read_by(model, x).values() for name in readers}
    for readers in read_together(model, x):
        if normed.isdisjoint(readers):
            fits = (name for name in ran if not _unfit(model, x, name, tuple(readers), output))
            if maker := next(fits, None):
                found[maker] = tuple(readers)
        ran = [n for n in reversed(readers) if isinstance(model.get_submodule(n), nn.Linear)] + ran
    return found


def checked_pairs(model, x, pairs, *, output=None):
    """`pairs`, a dict of a norm's or linear layer's name to its readers', if a factor can move between them.

    Raises
    ------
    ValueError
        By name, if the function wouldn't stay, or a layer isn't plain.
    """
    for producer, readers in pairs.items():
        if why := _unfit(model, calling.take(x, slice(2)), producer, tuple(readers), output):
            raise bad_value(
                "a pair to scale", f"{producer}: {why}", "one that alone makes what its readers read"
            )
    return {producer: tuple(readers) for producer, readers in pairs.items()}


@torch.no_grad()
def divide(model, producer, readers, s):
    """In place: what `producer` gives is divided by `s` (channels,), its `readers` are multiplied."""
    made, reading = model.get_submodule(producer), [model.get_submodule(name) for name in readers]
    s = s.to(made.weight)
    made.weight /= s[:, None] if made.weight.ndim == 2 else s
    if getattr(made, "bias", None) is not None:
        made.bias /= s
    for layer in reading:
        layer.weight *= s


def plant_outliers(model, x, *, channels=1, factor=100.0, seed=0, output=None):
    """A copy of `model`, the same function; some channels behind each norm are `factor` times as large.

    What large language models grow by themselves (Dettmers et al. 2022, arXiv:2208.07339) and small ones
    lack: a few input channels that stretch every grid, at the same places in all layers.

    Parameters
    ----------
    model, x, output : as for `norm_readers`
    channels : int
        How many of each norm's.
    factor : float above 0
    seed : int; draws the places

    Returns
    -------
    planted : torch.nn.Module
    """
    factor, model = check_real("factor", factor, 1e-12), copied(model)
    chance = torch.Generator().manual_seed(check_int("seed", seed, 0))
    places = {}
    for norm, readers in norm_readers(model, x, output=output).items():
        size = len(model.get_submodule(norm).weight)
        if size not in places:
            places[size] = torch.randperm(size, generator=chance)[: check_int("channels", channels, 0, size)]
        s = torch.ones(size, dtype=torch.float64)
        s[places[size]] = 1 / factor
        divide(model, norm, readers, s)
    return model


def read_by(model, x):
    """Norm name -> the linear layers whose input is the very tensor that the norm made."""
    norms = [name for name, module in model.named_modules() if _is_norm(module)]
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    made, found = {}, {name: [] for name in norms}

    def note(name, layer, inputs, output):
        if isinstance(output, torch.Tensor) and inputs and output.shape == getattr(inputs[0], "shape", None):
            place = output.untyped_storage().data_ptr()
            made[place] = (name, output)  # the output is kept, so that its memory isn't used again

    def match(name, layer, a):
        source, _ = made.get(a.untyped_storage().data_ptr(), (None, None))
        if source is not None and name not in found[source]:
            found[source].append(name)

    handles = [
        model.get_submodule(name).register_forward_hook(lambda m, a, y, name=name: note(name, m, a, y))
        for name in norms
    ]
    try:
        watch(model, x, match, names=linear, every=False)
    finally:
        for handle in handles:
            handle.remove()
    return {name: tuple(readers) for name, readers in found.items()}


def _is_norm(module):
    weight = getattr(module, "weight", None)
    leaf = not any(module.children()) and not isinstance(module, nn.modules.batchnorm._BatchNorm)
    return leaf and isinstance(weight, nn.Parameter) and weight.ndim == 1


def _unfit(model, x, producer, readers, output):
    """Why no factor can move from the readers into the producer; None if it can."""
    if not readers:
        return "no linear layer reads what it gives"
    for name in readers:
        if why := not_plain(model, name, (nn.Linear,)):
            return f"{name}: {why}"
    if why := not_plain(model, producer, (type(model.get_submodule(producer)),)):
        return why
    size = len(model.get_submodule(producer).weight)
    widths = [model.get_submodule(name).in_features for name in readers]
    if {size} != {*widths}:
        return f"it gives {size} channels, its readers read {widths}"
    moved, s = copied(model), torch.where(torch.arange(size) % 2 == 0, 2.0, 0.5)
    divide(moved, producer, readers, s)
    if not largest_difference(model, moved, x, output=output) <= SAME:
        return "something else reads it too, or its weight isn't its last factor"
    return None
