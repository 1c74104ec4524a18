"""Which tensors of a network are weight matrices: whatever they are called, each once, with their axes."""

import re
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils import parametrize

from mcomp.arrays import bad_value

__all__ = ["RULES", "Matrix", "left_out", "matrices", "tell", "untouched"]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)
_TABLES = (nn.Embedding, nn.EmbeddingBag)
_ADDED = re.compile(r"embed|position|(^|_)(pos|token)(_|$)|table|bias")
# Class, or its name for a class of another library -> (pattern of the parameter's name, output axis, input
# axis). A (300, 784) Linear has outputs on axis 0; Hugging Face's Conv1D is a Linear stored as (in, out).
# A class goes before a name: what inherits from nn.Conv1d is one, even if it is called Conv1D.
RULES = {
    nn.Linear: ("weight", 0, 1),
    nn.Bilinear: ("weight", 0, 1),
    nn.MultiheadAttention: (r"(in|[qkv])_proj_weight", 0, 1),
    "Conv1D": ("weight", 1, 0),
    **dict.fromkeys(_CONVOLUTIONS, ("weight", 0, 1)),
    **dict.fromkeys(_TRANSPOSED, ("weight", 1, 0)),
    **dict.fromkeys(_RECURRENT, (r"weight_(ih|hh|hr)(_l\d+(_reverse)?)?", 0, 1)),
    **dict.fromkeys(_TABLES, ("weight", None, None)),
}


@dataclass(frozen=True)
class Matrix:
    """One weight matrix, or kernel, of a network.

    Attributes
    ----------
    name : str
        As in ``model.named_parameters()`` without parametrizations, such as "fc1.weight".
    value : tensor
        Detached: what the network multiplies with, in its own memory where nothing makes it.
    out_axis, in_axis : int or None
        Where outputs and inputs (of one group) lie; None for a table of rows that are looked up, and where
        the module is of no known class.
    kind, groups : str, int
        The class of its module, and that module's groups.
    trainable : bool
    tied : tuple of str
        Other names of the same Parameter.
    made_by : str
        "" for a plain Parameter, "parametrize", "weight_norm" or "prune" where something makes the weight.
    """

    name: str
    value: torch.Tensor
    out_axis: int | None
    in_axis: int | None
    kind: str
    groups: int = 1
    trainable: bool = True
    tied: tuple = ()
    made_by: str = ""


def matrices(model, *, rules=None):
    """Every weight matrix of `model`, by name: what pruning, quantization and factorization are about.

    Known by class (`RULES`): linear and convolutional layers, also transposed ones and Hugging Face's Conv1D,
    the projections of attention, recurrent layers, embeddings. In a module of another class a parameter
    counts if it has two or more axes, isn't a vector in disguise (one long axis), and neither begins with an
    axis of length 1, as what is added to every row does, nor is called a table (``pos_embed``,
    ``relative_position_bias_table``). Normalisation layers don't count; a tied Parameter counts once, where
    the network names it first. `left_out` says of each other parameter why it isn't here.

    Parameters
    ----------
    model : torch.nn.Module
    rules : dict, optional
        More entries as in `RULES`, which hold before those.

    Returns
    -------
    matrices : dict of str to `Matrix`

    Raises
    ------
    ValueError
        If a rule isn't three values, or a lazy layer has no shape yet.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.LSTM(4, 2))
    >>> [f"{name} {tuple(m.value.shape)}" for name, m in matrices(model).items()]
    ['0.weight (4, 1, 3, 3)', '2.weight_ih_l0 (8, 4)', '2.weight_hh_l0 (8, 2)']
    """
    found, first = {}, {}
    for name, place, reason in _judged(model, rules):
        holder = place[2]
        if reason is not None:
            continue
        if id(holder) in first:
            found[first[id(holder)]].append(name)
        else:
            first[id(holder)] = name
            found[name] = [place]
    return {name: _matrix(name, *entry[0], tuple(entry[1:])) for name, entry in found.items()}


def left_out(model, *, rules=None):
    """The parameters that `matrices` doesn't name, each with the reason: dict of str to str.

    Examples
    --------
    >>> left_out(nn.Sequential(nn.Linear(4, 2), nn.LayerNorm((3, 2))))
    {'0.bias': 'a vector', '1.weight': 'of a norm', '1.bias': 'of a norm'}
    """
    return {name: reason for name, _, reason in _judged(model, rules) if reason is not None}


