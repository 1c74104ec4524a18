"""A `Code` as bytes and back, stream by stream. Shape and dtype stay outside: the network knows them."""

import math
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from mcomp.arrays import array_namespace, is_torch_array, to_numpy
from mcomp.codecs import Code, decode
from mcomp.codecs.named import NESTED, name_bytes, read_arrays, read_name, symbol_bytes, value_bytes
from mcomp.codecs.stream import Stream, entropy_bits
from mcomp.coding.batch import run
from mcomp.coding.bits import CorruptFileError, Reader, varint
from mcomp.coding.entropy import entropy
from mcomp.coding.floats import pack_floats_steps, unpack_floats_steps
from mcomp.coding.positions import decode_mask_steps, encode_mask_steps
from mcomp.coding.streams import pack_symbols_steps, unpack_symbols_steps

__all__ = [
    "Effort", "code_from_bytes", "code_from_bytes_steps", "code_to_bytes", "code_to_bytes_steps",
    "numbers", "readable", "stream_rows", "streams",
]  # fmt: skip

PLAIN, SPARSE, CODEBOOK, NAMED = range(4)  # the tag, a code's first byte
DEPTH = 4  # codes within codes


def code_to_bytes(code):
    """The bytes of a code: those of its `streams`, one after the other.

    Examples
    --------
    >>> from mcomp.codecs import Sparse
    >>> code = Sparse(0.5).encode(np.array([3.0, -1.0, 0.5, -2.0], np.float32))
    >>> data = code_to_bytes(code)
    >>> len(data), decode(code_from_bytes(data, (4,), np.float32))
    (14, array([ 3.,  0.,  0., -2.], dtype=float32))
    """
    return run(code_to_bytes_steps(code))


@dataclass(frozen=True)
class Effort:
    """How hard to try: `quick` where a network is large; `masks` remembers those that were coded already."""

    quick: bool = False
    masks: dict = field(default_factory=dict)

    def mask_bytes(self, mask):
        key = mask.shape, np.packbits(mask).tobytes()
        if key not in self.masks:
            self.masks[key] = yield from encode_mask_steps(mask, quick=self.quick)
        return self.masks[key]


def code_to_bytes_steps(code, effort=None):
    """`code_to_bytes` as a generator for `mcomp.coding.batch.run_all`."""
    found = yield from _streams(code, effort or Effort())
    return b"".join(stream.data for stream in found)


def streams(code):
    """The streams of a code in the order of the file; the payload of a sparse code comes last."""
    return run(_streams(code, Effort()))


def _streams(code, effort):
    known = {"plain": _plain, "sparse": _sparse, "codebook": _codebook}
    return (yield from known.get(code.kind, _named)(code, effort))


def numbers(x):
    """An array of any library as a numpy array; bfloat16, which numpy lacks, as its bits in uint16."""
    if is_torch_array(x) and x.dtype == array_namespace(x).bfloat16:
        x = x.detach().view(array_namespace(x).uint16)
    return to_numpy(x)


def _plain(code, effort):
    values = numbers(code.floats["values"]).reshape(-1)
    data = bytes([PLAIN]) + (yield from pack_floats_steps(values, quick=effort.quick))
    return [Stream("values", values.size, data, lambda: entropy_bits(values))]


def _sparse(code, effort):
    positions, payload = numbers(code.symbols["positions"]), code.floats["values"]
    while isinstance(payload, Code) and payload.kind == "sparse":  # sparse within sparse is sparse
        positions = positions[numbers(payload.symbols["positions"])]
        payload = payload.floats["values"]
    if not isinstance(payload, Code):
        payload = Code("plain", positions.shape, floats={"values": payload})
    mask = np.zeros(_mask_shape(code.shape), bool)
    mask.reshape(-1)[positions] = True
    data, counts = (yield from effort.mask_bytes(mask)), [positions.size, mask.size - positions.size]
    data = bytes([SPARSE]) + varint(len(data)) + data
    return [
        Stream("positions", positions.size, data, lambda: sum(counts) * entropy(counts)),
        *(yield from _streams(payload, effort)),
    ]


def _codebook(code, effort):
    centroids, index = code.floats["centroids"], numbers(code.symbols["index"]).reshape(-1)
    centroids = numbers(decode(centroids) if isinstance(centroids, Code) else centroids)
    k, table = centroids.size, (yield from pack_floats_steps(centroids, quick=effort.quick))
    head = bytes([CODEBOOK]) + varint(k) + varint(len(table)) + table
    data = (yield from pack_symbols_steps(index, k, quick=effort.quick)) if k else b""
    return [
        Stream("centroids", k, head, lambda: 8.0 * centroids.nbytes),
        Stream("index", index.size, data, lambda: entropy_bits(index)),
    ]


def _named(code, effort):
    """The streams of a code without a layout of its own; the tag and the name are part of the first."""
    head, found = bytes([NAMED]) + name_bytes(code.kind) + bytes([len(code.symbols)]), []
    for name, x in code.symbols.items():
        x = numbers(x).reshape(-1)
        data = yield from symbol_bytes(x, quick=effort.quick)
        found.append(Stream(name, x.size, head + name_bytes(name) + data, partial(entropy_bits, x)))
        head = b""
    head += bytes([len(code.floats)])
    for name, x in code.floats.items():
        if isinstance(x, Code):
            inner = yield from _streams(x, effort)
            count, bits = math.prod(x.shape), partial(_sum_of_bits, inner)
            data = _nested(x.shape, b"".join(s.data for s in inner))
        else:
            x = numbers(x)
            count, data, bits = (
                x.size,
                (yield from value_bytes(x, quick=effort.quick)),
                partial(float, 8 * x.nbytes),
            )
        found.append(Stream(name, count, head + name_bytes(name) + data, bits))
        head = b""
    return found or [Stream(code.kind, 0, head, float)]


