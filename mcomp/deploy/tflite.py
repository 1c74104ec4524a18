"""An integer network as a .tflite file, written operator by operator: its integers, scales and zero points.

No converter takes part, so nothing is calibrated. The format wants images with channels last, weights int8
with a scale for each output channel, and biases int32: the network of `mcomp.integer` has the same.
"""

import flatbuffers
import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema

from mcomp.arrays import bad_value
from mcomp.integer.steps import Average, Largest, Product, Rectify, Sum
from mcomp.plain import naming
from mcomp.quantize.grids import Grid

__all__ = ["tflite"]

LAST, FIRST = (0, 2, 3, 1), (0, 3, 1, 2)  # the axes of images, channels last, and back
KINDS = {
    np.dtype("float32"): schema.TensorType.FLOAT32,
    np.dtype("int8"): schema.TensorType.INT8,
    np.dtype("int32"): schema.TensorType.INT32,
}
VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 12}  # int8, a scale for each channel
VERSIONS |= dict.fromkeys(("RESHAPE", "PADV2", "QUANTIZE"), 1)  # all others: 2


def tflite(network, shape):
    """The bytes of the file: images (n, ...) in, logits out, both floats.

    Parameters
    ----------
    network : IntegerNetwork
        Of 8 bits.
    shape : sequence
        Of a batch: the file takes batches of this size only.

    Raises
    ------
    ValueError
        By the step's name, if its grid has fewer than 8 bits or the format has no operator for it.
    """
    for name, grid in (("input", network.grid), *((step.name, step.grid) for step in network.steps)):
        if (grid.qmin, grid.qmax) != (-128, 127):
            raise bad_value(f"the grid of {name}", (grid.qmin, grid.qmax), "(-128, 127), 8 bits")
    writer = _Writer(network, tuple(shape))
    for step in network.steps:
        with naming(step.name):
            writer.step(step)
    return writer.file()


