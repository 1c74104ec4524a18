"""An integer network as an ONNX graph of float operations between Q and DQ pairs, with the scales of mcomp.

QuantizeLinear and DequantizeLinear stand around each operation; an engine that knows the pattern runs it in
integers, any other in floats. The scales and zero points are those of `mcomp.integer`: no engine calibrates.
A pair also stands where an operation only moves numbers: without them ONNX Runtime leaves floats around it.
Derived in chapters/17_running_it_elsewhere.ipynb.
"""

import numpy as np

from mcomp.deploy.graph import Graph, flattened, meant, multiplied, on_grid, pooled, stored
from mcomp.deploy.tidy import tidy
from mcomp.integer.steps import Average, Largest, Product, Rectify, Reshape, Sum

__all__ = ["qdq"]


def qdq(network, shape, *, kind="uint8", integer_bias=True, tidied=True):
    """The ONNX model of an integer network: images in, logits out, both floats.

    Parameters
    ----------
    network : IntegerNetwork
    shape : sequence
        Of a batch of images; the first entry is not read.
    kind : "uint8" or "int8"
        How activations are stored. Weights are int8, symmetric, a scale for each output channel.
    integer_bias : bool
        Whether biases are int32 behind a DQ, as ONNX Runtime and OpenVINO want them, or floats, as TensorRT.
    tidied : bool
        Whether steps that do nothing are left out, see `mcomp.deploy.tidy`.

    Returns
    -------
    model : onnx.ModelProto
    """
    network = tidy(network, shape) if tidied else network
    writer = _Writer(network, kind, integer_bias)
    for step in network.steps:
        writer.step(step)
    last = network.steps[-1]
    source = writer.numbers(last.name, f"{last.name}.out")
    writer.graph.add("Identity", [source], "logits")
    return writer.graph.proto(shape, writer.rank(shape))


class _Writer:
    """`held`: of each tensor of the network, the name of its integers in the graph, and its grid."""

    def __init__(self, network, kind, integer_bias):
        self.graph, self.kind, self.integer_bias = Graph(), kind, integer_bias
        self.network, self.users = network, {}
        for step in network.steps:
            for name in step.inputs:
                self.users.setdefault(name, []).append(step)
        grid = stored(network.grid, kind)
        self.held = {"input": (on_grid(self.graph, "input", "input", grid, kind), grid)}
        self.waiting = {}  # what goes through a ReLU before it is rounded: the same, for 0 is on the grid

    def rank(self, shape):
        """How many axes the result has."""
        for step in reversed(self.network.steps):
            if isinstance(step.run, Product):
                return 2 if step.run.options is None else 4
            if isinstance(step.run, (Reshape, Average)):
                return 1 + len(step.run.shape)
        return len(shape)

    def numbers(self, tensor, name):
        """A tensor of the network as floats."""
        source, grid = self.held[tensor]
        return meant(self.graph, name, source, grid, self.kind)

    def step(self, step):
        """One operation: DQ, the operation, Q."""
        name, grid = step.name, stored(step.grid, self.kind)
        if isinstance(step.run, Rectify) and step.inputs[0] in self.waiting:
            result = self.graph.add("Relu", [self.waiting[step.inputs[0]]], name)
        else:
            sources = [self.numbers(tensor, f"{name}.{i}") for i, tensor in enumerate(step.inputs)]
            result = self._operation(name, sources, step.run)
        users = self.users.get(name, [])
        if len(users) == 1 and isinstance(users[0].run, Rectify):
            self.waiting[name] = result
        else:
            self.held[name] = on_grid(self.graph, name, result, grid, self.kind), grid

    def _operation(self, name, sources, run):
        if isinstance(run, Product):
            return multiplied(self.graph, name, [*sources, *self._weights(name, run)], _sizes(run))
        if isinstance(run, Sum):
            return self.graph.add("Add", sources, name)
        if isinstance(run, Rectify):
            return self.graph.add("Relu", sources, name)
        if isinstance(run, Average):
            mean = self.graph.add("GlobalAveragePool", sources, f"{name}.mean")
            return flattened(self.graph, name, mean, run.shape)
        if isinstance(run, Largest):
            both = {"stride": [run.stride] * 2, "padding": [run.padding] * 2}
            return pooled(self.graph, name, sources[0], kernel=run.kernel, **both)
        return flattened(self.graph, name, sources[0], run.shape)

    def _weights(self, name, run):
        """Weight and bias as floats."""
        weight, scale = run.weight.numpy().astype(np.int8), run.scale.numpy()
        held = self.graph.constants(f"{name}.weight", q=weight, s=scale, z=np.zeros(len(weight), np.int8))
        weight = self.graph.add("DequantizeLinear", held, f"{name}.weight", axis=0)
        bias, scale = run.bias.numpy(), np.float32(run.source.scale) * scale
        if not self.integer_bias:
            return weight, *self.graph.constants(name, bias=(bias * scale.astype(float)).astype(np.float32))
        held = self.graph.constants(f"{name}.bias", q=bias, s=scale, z=np.zeros(len(bias), np.int32))
        return weight, self.graph.add("DequantizeLinear", held, f"{name}.bias", axis=0)


def _sizes(run):
    """The attributes of a convolution; None of a linear layer."""
    if run.options is None:
        return None
    stride, padding, groups = (run.options[key] for key in ("stride", "padding", "groups"))
    return {"strides": [stride] * 2, "pads": [padding] * 4, "group": groups}
