"""Numbers for a file, bit for bit: cut into byte planes, or listed once each when few are distinct.

NaN payloads and -0.0 come back as they were. Each plane, and the index, is a stream of symbols: streams.py.
"""

import numpy as np

from mcomp.arrays import bad_value, check_int
from mcomp.coding.batch import run, together
from mcomp.coding.bits import CorruptFileError, Reader, varint
from mcomp.coding.counted import Count
from mcomp.coding.least import floor_bytes
from mcomp.coding.streams import least_packed, pack_symbols_steps, unpack_symbols_steps

__all__ = ["least_bytes_steps", "pack_floats", "pack_floats_steps", "unpack_floats", "unpack_floats_steps"]

RAW, PLANES, TABLE = range(3)


def _float_dtype(dtype):
    dtype = np.dtype(dtype)
    if dtype.kind not in "biuf" or dtype.itemsize not in (1, 2, 4, 8):
        raise bad_value("dtype", dtype.name, "a bool, integer or float dtype of 1, 2, 4 or 8 bytes")
    return dtype.newbyteorder("<"), np.dtype(f"<u{dtype.itemsize}")


def pack_floats(x):
    """Code numbers losslessly: raw bytes, byte planes, or each distinct value once and an index stream.

    Parameters
    ----------
    x : array, any shape (flattened)
        Floats, integers or bools of 1 to 8 bytes. bfloat16 comes as uint16.

    Returns
    -------
    data : bytes
        At most one byte more than the raw bytes; none for an empty array.

    Examples
    --------
    >>> len(pack_floats(np.float32([1.5, -0.0, 1.5, 1.5] * 100)))  # 400 numbers, two of them distinct
    52
    """
    return run(pack_floats_steps(x))


def pack_floats_steps(x, *, quick=False):
    """`pack_floats` as a generator for `mcomp.coding.batch.run_all`."""
    x = np.asarray(x)
    stored, pattern = _float_dtype(x.dtype)
    if x.size == 0:
        return b""
    raw = np.ascontiguousarray(x.reshape(-1), dtype=stored)
    planes, counted = yield from _counted_planes(raw)
    ways = [(_least_planes(counted, x.size), lambda: _planes(planes, quick, counted))]
    values = np.sort(raw.view(pattern))
    values = values[np.append(True, values[1:] != values[:-1])]
    if values.size <= min(65536, x.size // 2):
        index = np.searchsorted(values, raw.view(pattern))
        ways.append((values.nbytes + floor_bytes(np.bincount(index)), lambda: _table(values, index, quick)))
    best, most = None, 1 + raw.nbytes  # of the raw bytes no copy is made unless they win
    for least, way in sorted(ways, key=lambda w: w[0]):
        coded = (yield from way()) if least < most else None
        if coded is not None and len(coded) < most:
            best, most = coded, len(coded)
    return best or bytes([RAW]) + raw.tobytes()


def least_bytes_steps(x):
    """A number of bytes that `pack_floats` can't get below, found in a pass over `x`: a generator."""
    raw = np.ascontiguousarray(np.asarray(x).reshape(-1))
    if raw.size == 0:
        return 0
    _, counted = yield from _counted_planes(raw)
    values = np.sort(raw.view(f"u{raw.itemsize}"))
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    table = floor_bytes(np.diff(starts, append=raw.size)) + starts.size * raw.itemsize
    return min(raw.nbytes, _least_planes(counted, raw.size), table)


def _counted_planes(raw):
    """The bytes of numbers, (bytes a number, n), and what is known of each row."""
    planes = raw.view(np.uint8).reshape(raw.size, -1).T
    return planes, (yield [Count(plane, 256) for plane in planes])


def _least_planes(counted, n):
    return 1 + sum(1 + least_packed(c, n) for c in counted)


def _planes(planes, quick, counted):
    parts = yield from together(
        [pack_symbols_steps(p, 256, quick=quick, counted=c) for p, c in zip(planes, counted, strict=True)]
    )
    return bytes([PLANES]) + b"".join(varint(len(p)) + p for p in parts)


def _table(values, index, quick=False):
    coded = yield from pack_symbols_steps(index, values.size, quick=quick)
    return bytes([TABLE]) + varint(values.size) + values.tobytes() + coded


def unpack_floats(data, n, dtype):
    """Inverse of `pack_floats`: `n` numbers of `dtype`, bit for bit, from exactly `data`.

    Raises
    ------
    CorruptFileError
        If `data` is not what `pack_floats` writes for n numbers of this dtype.

    Examples
    --------
    >>> unpack_floats(pack_floats(np.float32([1.5, -0.0])), n=2, dtype=np.float32)
    array([ 1.5, -0. ], dtype=float32)
    """
    return run(unpack_floats_steps(data, n, dtype))


def unpack_floats_steps(data, n, dtype):
    """`unpack_floats` as a generator for `mcomp.coding.batch.run_all`."""
    n, reader = check_int("n", n, 0), Reader(data)
    stored, pattern = _float_dtype(dtype)
    if n == 0:
        reader.end()
        return np.zeros(0, dtype)
    code = reader.byte(high=TABLE)
    if code == RAW:
        raw = np.frombuffer(reader.read(n * pattern.itemsize), pattern)
    elif code == PLANES:
        parts = [reader.read(reader.varint(reader.left())) for _ in range(pattern.itemsize)]
        planes = yield from together([unpack_symbols_steps(part, n, 256) for part in parts])
        raw = np.stack(planes, axis=1).view(pattern).reshape(-1)
    else:
        size = reader.varint(high=min(65536, n))
        if size == 0:
            raise CorruptFileError(f"a table of no values for {n} numbers")
        values = np.frombuffer(reader.read(size * pattern.itemsize), pattern)
        raw = values[(yield from unpack_symbols_steps(reader.rest(), n, size))]
    reader.end()
    if stored.kind == "b" and raw.max() > 1:
        raise CorruptFileError(f"a bool is {int(raw.max())}; allowed: 0 and 1")
    return raw.view(stored).astype(dtype)
