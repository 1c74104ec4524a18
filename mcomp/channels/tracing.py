"""The graph of a network on one input: every operation with the shape of what it makes.

Unlike `mcomp.trace.trace`, the trace runs along with data: a proxy knows the tensor that it stands for, so
that sizes are numbers, which code may unpack, subtract and compare. A number that came from a tensor's shape
is a `Size`, so that a rule can tell it from one that is written in the code.
"""

import copy
import inspect
import operator

import torch
from torch import fx, nn

from mcomp.arrays import bad_value
from mcomp.calling import arguments
from mcomp.trace import Tracer, untraceable

__all__ = ["Size", "trace_shapes"]

# What tells a number that depends on the data, not on its shape; and what makes none.
_READS = ("item", "tolist", "equal", "allclose", "is_nonzero", torch.equal, torch.allclose, torch.is_nonzero,
          operator.setitem)  # fmt: skip
# Layers of torch that hold layers.
TRANSFORMERS = (nn.TransformerEncoder, nn.TransformerEncoderLayer, nn.TransformerDecoder,
                nn.TransformerDecoderLayer, nn.Transformer)  # fmt: skip
_PLAIN = (int, float, bool, str, torch.dtype, torch.device, torch.layout, type(None))


class Size(int):
    """A number that follows the network when channels go, as it is computed from a tensor's shape."""


def _sized(name):
    plain = getattr(int, name)

    def method(self, *others):
        result = plain(self, *others)
        return Size(result) if type(result) is int else result

    return method


for _name in ("add", "sub", "mul", "floordiv", "mod", "neg"):
    setattr(Size, f"__{_name}__", _sized(f"__{_name}__"))
    if _name != "neg":
        setattr(Size, f"__r{_name}__", _sized(f"__r{_name}__"))


class _Known(fx.Proxy):
    """Stands for a tensor, or a tuple of some, that is known."""

    def __init__(self, node, tracer, value):
        super().__init__(node, tracer)
        self.value = value

    def __getattr__(self, name):
        found = getattr(self.value, name)
        if isinstance(found, torch.Tensor):  # x.T
            return self.tracer.create_proxy("call_function", getattr, (self, name), {})
        return fx.proxy.Attribute(self, name) if callable(found) else _follows(found)

    def __setitem__(self, items, value):
        self.tracer.create_proxy("call_function", operator.setitem, (self, items, value), {})

    def __len__(self):
        return Size(len(self.value))

    def __iter__(self):
        return iter([self[i] for i in range(len(self.value))])


def _follows(value):
    """Numbers, of a shape for instance, as `Size`."""
    if type(value) is int:
        return Size(value)
    return type(value)([_follows(v) for v in value]) if type(value) in (tuple, torch.Size) else value


class _Shapes(Tracer):
    """Traces a network while it runs on `given`, a dict from the names of forward's parameters."""

    proxy_buffer_attributes = True

    def __init__(self, leaves, given):
        super().__init__(leaves)
        self.given, self.running = given, False

    def is_leaf_module(self, module, name):
        inside = isinstance(module, TRANSFORMERS) and type(module) not in self.leaves
        return not inside and super().is_leaf_module(module, name)

    def getattr(self, attr, attr_val, parameter_proxy_cache):
        return attr_val if self.running else super().getattr(attr, attr_val, parameter_proxy_cache)

    def call_module(self, m, forward, args, kwargs):
        return forward(*args, **kwargs) if self.running else super().call_module(m, forward, args, kwargs)

    def create_arg(self, a):
        try:
            return super().create_arg(a)
        except NotImplementedError:  # an object of the network's own, such as what it returns
            return super().create_arg(vars(a))

    def create_proxy(self, kind, target, args, kwargs, *rest, **options):
        value = self._run(kind, target, *_values((args, kwargs)))
        asks = kind in ("placeholder", "call_function", "call_method") and target not in _READS
        if asks and _is_plain(value):
            return value if kind == "placeholder" else _follows(value)
        node = super().create_proxy(kind, target, args, kwargs, *rest, **options).node
        node.meta["shape"] = tuple(value.shape) if isinstance(value, torch.Tensor) else None
        return _Known(node, self, value)

    def _run(self, kind, target, args, kwargs):
        self.running = True  # what a real layer calls on the way isn't traced
        try:
            with torch.no_grad():
                return self._result(kind, target, args, kwargs)
        finally:
            self.running = False

    def _result(self, kind, target, args, kwargs):
        if kind == "placeholder":
            return self.given[target.lstrip("*")]
        if kind == "get_attr":
            return operator.attrgetter(target)(self.root)
        if kind == "call_method":
            return getattr(args[0], target)(*args[1:], **kwargs)
        function = self.root.get_submodule(target) if kind == "call_module" else target
        return None if kind == "output" else function(*args, **kwargs)


def _values(tree):
    """What the proxies in a nest of arguments stand for."""
    if isinstance(tree, _Known):
        return tree.value
    if isinstance(tree, dict):
        return {key: _values(value) for key, value in tree.items()}
    if isinstance(tree, slice):
        return slice(*map(_values, (tree.start, tree.stop, tree.step)))
    return type(tree)([_values(v) for v in tree]) if type(tree) in (tuple, list, torch.Size) else tree


def _is_plain(value):
    if isinstance(value, dict):
        return not value
    if isinstance(value, (tuple, list)):
        return all(map(_is_plain, value))
    return isinstance(value, _PLAIN)


def trace_shapes(model, x, leaves=()):
    """Trace `model` on `x`: each node of the graph knows the shape of its result.

    Returns
    -------
    graph : torch.fx.Graph
    closed : dict of module name to str
        What couldn't be looked into, and why. Modules of the classes `leaves` aren't either.
    """
    args, kwargs = copy.deepcopy(arguments(x))  # some networks write into what they get
    try:
        bound = inspect.signature(model.forward).bind(*args, **kwargs)
        bound.apply_defaults()
        tracer = _Shapes(leaves, bound.arguments)
        return tracer.trace(model), tracer.closed
    except Exception as error:
        raise _complaint(model, x, error) from None


def _complaint(model, x, error):
    """It is the input's fault if the network doesn't run on it."""
    args, kwargs = copy.deepcopy(arguments(x))
    try:
        with torch.no_grad():
            model(*args, **kwargs)
    except Exception as failure:
        found = f"of shape {tuple(x.shape)}" if isinstance(x, torch.Tensor) else type(x).__name__
        return bad_value("x", found, f"an input of this network ({failure})")
    return untraceable(model, error)
