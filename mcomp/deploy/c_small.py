"""The small file inside a C program: its bytes, the shapes of its tensors, the memory that decoding takes."""

import copy
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mcomp.arrays import bad_value
from mcomp.codecs.attachment import bake
from mcomp.coding.adaptive_mask import TURNED, matrix_shape
from mcomp.coding.bits import Reader
from mcomp.coding.positions import decode_mask
from mcomp.deploy.c_text import array
from mcomp.deploy.checks import integers_of
from mcomp.file.container import read, save
from mcomp.integer.steps import Product
from mcomp.structure import fold_batchnorm

__all__ = ["SmallFile", "small_file"]

LEAVES = ("weight", "bias")
SPARSE, CODEBOOK, PLANES, ADAPTIVE = 1, 2, 1, 4  # in the first byte of a code, of numbers, of a mask
LARGEST = np.float32(1 - 2**-22) * np.finfo(np.float32).max / np.float32(127)  # a scale, as of a grid


@dataclass(frozen=True)
class SmallFile:
    """A file of mcomp: its bytes, its `digest`, the shapes (axes, 4 sizes) of its tensors by name."""

    data: bytes
    digest: bytes
    shapes: dict
    memory: int

    def head(self):
        """The file and its tables in C."""
        digest = "".join(f"\\{b:03o}" for b in self.digest)
        rows = [f"{{ {axes}, {{ {', '.join(map(str, sizes))} }} }}" for axes, *sizes in self.shapes.values()]
        return "\n".join([
            f"#define NETWORK_FILE_BYTES {len(self.data)}",
            f"#define NETWORK_MEMORY {self.memory}  // bytes that decoding takes",
            f"#define NETWORK_TENSORS {len(self.shapes)}",
            f'#define NETWORK_DIGEST "{digest}"',
            f"#define NETWORK_LARGEST_SCALE {float(LARGEST).hex()}f", "",
            "typedef struct { uint32_t axes, axis[4]; } shape;",
            f"static const shape NETWORK_SHAPES[] = {{ {', '.join(rows)} }};",
            array("uint8_t", "NETWORK_FILE", self.data), "",
        ])  # fmt: skip

    def layers(self, network):
        """The table of what is decoded to which layer."""
        rows, names = [], [*self.shapes]
        for i, step in enumerate(network.steps):
            if isinstance(step.run, Product):
                out, size = len(step.run.weight), step.run.weight[0].numel()
                at = [names.index(f"{step.name}.{x}") if f"{step.name}.{x}" in names else -1 for x in LEAVES]
                steps = f"{float(step.run.source.scale).hex()}f, {float(step.grid.scale).hex()}f"
                rows.append(f"    {{ w{i}, b{i}, m{i}, s{i}, {out}, {size}, {at[0]}, {at[1]}, {steps} }},")
        return "\n".join(["static const layer LAYERS[] = {", *rows, "};", ""])


def small_file(model, calibration, example):
    """The integer network of `model` with its batch norm folded, and the `SmallFile` of the same weights."""
    if not isinstance(model, torch.nn.Module):
        allowed = "a torch.nn.Module: its float weights are what is entropy coded"
        raise bad_value("the model", type(model).__name__, allowed)
    plain = fold_batchnorm(bake(copy.deepcopy(model)), x=example)
    network, state = integers_of(plain, calibration), plain.state_dict()
    _check_layers(network, state)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "small.safetensors")
        save(plain, path, progress=False)
        contents, data = read(path, max_bytes=path.stat().st_size), path.read_bytes()
        parts = {name: contents.part(i) for i, name in enumerate(state)}
    shapes = {name: _axes(tuple(x.shape)) for name, x in state.items()}
    rooms = [_room(parts[name], tuple(x.shape)) for name, x in state.items() if x.dtype == torch.float32]
    biases = max(4 * len(x) for x in state.values() if x.ndim)
    return network, SmallFile(data, contents.digest, shapes, 256 + biases + max(rooms))


def _check_layers(network, state):
    """ValueError with the layer's name, unless the file has its weights under that name, in float32."""
    if not any(isinstance(step.run, Product) for step in network.steps):
        raise bad_value("the model has", "no layer with weights", "one at least, to be decoded")
    for step in network.steps:
        if isinstance(step.run, Product):
            weight = state.get(f"{step.name}.weight")
            found = "no weight of its own" if weight is None else str(weight.dtype)
            if found != "torch.float32":
                raise bad_value(f"what the layer {step.name!r} has", found, "a weight in float32, used once")


def _axes(shape):
    """The number of axes and four sizes, of a shape as masks take it."""
    if len(shape) > 4:
        shape = shape[0], math.prod(shape[1:])
    shape = shape or (1,)
    return (len(shape), *shape, *[1] * (4 - len(shape)))


def _room(data, shape):
    """Bytes of memory that the decoder in C takes for a tensor, or a few more."""
    reader, n = Reader(data), math.prod(shape)
    tag, kept, mask, held = reader.byte(), n, 0, 0
    if tag == SPARSE:
        part = reader.read(reader.varint(reader.left()))
        axes, *sizes = _axes(shape)
        kept, held = int(decode_mask(part, sizes[:axes]).sum()), n / 8
        mask, tag = _room_of_mask(part, sizes[:axes], n), reader.byte()
    if tag == CODEBOOK:
        k = reader.varint(65536)
        table = reader.read(reader.varint(reader.left()))
        return int(held + max(mask, _room_of_numbers(table, k) + _room_of_symbols(kept, k)))
    return int(held + max(mask, _room_of_numbers(reader.rest(), kept)))


def _room_of_mask(part, shape, n):
    rows, columns = matrix_shape(shape)
    if part[0] & 7 != ADAPTIVE:
        return rows + columns + _room_of_symbols(0, 64) + _room_of_lanes(n)
    if len(shape) == 1:
        columns = math.isqrt(columns - 1) + 1
    return 128 + 46 * (rows if part[0] & TURNED else columns)


def _room_of_numbers(data, n):
    if not data or data[0] == 0:
        return 0
    if data[0] == PLANES:
        return 3 * n + _room_of_symbols(n, 256)
    reader = Reader(data[1:])
    return _room_of_symbols(n, reader.varint(65536))


def _room_of_symbols(n, alphabet):
    """The symbols, and the tables of whatever code they are in."""
    return 512 + n * (2 if alphabet > 256 else 1) + 16 * alphabet + _room_of_lanes(n)


def _room_of_lanes(n):
    return 8 * max(1, n >> 16, n // 500)
