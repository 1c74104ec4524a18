"""Who feeds whom in a network: its graph by `torch.fx`, and what surgery asks of it."""

import torch
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.parametrize import is_parametrized

from mcomp.arrays import bad_value

__all__ = [
    "LINEAR", "Tracer", "between", "called", "calls", "check_own_tensors", "layer", "sole_user", "trace",
    "untraceable",
]  # fmt: skip

LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Tracer(torch.fx.Tracer):
    """fx's tracer, for which a module that it can't trace is a leaf; `closed` says of each why."""

    def __init__(self, leaves=()):
        super().__init__()
        self.leaves, self.closed = leaves, {}

    def is_leaf_module(self, module, name):
        return isinstance(module, self.leaves) or super().is_leaf_module(module, name)

    def call_module(self, m, forward, args, kwargs):
        try:
            path = self.path_of_module(m)
        except NameError:  # made on the spot, as in nn.ReLU()(x): its operations stand for it
            return forward(*args, **kwargs)
        stack, last = dict(self.module_stack), next(iter(reversed(self.graph.nodes)), None)
        try:
            return super().call_module(m, forward, args, kwargs)
        except Exception as error:  # whatever a module's own code raises when it meets a proxy
            self.module_stack.clear()
            self.module_stack.update(stack)
            self._forget_after(last)
            self.closed[path] = f"{type(error).__name__}: {error}"
            return self.create_proxy("call_module", path, args, kwargs)

    def _forget_after(self, last):
        """Drop what a module left in the graph before it failed, such as a call that nobody uses."""
        for node in reversed(self.graph.nodes):
            if node is last:
                break
            if node.op != "get_attr":  # fx keeps these for the next who asks
                self.graph.erase_node(node)


def trace(model, leaves=()):
    """The `torch.fx.Graph` of `model`, made without running it on data.

    Modules of the classes `leaves`, and those that can't be traced, aren't looked into.

    Raises
    ------
    ValueError
        If the path of the data depends on the data, which no fixed graph can hold.
    """
    try:
        return Tracer(leaves).trace(model)
    except Exception as error:
        raise untraceable(model, error) from None


def untraceable(model, error):
    """The `ValueError` that says so."""
    allowed = f"a network whose forward torch.fx can trace ({type(error).__name__}: {error})"
    return bad_value("model", type(model).__name__, allowed)


def check_own_tensors(model):
    """Refuse a network in which some weight is made from other tensors when it is asked for.

    Raises
    ------
    ValueError
        If a layer is parametrized (a codec, weight_norm, spectral_norm), masked by `torch.nn.utils.prune`,
        lazy, or holds a tensor with a gradient's history: the message names it and says what makes it plain.

    Examples
    --------
    >>> check_own_tensors(nn.Sequential(nn.Linear(2, 3)))
    >>> check_own_tensors(nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))))
    Traceback (most recent call last):
    ...
    ValueError: layer is '0, whose weight _WeightNorm makes'; allowed: ...
    """
    for name, module in model.named_modules():
        for leaf, maker, undo in _made_up(module):
            found = f"{name or type(module).__name__}, whose {leaf} {maker} makes"
            raise bad_value("layer", found, f"a plain layer; call {undo} first")


def _made_up(module):
    """(tensor, what makes it, how to undo that) for each tensor that isn't a parameter of its own."""
    for leaf, makers in getattr(module, "parametrizations", {}).items() if is_parametrized(module) else ():
        maker = makers[0] if len(makers) else makers
        undo = f"torch.nn.utils.parametrize.remove_parametrizations(layer, {leaf!r})"
        yield leaf, type(maker).__name__, "mcomp.codecs.bake" if _is_ours(maker) else undo
    for hook in module._forward_pre_hooks.values():
        leaf = getattr(hook, "_tensor_name", None) or getattr(hook, "name", None)
        kind = type(hook).__name__
        if isinstance(hook, prune.BasePruningMethod):
            yield leaf, kind, f"torch.nn.utils.prune.remove(layer, {leaf!r})"
        elif kind in ("WeightNorm", "SpectralNorm"):
            undo = {"WeightNorm": "weight_norm", "SpectralNorm": "spectral_norm"}[kind]
            yield leaf, kind, f"torch.nn.utils.remove_{undo}(layer, {leaf!r})"
    if any(isinstance(p, nn.parameter.UninitializedTensorMixin) for p in module._parameters.values()):
        yield "weights", "its first input", "it with an input"
    for leaf, value in vars(module).items():
        if isinstance(value, torch.Tensor) and not value.is_leaf:  # which no copy can hold
            yield leaf, "the last run", "it under torch.no_grad()"


def _is_ours(maker):
    return type(maker).__module__.split(".")[0] == __name__.split(".")[0]


def layer(model, node):
    """The module that `node` calls, or None if it is no call of a module."""
    return model.get_submodule(node.target) if node.op == "call_module" else None


def called(node, module=None):
    """What a node does, as a message says it: its module as printed, else the name of what it calls.

    Examples
    --------
    >>> [called(node) for node in trace(nn.Sequential(nn.Linear(2, 2), nn.ReLU())).nodes]
    ['input', '0', '1', 'output']
    """
    if module is not None or isinstance(node.target, str):
        return str(module or node.target)
    return getattr(node.target, "__name__", type(node.target).__name__)


def sole_user(node):
    """The one node that takes the output of `node`, or None if there are several."""
    return next(iter(node.users)) if len(node.users) == 1 else None


def between(model, node, passes):
    """Follow the output of `node` through nodes that `passes(node, module)` lets by; the first that isn't.

    None where the way forks.
    """
    node = sole_user(node)
    while node is not None and passes(node, layer(model, node)):
        node = sole_user(node)
    return node


def calls(graph, name):
    """How many nodes of `graph` call the module `name`."""
    return sum(node.op == "call_module" and node.target == name for node in graph.nodes)
