"""Where the non-zeros are: a boolean mask in as few bytes as any of six codes needs.

plain       one bit an entry;
constant    everything or nothing is kept;
runs        the gaps between kept entries by Golomb-Rice (Rice & Plaunt 1971): g in g >> k zeros, a one and k
            bits, which is near the entropy if entries are kept independently (Golomb 1966);
densities   one of 31 densities for each row (or column), then each bit by rANS under its row's;
adaptive    `mcomp.coding.adaptive`: no side information, every bit predicted from those before it;
crossed     `mcomp.coding.crossed`: a class for each row and each column, and all bits at once.

The adaptive code is the shortest where a mask is small or an image, and takes about a microsecond for each
entry in either direction. In a large network (``quick=True``) only small masks are coded so.

The lowest three bits of the first byte say which. A mask of more than two dimensions is seen as the matrix
(shape[0], product of the rest), as a layer sees its weights.
"""

import math

import numpy as np

from mcomp.arrays import bad_value, check_int
from mcomp.coding.adaptive_mask import (
    TURNED,
    decode_adaptive_steps,
    encode_adaptive_steps,
    matrix_shape,
    options_of,
)
from mcomp.coding.arith import SQUASH, ln_fixed
from mcomp.coding.batch import run
from mcomp.coding.bits import CorruptFileError, Reader, pack_bits, packed_size, unpack_bits, varint
from mcomp.coding.crossed import decode_crossed_steps, encode_crossed_steps
from mcomp.coding.rans import (
    rans_decode_binary_steps,
    rans_decode_steps,
    rans_encode,
    rans_encode_binary_steps,
)

__all__ = ["decode_mask", "decode_mask_steps", "encode_mask", "encode_mask_steps", "mask_codes"]

METHODS = ("plain", "constant", "runs", "densities", "adaptive", "crossed")
MAX_QUICK = 1 << 13  # entries that it takes in a large network
DENSITY = np.array([0] + [SQUASH[-2048 + 128 * c] for c in range(31)])  # class 0 = nothing kept


def encode_mask(mask, hint=None):
    """Code a mask in the shortest of the six ways.

    Parameters
    ----------
    mask : bool array, 1-D to 4-D
        True = kept.
    hint : integer array, shape (columns,), optional
        Something non-negative that a column's density should grow with, known to the decoder as well: for a
        hidden layer how many weights each of its inputs kept in the layer before.

    Returns
    -------
    data : bytes
        Empty for an empty mask.

    Raises
    ------
    ValueError
        If `mask` isn't boolean or has the wrong number of dimensions, or `hint` doesn't fit.

    Examples
    --------
    >>> mask = np.zeros((100, 100), bool)
    >>> mask[::10, ::10] = True
    >>> len(encode_mask(mask)), len(encode_mask(~mask)), len(encode_mask(mask & False))
    (32, 33, 1)
    """
    return run(encode_mask_steps(mask, hint))


def encode_mask_steps(mask, hint=None, *, quick=False):
    """`encode_mask` as a generator for `mcomp.coding.batch.run_all`."""
    codes = yield from _mask_codes(mask, hint, quick, all_codes=False)
    return min(codes.values(), key=len) if codes else b""


def mask_codes(mask, hint=None):
    """The mask in each of the codes that can hold it, by name: what `encode_mask` chooses from.

    Examples
    --------
    >>> {name: len(data) for name, data in mask_codes(np.arange(800) % 100 == 0).items()}
    {'plain': 101, 'runs': 11, 'densities': 19, 'adaptive': 11, 'crossed': 27}
    """
    return run(_mask_codes(mask, hint, quick=False, all_codes=True))


def _mask_codes(mask, hint, quick, all_codes):
    """The codes by name; without `all_codes` not those of which it is sure that they aren't the shortest."""
    mask = np.asarray(mask)
    if mask.dtype != bool:
        raise bad_value("mask.dtype", mask.dtype.name, "bool")
    matrix, hint = mask.reshape(matrix_shape(mask.shape)), _check_hint(hint, mask.shape)
    if mask.size == 0:
        return {}
    if mask.all() or not mask.any():
        return {"constant": bytes([1 | TURNED * bool(mask.all())])}
    codes = {"plain": b"\0" + pack_bits(mask, 1), "runs": b"\2" + _encode_runs(np.flatnonzero(mask))}
    options = _quick_options(mask.shape) if quick else options_of(mask.shape)
    if options:
        codes["adaptive"] = yield from encode_adaptive_steps(matrix, hint, options, mask.shape)
    most = math.inf if all_codes else min(map(len, codes.values()))
    crossed = yield from encode_crossed_steps(matrix, most - 1)
    codes["crossed"] = crossed and b"\5" + crossed
    most = min(most, len(crossed) + 1) if crossed and not all_codes else most
    codes["densities"] = yield from _encode_densities(matrix, most)
    return {name: codes[name] for name in METHODS if codes.get(name)}


def _quick_options(shape):
    """Those of `options_of` that see a small mask in few rows: numpy's work goes by rows."""
    rows, columns = matrix_shape(shape)
    few = [o for o in options_of(shape) if (o == TURNED) == (rows > columns and len(shape) > 1)]
    return few[:1] if rows * columns <= MAX_QUICK else []


