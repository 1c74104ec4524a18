"""An integer network as a torch module of float operations between quantize and dequantize pairs.

The operators are torch's own (``quantized_decomposed``), which the exporters of other engines know: what lies
between two pairs, they run in integers. The scales and zero points are those of `mcomp.integer`.
"""

import torch
from torch import nn
from torch.ao.quantization.fx import _decomposed  # noqa: F401  registers the operators
from torch.nn import functional as F

from mcomp.integer.steps import Average, Largest, Product, Rectify, Sum

__all__ = ["Pairs"]

OPS = torch.ops.quantized_decomposed


class Pairs(nn.Module):
    """Images in, logits out, both floats.

    Parameters
    ----------
    network : IntegerNetwork

    Examples
    --------
    >>> from mcomp.integer import integer_network
    >>> layer, x = nn.Sequential(nn.Linear(3, 2)), torch.rand(40, 3)
    >>> network = integer_network(layer, x)
    >>> bool((Pairs(network)(x) - layer(x)).abs().max() < 0.1)
    True
    """

    def __init__(self, network):
        super().__init__()
        self.network = network
        for place, step in enumerate(network.steps):
            if isinstance(step.run, Product):
                self._keep(place, step.run)

    def _keep(self, place, run):
        held = {"weight": run.weight.to(torch.int8), "scale": run.scale.float()}
        held |= {"zero": torch.zeros(len(run.weight), dtype=torch.int64)}
        held |= {"bias": (run.bias.double() * run.source.scale * run.scale.double()).float()}
        for name, value in held.items():
            self.register_buffer(f"{name}{place}", value)

    def forward(self, x):
        grids, held = {"input": self.network.grid}, {"input": _rounded(x, self.network.grid)}
        for place, step in enumerate(self.network.steps):
            sources, grids[step.name] = [held[name] for name in step.inputs], step.grid
            if moves(step):  # the integers themselves
                held[step.name] = _moved(step.run, sources[0])
                continue
            meant = [_meant(q, grids[name]) for q, name in zip(sources, step.inputs, strict=True)]
            held[step.name] = _rounded(self._operation(place, step.run, meant), step.grid)
        return _meant(held[step.name], step.grid)

    def _operation(self, place, run, meant):
        if isinstance(run, Product):
            parts = (getattr(self, f"{name}{place}") for name in ("weight", "scale", "zero", "bias"))
            weight, scale, zero, bias = parts
            weight = OPS.dequantize_per_channel.default(weight, scale, zero, 0, -127, 127, torch.int8)
            if run.options is None:
                return F.linear(meant[0], weight, bias)
            return F.conv2d(meant[0], weight, bias, **run.options)
        if isinstance(run, Sum):
            return meant[0] + meant[1]
        if isinstance(run, Rectify):
            return F.relu(meant[0])
        if isinstance(run, Average):
            return meant[0].mean((-1, -2), keepdim=True)
        return F.max_pool2d(meant[0], run.kernel, run.stride, run.padding)


def moves(step):
    """Whether a step changes no integer: a reshaping, or a ReLU on a grid that begins at 0."""
    if isinstance(step.run, Rectify):
        return step.run.zero_point == step.grid.qmin
    return not isinstance(step.run, (Product, Sum, Average, Largest))


def _moved(run, q):
    # a reshaping that changes nothing would keep the engine from joining what is around it
    return q if isinstance(run, Rectify) or tuple(q.shape[1:]) == run.shape else q.reshape(len(q), *run.shape)


def _rounded(x, grid):
    return OPS.quantize_per_tensor.default(x, *_grid(grid))


def _meant(q, grid):
    return OPS.dequantize_per_tensor.default(q, *_grid(grid))


def _grid(grid):
    return float(grid.scale), int(grid.zero_point), int(grid.qmin), int(grid.qmax), torch.int8