def _sum_of_bits(found):
    return sum(stream.entropy_bits for stream in found)


def _nested(shape, data):
    head = bytes([NESTED, len(shape)]) + b"".join(map(varint, shape))
    return head + varint(len(data)) + data


def _mask_shape(shape):
    """A shape of one to four dimensions, as `mcomp.coding.positions` takes them."""
    if len(shape) > 4:
        return shape[0], math.prod(shape[1:])
    return tuple(shape) or (1,)


def code_from_bytes(data, shape, dtype):
    """Inverse of `code_to_bytes`, for a tensor of `shape` and numpy `dtype`; else CorruptFileError."""
    return run(code_from_bytes_steps(data, shape, dtype))


def code_from_bytes_steps(data, shape, dtype):
    """`code_from_bytes` as a generator for `mcomp.coding.batch.run_all`."""
    return (yield from _read(Reader(data), tuple(shape), np.dtype(dtype), DEPTH))


def stream_rows(data, shape, dtype):
    """(name, numbers, bytes, bits of entropy) of each stream in the bytes of a code; errors as there."""
    reader = Reader(data)
    found = streams(run(_read(reader, tuple(shape), np.dtype(dtype), DEPTH)))
    sizes = np.diff(reader.marks, prepend=0).tolist()  # as they are, whatever today's writer would choose
    return [(s.name, s.count, n, s.entropy_bits) for s, n in zip(found, sizes, strict=True)]


def _read(reader, shape, dtype, depth):
    tag = reader.byte(NAMED)
    if tag != SPARSE:
        return (yield from _read_values(reader, tag, shape, dtype, depth))
    mask = yield from decode_mask_steps(reader.read(reader.varint(reader.left())), _mask_shape(shape))
    reader.mark()
    positions = np.flatnonzero(mask)
    values = yield from _read_values(reader, reader.byte(NAMED), positions.shape, dtype, depth)
    return Code("sparse", shape, {"positions": positions}, {"values": values})


def _read_values(reader, tag, shape, dtype, depth):
    n = math.prod(shape)
    if tag == PLAIN:
        values = yield from unpack_floats_steps(reader.rest(), n, dtype)
        reader.mark()
        return Code("plain", shape, floats={"values": values})
    if tag == NAMED:
        return (yield from _read_named(reader, shape, dtype, depth))
    if tag != CODEBOOK:
        raise CorruptFileError("a sparse code within a sparse code")
    k = reader.varint(65536)
    centroids = yield from unpack_floats_steps(reader.read(reader.varint(reader.left())), k, dtype)
    reader.mark()
    if n and not k:
        raise CorruptFileError(f"a codebook without values for {n} weights")
    index = (yield from unpack_symbols_steps(reader.rest(), n, k)) if k else np.zeros(0, np.int64)
    reader.mark()
    return Code("codebook", shape, {"index": index.astype(np.int64)}, {"centroids": centroids})


def readable(code, dtype, *, depth=DEPTH):
    """Whether a reader takes the bytes of a code of numpy arrays: they are neither too many nor too deep.

    That its arrays fit together is for `decode` to say.

    Examples
    --------
    >>> from mcomp.codecs import LowRank
    >>> w = np.ones((4, 4), np.float32)
    >>> readable((LowRank(1) | LowRank(1)).encode(w), w.dtype), readable(LowRank(1).encode(w), np.float64)
    (True, False)
    """
    known, parts = code.kind in ("plain", "sparse", "codebook"), [*code.floats.values()]
    inner = [x for x in parts if isinstance(x, Code)]
    if known and any(x.dtype != dtype for x in parts if not isinstance(x, Code)):
        return False
    if not known:
        held = sum(x.size for x in code.symbols.values()) + sum(math.prod(x.shape) for x in parts)
        few = max(len(code.symbols), len(parts)) <= 16 and held <= _budget(code.shape)
        if depth == 0 or not few:
            return False
    return decode(code).dtype == dtype and all(readable(x, dtype, depth=depth - (not known)) for x in inner)


def _budget(shape):
    """How many numbers a code without a layout of its own may hold for a tensor of `shape`."""
    return 2 * math.prod(shape) + 65_536


def _read_named(reader, shape, dtype, depth):
    """A code without a layout of its own. It is decoded here once, to see that its arrays fit together."""
    if depth == 0:
        raise CorruptFileError(f"more than {DEPTH} codes within each other")
    kind, budget = read_name(reader), _budget(shape)

    def nested(part, inner, left):
        if math.prod(inner) > left:
            raise CorruptFileError(f"a code of shape {inner}; allowed: {left} numbers")
        return (yield from _read(part, inner, dtype, depth - 1))

    symbols, floats = yield from read_arrays(reader, budget, nested)
    code = Code(kind, shape, symbols, floats)
    try:
        with np.errstate(all="ignore"):
            w = decode(code)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise CorruptFileError(f"the arrays of a {kind!r} code don't fit: {str(error)[:200]}") from None
    if tuple(w.shape) != shape or w.dtype != dtype:
        raise CorruptFileError(f"a code of {w.dtype} {tuple(w.shape)}; allowed: {dtype} {shape}")
    return code
