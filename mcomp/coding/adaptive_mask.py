"""A mask coded by the predictions of `mcomp.coding.adaptive`, and the ways to see it as rows."""

import math

import numpy as np

from mcomp.arrays import bad_value
from mcomp.coding.adaptive import MaskModel
from mcomp.coding.arith import BitDecoder, BitEncoder
from mcomp.coding.bits import CorruptFileError

__all__ = ["TURNED", "decode_adaptive", "encode_adaptive", "matrix_shape", "options_of"]

MAX_ADAPTIVE, MAX_ROWS = 1 << 19, 4096  # entries and rows that the adaptive code takes, for the time it needs
TURNED = 8  # bit of the first byte: the matrix was transposed (adaptive), columns not rows (densities)


def matrix_shape(shape):
    """(rows, columns); 1-D masks are one row."""
    if not 1 <= len(shape) <= 4:
        raise bad_value("mask.ndim", len(shape), "1 to 4")
    return (1, shape[0]) if len(shape) == 1 else (shape[0], math.prod(shape[1:]))


def options_of(shape):
    """The first bytes (without the method) that the adaptive code knows for masks of this shape."""
    rows, columns = matrix_shape(shape)
    if rows * columns > MAX_ADAPTIVE:
        return []
    options = [TURNED] * (len(shape) > 1 and columns <= MAX_ROWS)
    return options + [16 * i for i in range(len(_widths(shape)))] * (rows <= MAX_ROWS)


def _widths(shape):
    """Lengths of lines to try: none, a square image's, that of one of three channels, a filter's."""
    columns = matrix_shape(shape)[1]
    if len(shape) == 1:
        return [0]
    if len(shape) > 2:
        return [0] + [w for w in sorted({math.prod(shape[2:]), shape[-1]}) if 1 < w < columns]
    squares = [math.isqrt(columns // c) for c in (1, 3) if math.isqrt(columns // c) ** 2 * c == columns]
    return [0] + [w for w in squares if w >= 8]


def _layout(shape, option):
    """Rows, columns and line length that the model sees; a long 1-D mask is folded to a square."""
    rows, columns = matrix_shape(shape)
    if len(shape) == 1:
        columns = math.isqrt(columns - 1) + 1
        rows = -(-shape[0] // columns)
    if option == TURNED:
        return columns, rows, 0
    return rows, columns, _widths(shape)[option >> 4]


def _model(density, layout, hint, option):
    """A function ``run(step)`` that codes a whole matrix in either direction."""
    rows, columns, width = layout
    model = MaskModel(columns, width, 24 * density - 3072)
    hints = hint.tolist() if option == TURNED else [hint if hint.size == columns else 0] * rows
    return lambda step: np.stack([model.code_row(step, h) for h in hints])


def encode_adaptive(matrix, hint, option, shape):
    rows, columns, width = _layout(shape, option)
    bits = (matrix.T if option == TURNED else matrix).reshape(-1)
    bits = np.concatenate([bits, np.zeros(rows * columns - bits.size, bool)])
    kept = int(bits.sum())
    density = round((256 * math.log((kept + 0.5) / (bits.size - kept + 0.5)) + 3072) / 24)
    density = min(max(density, 0), 255)
    coder = BitEncoder(iter(bits.astype(np.int64).tolist()))
    _model(density, (rows, columns, width), hint, option)(coder.step)
    return bytes([4 | option, density]) + coder.finish()


def decode_adaptive(reader, hint, option, shape):
    density, layout = reader.byte(), _layout(shape, option)
    coder = BitDecoder(reader.rest())
    matrix = _model(density, layout, hint, option)(coder.step).astype(bool)
    coder.finish()
    matrix, size = (matrix.T if option == TURNED else matrix).reshape(-1), math.prod(shape)
    if matrix[size:].any():
        raise CorruptFileError(f"kept entries after the last of {size}")
    return matrix[:size]
