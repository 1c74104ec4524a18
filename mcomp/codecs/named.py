"""A `Code` of any kind as bytes: its arrays by name, each coded by itself.

All that codes is a generator for `mcomp.coding.batch`.

The three oldest kinds have layouts of their own in mcomp/codecs/codes.py; every other one is written so.
A symbol array is its count, its least symbol, the number of symbols from there on, and the stream of what
remains; a float array its dtype, shape and stream; a code within a code its shape and bytes.
"""

import math

import numpy as np

from mcomp.arrays import bad_value
from mcomp.coding.bits import CorruptFileError, varint
from mcomp.coding.floats import pack_floats_steps, unpack_floats_steps
from mcomp.coding.streams import pack_symbols_steps, unpack_symbols_steps

__all__ = ["NAMES", "name_bytes", "read_arrays", "read_name", "symbol_bytes", "value_bytes"]

# In a file these names are one byte, their place here: the order is part of the format, add at the end.
NAMES = (
    "uniform", "binary", "ternary", "power_of_two", "minifloat", "lowrank", "product",
    "q", "scale", "zero_point", "group", "axis", "bits", "sign", "signs", "exponent", "index", "values",
    "factors", "rank", "centroids", "positions", "threshold", "mantissa", "qmin", "qmax", "shape",
    "exponents", "shared", "offset", "format", "levels", "symmetric", "u", "v", "s", "normal_float",
)  # fmt: skip
SPELLED = 255
DTYPES = ("<f4", "<f8", "<f2", "<u2", "|u1", "|b1")
NESTED = 255
MAX_SYMBOLS = 65_536


def name_bytes(name):
    """A name: its place in `NAMES`, or spelled out."""
    if name in NAMES:
        return bytes([NAMES.index(name)])
    text = name.encode("ascii")
    return bytes([SPELLED]) + varint(len(text)) + text


def read_name(reader):
    """Inverse of `name_bytes`."""
    place = reader.byte()
    if place < len(NAMES):
        return NAMES[place]
    if place != SPELLED:
        raise CorruptFileError(f"name {place}; allowed: 0 to {len(NAMES) - 1}, {SPELLED}")
    text = reader.read(reader.varint(64))
    try:
        return text.decode("ascii")
    except UnicodeDecodeError:
        raise CorruptFileError(f"the name {text!r} is not ASCII") from None


def symbol_bytes(symbols, *, quick=False):
    """An integer array (n,) of a code."""
    if symbols.size == 0:
        return varint(0)
    low = int(symbols.min())
    span = int(symbols.max()) - low + 1
    if span > MAX_SYMBOLS:
        raise bad_value("the range of the symbols", span, f"1 to {MAX_SYMBOLS}")
    data = yield from pack_symbols_steps(symbols.astype(np.int64) - low, span, quick=quick)
    zigzag = 2 * low if low >= 0 else -2 * low - 1
    return varint(symbols.size) + varint(zigzag) + varint(span) + varint(len(data)) + data


def value_bytes(x, *, quick=False):
    """A float array of a code."""
    stored = x.dtype.newbyteorder("<").str
    if stored not in DTYPES:
        raise bad_value("the dtype of a code's numbers", str(x.dtype), f"one of {', '.join(DTYPES)}")
    shape = bytes([x.ndim]) + b"".join(map(varint, x.shape))
    data = yield from pack_floats_steps(x, quick=quick)
    return bytes([DTYPES.index(stored)]) + shape + varint(len(data)) + data


def read_arrays(reader, budget, nested):
    """The symbols and the floats of a code, both by name; together at most `budget` numbers.

    `nested(reader, shape, budget)` reads a code within the code.
    """
    symbols, floats = {}, {}
    for _ in range(reader.byte(16)):
        name = read_name(reader)
        symbols[name] = yield from _read_symbols(reader, budget)
        budget -= symbols[name].size
        reader.mark()
    for _ in range(reader.byte(16)):
        name, dtype = read_name(reader), reader.byte()
        shape = _read_shape(reader, budget)
        part = type(reader)(reader.read(reader.varint(reader.left())))
        if dtype == NESTED:
            floats[name] = yield from nested(part, shape, budget)
        else:
            x = yield from unpack_floats_steps(part.rest(), math.prod(shape), _dtype(dtype))
            floats[name] = x.reshape(shape)
        budget -= math.prod(shape)
        reader.mark()
    reader.end()
    if not symbols and not floats:
        reader.mark()
    return symbols, floats


def _read_symbols(reader, budget):
    n = reader.varint(budget)
    if n == 0:
        return np.zeros(0, np.int64)
    zigzag, span = reader.varint(1 << 33), reader.varint(MAX_SYMBOLS)
    if span == 0:
        raise CorruptFileError(f"no symbols for {n} numbers")
    low = zigzag // 2 if zigzag % 2 == 0 else -(zigzag // 2) - 1
    data = reader.read(reader.varint(reader.left()))
    return (yield from unpack_symbols_steps(data, n, span)).astype(np.int64) + low


def _read_shape(reader, budget):
    shape = tuple(reader.varint(budget) for _ in range(reader.byte(8)))
    if math.prod(shape) > budget:
        raise CorruptFileError(f"an array of shape {shape}; allowed: {budget} numbers")
    return shape


def _dtype(place):
    if place >= len(DTYPES):
        raise CorruptFileError(f"dtype {place}; allowed: 0 to {len(DTYPES) - 1}")
    return np.dtype(DTYPES[place])
