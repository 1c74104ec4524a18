"""A mask coded by the predictions of `mcomp.coding.adaptive`, and the ways to see it as rows."""

import math
from dataclasses import dataclass

import numpy as np

from mcomp.arrays import bad_value
from mcomp.coding.adaptive import MaskModels
from mcomp.coding.batch import Job
from mcomp.coding.bits import CorruptFileError
from mcomp.coding.range_lanes import RangeEncode
from mcomp.coding.range_rows import RowDecoder

__all__ = ["TURNED", "decode_adaptive_steps", "encode_adaptive_steps", "matrix_shape", "options_of"]

MAX_ADAPTIVE, MAX_ROWS = 1 << 19, 4096  # entries and rows that the adaptive code takes, for the time it needs
SURE = 32  # bits that an option must be shorter by for another not to be coded as well
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


@dataclass(frozen=True, eq=False)
class AdaptiveMask(Job):
    """A mask as the model sees it: its layout, the density told (a byte), hints; and its bits or its bytes.

    With `bits` (a uint8 array, row by row) the answer is the probability of a one for each; with `data`
    it is the bits that they hold, as bools.
    """

    layout: tuple
    density: int
    hint: np.ndarray
    bits: np.ndarray | None = None
    data: bytes = b""

    @staticmethod
    def serve(requests):
        order = sorted(range(len(requests)), key=lambda i: -requests[i].layout[0])
        groups, found = {}, {}
        for i in order:
            groups.setdefault((requests[i].layout[2] > 0, requests[i].bits is None), []).append(i)
        for (_, reading), members in groups.items():
            some = [requests[i] for i in members]
            models = MaskModels(
                [r.layout for r in some], [24 * r.density - 3072 for r in some], [r.hint for r in some]
            )
            found |= zip(members, (_decode if reading else _predict)(some, models), strict=True)
        return [found[i] for i in range(len(requests))]


def _predict(requests, models):
    bits = np.concatenate([r.bits for r in requests])
    p1, sizes = np.zeros(len(bits), np.uint16), [len(r.bits) for r in requests]
    begin = np.cumsum(sizes) - sizes
    at = np.arange(len(models.model)) + (begin - models.first)[models.model]  # of the first rows
    for t in range(requests[0].layout[0]):
        n = models.active()[1]
        here = at[:n] + t * models.columns[models.model[:n]]
        models.predict()
        p1[here] = models.learn(bits[here].astype(np.int64))
    return np.split(p1, begin[1:])


def _decode(requests, models):
    coders, rows = [RowDecoder(r.data) for r in requests], [[] for _ in requests]
    spans, ln_hits = [*zip(models.first.tolist(), models.end.tolist(), strict=True)], models.ln_hits.tolist()
    for _ in range(requests[0].layout[0]):
        masks, _ = models.active()
        start, bits = models.predict().tolist(), []
        for i, (a, b) in enumerate(spans[:masks]):
            weight = int(models.weights[i, -2])
            if models.image:
                near = (models.near_weights[i] >> 8).tolist()
                bits += coders[i].image_row(start[a:b], weight, ln_hits, requests[i].layout[2], near)
            else:
                bits += coders[i].row(start[a:b], weight, ln_hits)
        bits = np.array(bits, np.int64)
        models.learn(bits)
        for row, (a, b) in zip(rows, spans[:masks], strict=False):
            row.append(bits[a:b])
    for coder in coders:
        coder.finish()
    return [np.concatenate(row).astype(bool) for row in rows]


def _request(layout, density, hint, option, **what):
    hint = hint[:, None] if option == TURNED else hint[None]
    return AdaptiveMask(layout, density, hint, **what)


def encode_adaptive_steps(matrix, hint, options, shape):
    """A generator that returns the shortest bytes of a mask under any of these options."""
    tries = []
    for option in options:
        rows, columns, width = _layout(shape, option)
        bits = (matrix.T if option == TURNED else matrix).reshape(-1)
        bits = np.concatenate([bits, np.zeros(rows * columns - bits.size, bool)]).astype(np.uint8)
        kept = int(np.count_nonzero(bits))
        density = round((256 * math.log((kept + 0.5) / (bits.size - kept + 0.5)) + 3072) / 24)
        density = min(max(density, 0), 255)
        tries.append(_request((rows, columns, width), density, hint, option, bits=bits))
    p1 = yield tries
    sizes = [_least_bits(r.bits, p) for r, p in zip(tries, p1, strict=True)]
    near = [i for i, n in enumerate(sizes) if n < min(sizes) + SURE]
    coded = yield [RangeEncode(tries[i].bits, p1[i]) for i in near]
    heads = [bytes([4 | options[i], tries[i].density]) for i in near]
    return min((head + data for head, data in zip(heads, coded, strict=True)), key=len)


def _least_bits(bits, p1):
    """What the range coder takes; a little less, as it may round the part of a zero up by 1 in 2**8."""
    p = np.where(bits > 0, p1, 65536 - p1 * (255 / 256))
    return -float(np.log2(p / 65536).sum())


def decode_adaptive_steps(reader, hint, option, shape):
    """A generator that returns the mask, shape (size,)."""
    density, layout = reader.byte(), _layout(shape, option)
    rows, columns, _ = layout
    matrix = (yield _request(layout, density, hint, option, data=reader.rest())).reshape(rows, columns)
    matrix, size = (matrix.T if option == TURNED else matrix).reshape(-1), math.prod(shape)
    if matrix[size:].any():
        raise CorruptFileError(f"kept entries after the last of {size}")
    return matrix[:size]