def decode_mask(data, shape, hint=None):
    """Inverse of `encode_mask`: the mask of this shape from exactly `data`.

    Raises
    ------
    CorruptFileError
        If `data` is not what `encode_mask` writes for a mask of this shape.

    Examples
    --------
    >>> mask = np.array([[True, False, True]])
    >>> decode_mask(encode_mask(mask), shape=(1, 3))
    array([[ True, False,  True]])
    """
    return run(decode_mask_steps(data, shape, hint))


def decode_mask_steps(data, shape, hint=None):
    """`decode_mask` as a generator for `mcomp.coding.batch.run_all`."""
    shape = tuple(check_int("shape", n, 0) for n in shape)
    rows, columns = matrix_shape(shape)
    hint, reader, size = _check_hint(hint, shape), Reader(data), rows * columns
    if size == 0:
        reader.end()
        return np.zeros(shape, bool)
    option = reader.byte()
    method, option = option & 7, option & ~7
    if method == 4 and option in options_of(shape):
        return (yield from decode_adaptive_steps(reader, hint, option, shape)).reshape(shape)
    if method in (4, 6, 7) or option & ~TURNED or (option and method in (0, 2, 5)):
        raise CorruptFileError(f"a mask of shape {shape} can't be coded by method {method}, option {option}")
    if method == 1:
        reader.end()
        return np.full(shape, option > 0)
    if method == 0:
        return unpack_bits(reader.rest(), 1, size).astype(bool).reshape(shape)
    if method == 2:
        mask = np.zeros(size, bool)
        mask[_decode_runs(reader, size)] = True
        return mask.reshape(shape)
    if method == 3:
        return (yield from _decode_densities(reader, rows, columns, option)).reshape(shape)
    return (yield from decode_crossed_steps(reader, (rows, columns))).reshape(shape)


def _check_hint(hint, shape):
    columns = matrix_shape(shape)[1]
    if hint is None or columns == 0:
        return np.zeros(columns, np.int64)
    hint = np.asarray(hint)
    if hint.shape != (columns,) or hint.dtype.kind not in "iu":
        raise bad_value("hint", f"{hint.dtype} of shape {hint.shape}", f"integers of shape {(columns,)}")
    if not 0 <= int(hint.min()) <= int(hint.max()) < 2**32:
        raise bad_value("hint", (int(hint.min()), int(hint.max())), "0 to 2**32 - 1")
    hint = hint.astype(np.int64)
    return ln_fixed(16 * hint + 8) - ln_fixed(16 * hint.sum() // columns + 8)


def _encode_runs(kept):
    gaps = np.diff(kept, prepend=-1) - 1
    sizes = [gaps.size * k + int((gaps >> k).sum()) for k in range(17)]
    k = int(np.argmin(sizes))
    ends = np.cumsum((gaps >> k) + 1)  # each gap's quotient as so many zeros, then a one
    unary = np.zeros(int(ends[-1]), bool)
    unary[ends - 1] = True
    return varint(gaps.size) + bytes([k]) + pack_bits(gaps & ((1 << k) - 1), k) + pack_bits(unary, 1)


def _decode_runs(reader, size):
    count, k = reader.varint(high=size), reader.byte(high=16)
    low = unpack_bits(reader.read(packed_size(count, k)), k, count).astype(np.int64)
    unary = np.unpackbits(np.frombuffer(reader.rest(), np.uint8))
    ends = np.flatnonzero(unary)
    if ends.size != count or count == 0 or unary.size - ends[-1] > 8:
        raise CorruptFileError(f"{ends.size} run lengths came, {count} were told")
    quotients = np.diff(ends, prepend=-1) - 1
    kept = np.cumsum((quotients << k) + low + 1) - 1
    if kept[-1] >= size or kept[-1] < 0:
        raise CorruptFileError(f"a run ends at entry {kept[-1]} of {size}")
    return kept


def _encode_densities(matrix, most):
    """A generator that returns the bytes; None if they are surely more than `most`."""
    plans = [(*_density_classes(m), m, turned) for m, turned in ((matrix, 0), (matrix.T, TURNED))]
    bits, head, classes, m, turned = min(plans, key=lambda plan: plan[0])
    if 0.999 * bits / 8 + 4 > most:
        return None
    some = classes > 0
    p1 = np.repeat(DENSITY[classes[some]], m.shape[1])
    bits = yield from rans_encode_binary_steps(m[some].reshape(-1), p1)
    return bytes([3 | turned]) + varint(len(head)) + head + bits


def _density_classes(m):
    """The bits that coding by rows will take, the coded classes, and the classes."""
    kept, n = m.sum(1), m.shape[1]
    odds = 256 * np.log((kept + 0.5) / (n - kept + 0.5))  # chooses a class, which is then stored
    classes = np.where(kept > 0, np.clip(np.rint((odds + 2048) / 128), 0, 30) + 1, 0).astype(np.uint8)
    head, p = rans_encode(classes, 32), np.maximum(DENSITY[classes], 1) / 65536
    bits = -kept * np.log2(p) - (n - kept) * np.log2(1 - p) * (kept > 0)
    return 8 * len(head) + float(bits.sum()), head, classes


def _decode_densities(reader, rows, columns, turned):
    m, n = (columns, rows) if turned else (rows, columns)
    classes = yield from rans_decode_steps(reader.read(reader.varint(high=reader.left())), m, 32)
    some = classes > 0
    mask = np.zeros((m, n), bool)
    p1 = np.repeat(DENSITY[classes[some]], n)
    mask[some] = (yield from rans_decode_binary_steps(reader.rest(), p1)).reshape(-1, n)
    return mask.T if turned else mask
