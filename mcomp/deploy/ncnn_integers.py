"""An integer network as ncnn's two files: layers with int8 weights, and a scale for each output channel.

A layer of ncnn that has scales rounds what it reads to int8 itself, adds products up in int32, and gives
floats. So the grids of weights and inputs are mcomp's; where an addition or a mean reads, at the end, and on
grids of fewer bits, four layers round a tensor. ncnn's Winograd kernels add in 16 bits, where weights of 8
bits overflow: each convolution of the file says that it wants none (feature mask 64).
"""

import numpy as np

from mcomp.arrays import bad_value
from mcomp.integer.steps import Average, Largest, Product, Rectify, Reshape, Sum
from mcomp.plain import naming

__all__ = ["input_line", "integers"]

MAGIC = "7767517"
INT8 = (0x000D4B38).to_bytes(4, "little")  # in front of numbers of a byte each
MULTIPLY, ROUND, NO_WINOGRAD = 2, 18, 64


def integers(network, shape):
    """The text of the .param file and the bytes of the .bin file of a network of integers.

    Parameters
    ----------
    network : IntegerNetwork
        Every zero point 0.
    shape : tuple
        Of an image.

    Returns
    -------
    param : str
    weights : bytes
    """
    writer = _Writer(network)
    for step in network.steps:
        with naming(step.name):
            writer.step(step)
    last = network.steps[-1]
    writer.rounded(writer.read(last.name), last.grid, "out0")
    lines = [input_line(shape), *writer.lines]
    return f"{MAGIC}\n{len(lines)} {writer.blobs}\n{''.join(lines)}", b"".join(writer.weights)


def input_line(shape):
    """The line of the images, with their shape: width, height, channels.

    Examples
    --------
    >>> input_line((1, 28, 14))
    'Input in0 0 1 in0 0=14 1=28 2=1\\n'
    """
    return _line("Input", "in0", [], ["in0"], dict(enumerate(reversed(shape))))


def _line(kind, name, sources, results, options):
    words = [kind, name, len(sources), len(results), *sources, *results]
    return " ".join(map(str, [*words, *(f"{key}={value}" for key, value in options.items())])) + "\n"


class _Writer:
    """`copies`: of each tensor of the network, the names of the copies that are still to be read."""

    def __init__(self, network):
        self.lines, self.weights, self.blobs, self.users = [], [], 1, {}
        for step in network.steps:
            for name in step.inputs:
                self.users.setdefault(name, []).append(step)
        self.users.setdefault(network.steps[-1].name, []).append(None)
        self.copies = {}
        self.hold("input", "in0")

    def add(self, kind, sources, result, options):
        """A layer; its name is that of its result."""
        self.lines.append(_line(kind, result, sources, [result], options))
        self.blobs += 1
        return result

    def hold(self, tensor, blob):
        """A tensor of the network is this blob, copied if several read it: a blob of ncnn has one reader."""
        readers = len(self.users.get(tensor, []))
        copies = [blob] if readers < 2 else [f"{blob}.{i}" for i in range(readers)]
        if readers > 1:
            self.lines.append(_line("Split", f"{blob}.split", [blob], copies, {}))
            self.blobs += readers
        self.copies[tensor] = copies

    def read(self, tensor):
        return self.copies[tensor].pop()

    def rounded(self, blob, grid, result):
        """The numbers of a blob on a grid, as floats."""
        scale = float(np.float32(grid.scale))
        steps = self.add("BinaryOp", [blob], f"{result}.steps", {0: MULTIPLY, 1: 1, 2: f"{1 / scale:.9e}"})
        whole = self.add("UnaryOp", [steps], f"{result}.whole", {0: ROUND})
        limits = {i: f"{float(end):.1f}" for i, end in enumerate((grid.qmin, grid.qmax))}
        clipped = self.add("Clip", [whole], f"{result}.clipped", limits)
        return self.add("BinaryOp", [clipped], result, {0: MULTIPLY, 1: 1, 2: f"{scale:.9e}"})

    def step(self, step):
        """The layers of one operation."""
        run, name, sources = step.run, step.name.replace(" ", "_"), [self.read(t) for t in step.inputs]
        for i, grid in enumerate(_grids(run)):
            sources[i] = self.rounded(sources[i], grid, f"{name}.in{i}")
        kind, options = _layer(run)
        result = self.add(kind, sources, name, options)
        if isinstance(run, Product):
            self.weights += _weights(run)
        if isinstance(run, Average) and len(run.shape) > 1:
            result = self.add("Reshape", [result], f"{name}.shape", _sizes(run.shape))
        self.hold(step.name, result)


def _grids(run):
    """The grids that an operation needs its inputs rounded to."""
    if isinstance(run, Sum):
        return run.sources
    if isinstance(run, Average):
        return [run.source]
    clips = isinstance(run, Product) and (run.source.qmin, run.source.qmax) != (-128, 127)
    return [run.source] if clips else []  # a layer with scales rounds to all of int8 itself


def _layer(run):
    """The kind of layer of an operation, and its parameters by number."""
    if isinstance(run, Product):
        return _product(run)
    if isinstance(run, Sum):
        return "BinaryOp", {0: 0}
    if isinstance(run, Rectify):
        return "ReLU", {}
    if isinstance(run, Average):
        return "Pooling", {0: 1, 4: 1}
    if isinstance(run, Largest):
        (height, width), s, p = run.kernel, run.stride, run.padding
        return "Pooling", {0: 0, 1: width, 11: height, 2: s, 12: s, 3: p, 13: p, 14: p, 15: p, 5: 1}
    if isinstance(run, Reshape):
        return "Reshape", _sizes(run.shape)
    raise bad_value("a step", type(run).__name__, "one of mcomp.integer.steps")


def _product(run):
    out, size = len(run.weight), run.weight.numel()
    if run.options is None:
        return "InnerProduct", {0: out, 1: 1, 2: size, 8: 2}
    (height, width), stride, padding = run.weight.shape[2:], run.options["stride"], run.options["padding"]
    options = {0: out, 1: width, 11: height, 3: stride, 13: stride, 4: padding, 14: padding, 5: 1, 6: size}
    if run.options["groups"] == 1:
        return "Convolution", {**options, 8: 2, 31: NO_WINOGRAD}
    if run.options["groups"] != out:
        raise bad_value("the groups of a convolution", run.options["groups"], f"1 or {out}, its outputs")
    return "ConvolutionDepthWise", {**options, 7: out, 8: 1, 31: NO_WINOGRAD}


def _sizes(shape):
    if not 1 <= len(shape) <= 3:
        raise bad_value("the shape of an image", shape, "one to three axes")
    return dict(enumerate(reversed(shape)))


def _weights(run):
    """Integers, biases as floats, how many steps a weight of 1 is, how many an input of 1."""
    whole = run.weight.numpy().astype(np.int8).tobytes()
    scale = run.scale.numpy().astype(float)
    numbers = run.bias.numpy() * (scale * run.source.scale), 1 / scale, [1 / run.source.scale]
    floats = [np.asarray(part, "<f4").tobytes() for part in numbers]
    return [INT8, whole, bytes(-len(whole) % 4), *floats]