def untouched(model, done=None):
    """What an operation on weight matrices didn't reach, and why: dict of str to str.

    The matrices that aren't in `done`, a collection of names (None: all are), and the other parameters of two
    or more axes that belong to no norm: who reads "all weights" may think that they are among them.

    Examples
    --------
    >>> untouched(nn.Sequential(nn.Linear(4, 2), nn.LSTM(2, 2, bias=False)), {"0.weight"})
    {'1.weight_ih_l0': 'it is of a LSTM', '1.weight_hh_l0': 'it is of a LSTM'}
    """
    found = {} if done is None else matrices(model)
    left = {name: f"it is of a {m.kind}" for name, m in found.items() if not {name, *m.tied} & {*done}}
    others = {n: why for n, why in left_out(model).items() if why not in ("a vector", "of a norm")}
    return left | {name: f"it is {why}" for name, why in others.items()}


def tell(what, left):
    """Print a line for each of `left`, a dict of name to reason; nothing if it is empty.

    Examples
    --------
    >>> tell("not clipped", {"1.weight_ih_l0": "it is of a LSTM"})
    not clipped: 1.weight_ih_l0, because it is of a LSTM
    """
    for name, reason in left.items():
        print(f"{what}: {name}, because {reason}")


def _judged(model, rules):
    """(name, its place, why it is no weight matrix or None) of each parameter in each place."""
    for path, module in _modules(model):
        cls = parametrize.type_before_parametrizations(module)
        rule = _rule(cls, rules or {}) or _rule(cls, RULES)
        for leaf, holder, made_by in _weights(module):
            name = f"{path}.{leaf}".lstrip(".")
            if isinstance(holder, nn.parameter.UninitializedParameter):
                raise bad_value(name, "without a shape", "a parameter that has one; run the network once")
            yield name, (module, leaf, holder, made_by, cls, rule), _reason(cls, rule, leaf, module)


def _modules(model):
    """`model.named_modules()` without those inside parametrizations; shared modules under each name."""
    named = [*model.named_modules(remove_duplicate=False)]
    return [(name, module) for name, module in named if "parametrizations" not in name.split(".")]


def _matrix(name, module, leaf, holder, made_by, cls, rule, tied):
    out_axis, in_axis = rule[1:] if rule and re.fullmatch(rule[0], leaf) else (None, None)
    groups = getattr(module, "groups", 1)
    return Matrix(
        name, getattr(module, leaf).detach(), out_axis, in_axis, cls.__name__,
        groups if isinstance(groups, int) else 1, holder.requires_grad, tied, made_by,
    )  # fmt: skip


def _rule(cls, table):
    """The entry of the nearest class, else that of the nearest class's name."""
    for key in (*cls.__mro__, *(base.__name__ for base in cls.__mro__)):
        if key in table:
            if len(table[key]) != 3:
                raise bad_value(f"rules[{key!r}]", table[key], "(pattern, output axis, input axis)")
            return table[key]
    return None


def _weights(module):
    """(name, the Parameter that makes it the same elsewhere, what makes it) of a module's own weights."""
    own = dict(module.named_parameters(recurse=False))
    for name, p in own.items():
        stem = name.removesuffix("_orig")
        if stem != name and f"{stem}_mask" in dict(module.named_buffers(recurse=False)):
            yield stem, p, "prune"
        elif name.endswith("_v") and f"{name[:-2]}_g" in own and hasattr(module, name[:-2]):
            yield name[:-2], p, "weight_norm"
        elif not (name.endswith("_g") and f"{name[:-2]}_v" in own):
            yield name, p, ""
    for name, chain in getattr(module, "parametrizations", {}).items():
        yield name, getattr(chain, "original", next(chain.parameters(), chain)), "parametrize"


def _reason(cls, rule, leaf, module):
    """Why a module's own parameter is no weight matrix; None if it is one."""
    w = getattr(module, leaf)
    if rule is not None and re.fullmatch(rule[0], leaf):
        return None
    if not w.is_floating_point():
        return f"of {str(w.dtype).removeprefix('torch.')}"
    if any(re.search(r"norm(\dd)?$", base.__name__.lower()) for base in cls.__mro__):
        return "of a norm"
    if w.ndim < 2 or w.numel() == max(w.shape):
        return "a vector"
    if rule is not None:
        return f"no weight of a {cls.__name__}"
    if w.shape[0] == 1 or _ADDED.search(leaf.lower()):
        return "added or looked up, by its shape or name"
    return "a scale or shift: both have one shape" if _has_shift(module, w) else None


def _has_shift(module, w):
    """Whether another parameter is called a shift and has the shape of `w`: then both go entry by entry."""
    own = module.named_parameters(recurse=False)
    return any(p.shape == w.shape for name, p in own if re.search("bias|beta|shift", name.lower()))
