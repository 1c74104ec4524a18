"""Whether a layer is plain: nothing but its class's own forward reads its weight, and nothing else makes it.

Surgery on a network of someone else's asks here first, and leaves or refuses the layer with the reason.
"""

import contextlib
import copy

import torch
from torch import nn

from mcomp.arrays import bad_value
from mcomp.trace import LINEAR, trace

__all__ = [
    "LAYERS", "TRANSPOSED", "as_weight", "by_output", "channels", "check_plain", "copied", "graph_of",
    "made_by", "naming", "not_plain", "own_forward", "places", "put_in",
]  # fmt: skip

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
LAYERS = (*LINEAR, *TRANSPOSED)
FORWARDS = ("forward", "_conv_forward")  # a subclass may have either of its own


def not_plain(model, name, kinds=LAYERS):
    """Why the layer `name` of `model` isn't a plain one of `kinds`; None if it is.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)))
    >>> not_plain(model, "0"), not_plain(model, "1")
    (None, 'its weight is made by _WeightNorm')
    """
    layer = model.get_submodule(name)
    if not isinstance(layer, kinds):
        return f"it is a {type(layer).__name__}"
    made = [(leaf, made_by(layer, leaf)) for leaf in ("weight", "bias")]
    made = [f"its {leaf} is made by {maker}" for leaf, maker in made if maker]
    if made:
        return made[0]
    if layer._forward_hooks or layer._forward_pre_hooks:
        return "it has hooks, which see what passes"
    for leaf, p in layer.named_parameters(recurse=False):
        if len(found := places(model, p)) > 1:
            return f"its {leaf} is shared: {', '.join(found)}"
    if isinstance(layer, LAYERS) and own_forward(layer):
        return f"its class {type(layer).__name__} has a forward of its own"
    return None


def own_forward(layer):
    """Whether the class of a layer of `LAYERS` computes something else than torch's."""
    kind = next(kind for kind in LAYERS if isinstance(layer, kind))
    return any(getattr(type(layer), f, None) is not getattr(kind, f, None) for f in FORWARDS)


def check_plain(model, name, kinds=LAYERS, *, what="the layer"):
    """ValueError with the layer's name and the reason, unless it is plain."""
    if reason := not_plain(model, name, kinds):
        codec = "; bake the model first" if "made by" in reason else ""
        raise bad_value(what, f"{name!r}: {reason}", f"a layer that alone makes and reads its weight{codec}")


def made_by(module, leaf):
    """What makes the tensor `leaf` of `module` at each pass, a parametrization or a hook; None: it is plain.

    Hooks are those of `torch.nn.utils.weight_norm`, `spectral_norm` and `torch.nn.utils.prune`.
    """
    if leaf in getattr(module, "parametrizations", {}):
        return type(module.parametrizations[leaf][0]).__name__
    if leaf in module._parameters or leaf in module._buffers:
        return None
    for hook in module._forward_pre_hooks.values():
        if leaf == getattr(hook, "_tensor_name", getattr(hook, "name", None)):
            return f"the hook {type(hook).__name__}"
    return "hand" if hasattr(module, leaf) and getattr(module, leaf) is not None else None


def copied(model):
    """``copy.deepcopy(model)``, also where a hook (weight_norm) left a tensor with its history."""
    tensors = [x for module in model.modules() for x in vars(module).values() if isinstance(x, torch.Tensor)]
    return copy.deepcopy(model, {id(x): x.detach().clone() for x in tensors if not x.is_leaf})


def graph_of(model):
    """`mcomp.trace.trace`, in which a subclass of a torch layer with the same forward is a node too."""
    kinds = {type(module) for module in model.modules() if not isinstance(module, nn.Sequential)}
    own = tuple(kind for kind in kinds if not _inherits(kind))
    leaves = [k for k in kinds if k not in own and not k.__module__.startswith("torch.nn.")]
    return trace(model, tuple(k for k in leaves if not any(issubclass(other, k) for other in own)))


def _inherits(kind):
    code = [getattr(kind, f, None) for f in FORWARDS]
    return all(f is None or f.__module__.startswith("torch.nn.modules.") for f in code)


def places(model, p):
    """The names of all places in which the parameter `p` stands."""
    return [name for name, q in model.named_parameters(remove_duplicate=False) if q is p]


def channels(layer):
    """How many output channels a layer of `LAYERS` has."""
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def by_output(layer, w):
    """The weight `w` of a layer with a row for each output channel: (out, ...), of transposed ones too."""
    if not isinstance(layer, TRANSPOSED):
        return w
    parts = w.reshape(layer.groups, w.shape[0] // layer.groups, *w.shape[1:])  # (g, in / g, out / g, k, ...)
    return parts.transpose(1, 2).flatten(0, 1)


def as_weight(layer, rows):
    """Inverse of `by_output`."""
    if not isinstance(layer, TRANSPOSED):
        return rows
    parts = rows.reshape(layer.groups, rows.shape[0] // layer.groups, *rows.shape[1:])
    return parts.transpose(1, 2).flatten(0, 1)


def put_in(model, name, module):
    """Let `module` stand where the submodule `name` of `model` stood; returns `model`."""
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, module)
    return model


@contextlib.contextmanager
def naming(name):
    """Put the name of a layer or parameter before the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
