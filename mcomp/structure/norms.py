"""Which layer a batch norm follows, and whether it treats that layer's channels: else a reason why not."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from mcomp.plain import LAYERS, channels, not_plain
from mcomp.trace import layer, sole_user

__all__ = ["layer_before", "numbers_of", "only_call"]

AXES = {nn.BatchNorm1d: 3, nn.BatchNorm2d: 4, nn.BatchNorm3d: 5, _BatchNorm: 0}  # of what it normalises
PRODUCTS = {F.linear: nn.Linear, F.conv1d: nn.Conv1d, F.conv2d: nn.Conv2d, F.conv3d: nn.Conv3d}
SAME_AXES = (nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.LeakyReLU, nn.Dropout, nn.Identity)
FUNCTIONS = (F.relu, torch.relu, F.gelu, F.silu, torch.tanh, torch.sigmoid, F.leaky_relu, F.dropout)


def numbers_of(norm):
    """What a batch norm does at inference, as `mcomp.structure.folded` takes it, in float64."""
    one = torch.ones_like(norm.running_mean, dtype=torch.float64)
    given = {"mean": norm.running_mean, "var": norm.running_var, "gamma": norm.weight, "beta": norm.bias}
    absent = {"gamma": one, "beta": 0 * one}
    found = {name: absent[name] if x is None else x.detach().double() for name, x in given.items()}
    return found | {"eps": norm.eps}


def only_call(model, graph, norm):
    """The node that calls a batch norm, or why that is none to fold."""
    nodes = [n for n in graph.nodes if layer(model, n) is norm]
    if len(nodes) != 1:
        seen = f"{len(nodes)} times" if nodes else "nowhere that torch.fx can see"
        return None, f"it is called {seen}"
    if type(norm).forward is not _BatchNorm.forward:
        return None, f"its class {type(norm).__name__} has a forward of its own"
    if norm.running_mean is None:
        return None, "it has no running statistics (track_running_stats=False)"
    if norm._forward_hooks or norm._forward_pre_hooks or getattr(norm, "parametrizations", None):
        return None, "it has hooks or parametrizations"
    return nodes[0], None


def layer_before(model, graph, node, norm, ndim):
    """The name of the layer that a batch norm follows, or why it can't be folded into one."""
    source = node.args[0] if node.args else node.kwargs["input"]
    if (name := _product(model, source)) is None:
        return (
            None,
            f"its input comes from {source.target if source.op == 'call_module' else source}",
        )
    first = model.get_submodule(name)
    if sole_user(source) is None:
        others = [str(user) for user in source.users if user is not node]
        return None, f"its layer {name} also feeds {', '.join(others)}"
    if max(_uses(model, graph, first, leaf) for leaf in ("weight", "bias")) > 1:
        return None, f"its layer {name} is used more than once"
    reason = not_plain(model, name)
    if reason and not (source.op == "call_function" and "forward of its own" in reason):
        return None, f"of its layer {name}: {reason}"
    if channels(first) != norm.num_features:
        return None, f"its {norm.num_features} features aren't the {channels(first)} channels of {name}"
    return (None, reason) if (reason := _wrong_axis(model, source, first, norm, ndim)) else (name, None)


def _product(model, node):
    """The name of the layer whose product a node is: called as a module, or as a function of its weight."""
    if isinstance(layer(model, node), LAYERS):
        return node.target
    if node.op != "call_function" or node.target not in PRODUCTS or len(node.args) < 3:
        return None
    weight, bias = node.args[1], node.args[2]
    if not all(getattr(a, "op", "") == "get_attr" for a in (weight, bias)):
        return None
    owner, _, leaf = weight.target.rpartition(".")
    if leaf != "weight" or bias.target != f"{owner}.bias".lstrip("."):
        return None
    return owner if isinstance(model.get_submodule(owner), PRODUCTS[node.target]) else None


def _uses(model, graph, first, leaf):
    """How often the graph calls a layer or reads one of its parameters."""
    p = getattr(first, leaf)
    reads = [n for n in graph.nodes if n.op == "get_attr" and _attribute(model, n) is p is not None]
    return sum(layer(model, n) is first for n in graph.nodes) + sum(len(n.users) for n in reads)


def _attribute(model, node):
    path, _, leaf = node.target.rpartition(".")
    return getattr(model.get_submodule(path), leaf)


def _wrong_axis(model, source, first, norm, ndim):
    """Why the channels of a layer's output may not lie on the axis that the batch norm treats."""
    if not isinstance(first, nn.Linear):
        spatial = len(first.kernel_size)
        known = ndim or next(axes for kind, axes in AXES.items() if isinstance(norm, kind))
        return None if known == spatial + 2 else f"its input has {known} axes, so axis 1 isn't the channels"
    ndim = ndim or (2 if _flat(model, source) else None)
    if ndim is None:
        return "whether its input has two axes isn't known: give x"
    return None if ndim == 2 else "it works along axis 1, the Linear before it along the last"


def _flat(model, node):
    """Whether the graph shows that the output of a Linear has two axes: it was flattened before."""
    while node is not None and node.op != "placeholder":
        module = layer(model, node)
        if type(module) is nn.Flatten:
            return (module.start_dim, module.end_dim) == (1, -1)
        if node.target in (torch.flatten, "flatten"):
            return (*node.args[1:], *node.kwargs.values()) == (1,)
        if node.target in ("view", "reshape"):
            return len(node.args) == 3
        if not isinstance(module, (nn.Linear, _BatchNorm, *SAME_AXES)) and node.target not in FUNCTIONS:
            return False
        node = node.all_input_nodes[0] if node.all_input_nodes else None
    return False
