"""IDX, the file format of MNIST: bytes in, array out, every bound checked.

Two zero bytes, a type byte, the number of dimensions; each size as a big-endian uint32; then the entries,
big-endian, last index fastest (http://yann.lecun.com/exdb/mnist/).
"""

import math
import struct

import numpy as np

__all__ = ["read_idx", "split_idx"]

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(data):
    """An array from the bytes of an IDX file. Nothing may be missing and nothing may follow.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    array : numpy array
        Of the type that the file names. A read-only view of `data`.

    Raises
    ------
    ValueError
        If the header isn't one, or claims more or fewer bytes than there are.

    Examples
    --------
    >>> read_idx(bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 10, 11, 12, 13, 14, 15]))
    array([[10, 11, 12],
           [13, 14, 15]], dtype=uint8)
    """
    shape, dtype, start = _header(data)
    want, have = math.prod(shape) * dtype.itemsize, len(data) - start
    if want != have:
        raise ValueError(
            f"the IDX header says {shape} {dtype.name}, {want} bytes; allowed: the {have} that follow"
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape)


def split_idx(data):
    """The arrays of several IDX files that stand one after the other.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    arrays : list of numpy arrays
        Read-only views of `data`.

    Raises
    ------
    ValueError
        If a header isn't one, or the last file doesn't end where the bytes do.

    Examples
    --------
    >>> one = bytes([0, 0, 8, 1, 0, 0, 0, 2, 5, 6])
    >>> split_idx(one + one)
    [array([5, 6], dtype=uint8), array([5, 6], dtype=uint8)]
    """
    arrays, view = [], memoryview(data)
    while len(view):
        shape, dtype, start = _header(view)
        end = start + math.prod(shape) * dtype.itemsize
        arrays.append(read_idx(view[:end]))
        view = view[end:]
    return arrays


def _header(data):
    """Shape, dtype, and the position of the first entry."""
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES or data[3] == 0:
        allowed = f"00 00, a type of {', '.join(f'{t:02x}' for t in _TYPES)}, at least one dimension"
        raise ValueError(f"an IDX file begins with {bytes(data[:4]).hex(' ')!r}; allowed: {allowed}")
    start = 4 + 4 * data[3]
    if data[3] > 8 or len(data) < start:
        raise ValueError(
            f"an IDX file of {len(data)} bytes says {data[3]} dimensions; allowed: 1 to 8, all sizes there"
        )
    shape = struct.unpack(f">{data[3]}I", data[4:start])
    if 0 in shape:
        raise ValueError(f"the IDX header says shape {shape}; allowed: sizes of at least 1")
    return shape, np.dtype(_TYPES[data[2]]), start