class _Writer:
    """`held`: of each tensor of the network, its place in the file; images have their channels last there."""

    def __init__(self, network, shape):
        self.tensors, self.buffers, self.operators, self.codes = [], [schema.BufferT()], [], []
        zeros = torch.full(shape, network.grid.zero_point, dtype=torch.int8)
        self.shapes = {name: tuple(q.shape) for name, q in network.run(zeros).items()}
        self.grids = {"input": network.grid, **{step.name: step.grid for step in network.steps}}
        self.first = self._tensor("images", shape, np.float32)
        q = self._tensor("input", shape, np.int8, self.grids["input"])
        self._add("QUANTIZE", [self.first], q)
        self.held = {"input": self._turned(q, "input", LAST)}
        self.last = network.steps[-1].name

    def step(self, step):
        """One operation."""
        run, sources = step.run, [self.held[name] for name in step.inputs]
        if isinstance(run, Product):
            result = self._product(step, sources[0])
        elif isinstance(run, Sum):
            result = self._result(step)
            self._add("ADD", sources, result, "AddOptions")
        elif isinstance(run, Rectify):
            result = self._rectified(step, sources[0])
        elif isinstance(run, Average):
            result = self._averaged(step, sources[0])
        elif isinstance(run, Largest):
            result = self._largest(step, sources[0])
        else:
            result = self._reshaped(step, sources[0])
        self.held[step.name] = result

    def file(self):
        """The whole as bytes."""
        result = self._turned(self.held[self.last], self.last, FIRST)
        logits = self._tensor("logits", self.shapes[self.last], np.float32)
        self._add("DEQUANTIZE", [result], logits)
        graph = schema.SubGraphT(
            tensors=self.tensors, operators=self.operators, inputs=[self.first], outputs=[logits]
        )
        codes = [
            schema.OperatorCodeT(min(code, 127), None, VERSIONS.get(name, 2), code)
            for name, code in ((name, getattr(schema.BuiltinOperator, name)) for name in self.codes)
        ]
        model = schema.ModelT(3, codes, [graph], "mcomp", self.buffers)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _product(self, step, source):
        run, w = step.run, step.run.weight.numpy().astype(np.int8)
        name, options, axis = "FULLY_CONNECTED", {}, 0
        if run.options is not None:
            name, w, options, axis = _convolution(w, run.options)
            source = self._padded(step, source, run.options["padding"], self.grids[step.inputs[0]].zero_point)
        scales = Grid(run.scale.numpy(), np.zeros(len(run.scale), int), -127, 127)
        units = Grid(np.float32(run.source.scale) * run.scale.numpy(), scales.zero_point, -127, 127)
        weight = self._constant(f"{step.name}.weight", w, scales, axis)
        bias = self._constant(f"{step.name}.bias", run.bias.numpy().astype(np.int32), units)
        result = self._result(step)
        kind = {"FULLY_CONNECTED": "FullyConnected", "CONV_2D": "Conv2D"}.get(name, "DepthwiseConv2D")
        self._add(name, [source, weight, bias], result, f"{kind}Options", **options)
        return result

    def _padded(self, step, source, padding, value):
        if not padding:
            return source
        n, height, width, channels = self.tensors[source].shape
        shape = n, height + 2 * padding, width + 2 * padding, channels
        sides = np.array([[0, 0], [padding] * 2, [padding] * 2, [0, 0]], np.int32)
        sides = self._constant(f"{step.name}.sides", sides)
        grid = self.grids[step.inputs[0]]
        filled = self._constant(f"{step.name}.fill", np.array([value], np.int8), grid)
        result = self._tensor(f"{step.name}.padded", shape, np.int8, grid)
        self._add("PADV2", [source, sides, filled], result, "PadV2Options")
        return result

    def _rectified(self, step, source):
        if step.run.zero_point == step.grid.qmin:  # what is below 0 was clipped to the grid before
            return source
        result = self._result(step)
        self._add("RELU", [source], result)
        return result

    def _averaged(self, step, source):
        axes, kept = self._constant(f"{step.name}.axes", np.array([1, 2], np.int32)), len(step.run.shape) == 3
        result = self._result(step)
        self._add("MEAN", [source, axes], result, "ReducerOptions", keepDims=kept)
        return result

    def _largest(self, step, source):
        run = step.run
        source = self._padded(step, source, run.padding, -128)
        sizes = {"filterHeight": run.kernel[0], "filterWidth": run.kernel[1]}
        sizes |= {"strideH": run.stride, "strideW": run.stride, "padding": schema.Padding.VALID}
        result = self._result(step)
        self._add("MAX_POOL_2D", [source], result, "Pool2DOptions", **sizes)
        return result

    def _reshaped(self, step, source):
        before, after = self.shapes[step.inputs[0]], self.shapes[step.name]
        if before == after:
            return source
        source = self._turned(source, step.inputs[0], FIRST)
        return self._turned(self._shaped(step.name, source, after), step.name, LAST)

    def _turned(self, source, name, axes):
        """Images with their channels last, or first again; what has one of them or one position just so."""
        shape = self.tensors[source].shape
        if len(shape) != 4:
            return source
        shape = [shape[axis] for axis in axes]
        if self.shapes[name][1] == 1 or self.shapes[name][2:] == (1, 1):
            return self._shaped(name, source, shape)
        order = self._constant(f"{name}.order", np.array(axes, np.int32))
        result = self._tensor(f"{name}.turned", shape, np.int8, self.grids[name])
        self._add("TRANSPOSE", [source, order], result, "TransposeOptions")
        return result

    def _shaped(self, name, source, shape):
        to = self._constant(f"{name}.shape", np.array(shape, np.int32))
        result = self._tensor(f"{name}.shaped", shape, np.int8, self.grids[name])
        self._add("RESHAPE", [source, to], result, "ReshapeOptions", newShape=list(shape))
        return result

    def _result(self, step):
        shape = self.shapes[step.name]
        shape = [shape[axis] for axis in LAST] if len(shape) == 4 else shape
        return self._tensor(step.name, shape, np.int8, step.grid)

    def _constant(self, name, value, grid=None, axis=0):
        self.buffers.append(schema.BufferT(data=np.frombuffer(value.tobytes(), np.uint8)))
        return self._tensor(name, value.shape, value.dtype, grid, axis, len(self.buffers) - 1)

    def _tensor(self, name, shape, kind, grid=None, axis=0, buffer=0):
        lots = None
        if grid is not None:
            scale, zero = np.atleast_1d(np.float32(grid.scale)), np.atleast_1d(grid.zero_point)
            zero = zero.astype(np.int64)
            lots = schema.QuantizationParametersT(scale=scale, zeroPoint=zero, quantizedDimension=axis)
        shape = [int(size) for size in shape]
        self.tensors.append(schema.TensorT(shape, KINDS[np.dtype(kind)], buffer, name, lots))
        return len(self.tensors) - 1

    def _add(self, name, inputs, output, kind="NONE", **options):
        if name not in self.codes:
            self.codes.append(name)
        made = getattr(schema, f"{kind}T")(**options) if kind != "NONE" else None
        number = getattr(schema.BuiltinOptions, kind)
        self.operators.append(schema.OperatorT(self.codes.index(name), inputs, [output], number, made))


def _convolution(w, options):
    """The operator, the weights as it wants them, its attributes, and the axis of the output channels."""
    groups, sizes = options["groups"], {"padding": schema.Padding.VALID}
    sizes |= {"strideH": options["stride"], "strideW": options["stride"]}
    if groups == 1:
        return "CONV_2D", np.ascontiguousarray(w.transpose(0, 2, 3, 1)), sizes, 0
    if w.shape[1] != 1:
        raise bad_value("the groups of a convolution", groups, "1, or one for each input channel")
    sizes["depthMultiplier"] = len(w) // groups
    return "DEPTHWISE_CONV_2D", np.ascontiguousarray(w.transpose(1, 2, 3, 0)), sizes, 3
