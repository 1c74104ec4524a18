"""Integers of four bits, two in a byte, and the product of a packed matrix with a vector.

A matrix–vector product reads each weight once and uses it once, so its time is that of reading the
weights: packed to half a byte they take an eighth of float32's. With groups, ``y_i = Σ_g scale_ig·(Σ_j
q_ij·x_j - zero_ig·Σ_j x_j)``: the sums of x are shared by all rows, and the scale comes once a group. The
layout, low half first, is that of ONNX's 4-bit integers and of MatMulNBits.
"""

from mcomp.arrays import array_namespace, bad_value
from mcomp.prune.scores import check_floating
from mcomp.quantize.cells import cells

__all__ = ["pack_int4", "packed_product", "unpack_int4"]


def pack_int4(q):
    """Two neighbours along the last axis in a byte: the first in its low half, the second in its high half.

    Parameters
    ----------
    q : integer array (..., n)
        Each from 0 to 15, or each from -8 to 7 (then kept as two's complement).

    Returns
    -------
    packed : uint8 array (..., n / 2 rounded up)

    Raises
    ------
    ValueError
        If `q` is no integer array, has no entry, or one that four bits don't hold.

    Examples
    --------
    >>> import numpy as np
    >>> pack_int4(np.array([1, 15, 2]))
    array([241,   2], dtype=uint8)
    """
    xp = array_namespace(q)
    if not xp.isdtype(q.dtype, "integral") or q.ndim == 0 or q.shape[-1] == 0 or 0 in q.shape:
        raise bad_value("q", f"{q.dtype} of shape {tuple(q.shape)}", "integers, at least one")
    low, high = int(xp.min(q)), int(xp.max(q))
    if not (low >= 0 and high <= 15) and not (low >= -8 and high <= 7):
        raise bad_value("q from", (low, high), "0 to 15, or -8 to 7")
    nibbles = xp.astype(xp.astype(q, xp.int64) % 16, xp.uint8)
    if q.shape[-1] % 2:
        nibbles = xp.concat([nibbles, xp.zeros_like(nibbles[..., :1])], axis=-1)
    return nibbles[..., 0::2] + 16 * nibbles[..., 1::2]


def unpack_int4(packed, *, n=None, signed=False):
    """Inverse of `pack_int4`: int8 array (..., n); `n` defaults to all.

    Examples
    --------
    >>> import numpy as np
    >>> unpack_int4(np.array([241, 2], np.uint8), n=3), unpack_int4(np.array([241], np.uint8), signed=True)
    (array([ 1, 15,  2], dtype=int8), array([ 1, -1], dtype=int8))
    """
    xp = array_namespace(packed)
    if packed.dtype != xp.uint8 or packed.ndim == 0:
        raise bad_value(
            "packed", f"{packed.dtype} of shape {tuple(packed.shape)}", "a uint8 array (..., bytes)"
        )
    whole = 2 * packed.shape[-1]
    if n is not None and not whole - 2 < n <= whole:
        raise bad_value("n", n, f"{whole - 1} or {whole}, for {packed.shape[-1]} bytes")
    halves = xp.stack([packed % 16, packed // 16], axis=-1)
    flat = xp.astype(xp.reshape(halves, (*packed.shape[:-1], whole)), xp.int8)
    if signed:
        flat = xp.where(flat > 7, flat - 16, flat)
    return flat[..., : whole if n is None else n]


def packed_product(packed, x, grid):
    """``dequantize(q, grid) @ x`` of a packed matrix, group by group: no dequantized weight is ever stored.

    Parameters
    ----------
    packed : uint8 array (out, n / 2)
        `pack_int4` of the integers of `grid`, from 0 to 15 or from -8 to 7.
    x : real floating array (n,)
    grid : mcomp.quantize.Grid
        With ``axis=0`` and, if wanted, groups.

    Returns
    -------
    y : array (out,), in the dtype of `x`

    Raises
    ------
    ValueError
        If shapes don't fit, or the grid isn't one of rows with integers of four bits.

    Examples
    --------
    >>> import numpy as np
    >>> from mcomp.quantize import choose_grid, quantize
    >>> w = np.array([[1.0, -2.0, 0.5, 3.0]])
    >>> grid = choose_grid(w, 4, axis=0, group=2, symmetric=False)
    >>> packed_product(pack_int4(quantize(w, grid)), np.ones(4), grid).round(2)
    array([2.4])
    """
    xp = check_floating("x", x)
    if grid.axis != 0 or grid.qmax - grid.qmin > 15:
        raise bad_value("the grid", (grid.axis, grid.qmin, grid.qmax), "axis 0 and at most 16 integers")
    if x.ndim != 1 or packed.ndim != 2 or packed.shape[1] != -(-x.shape[0] // 2):
        raise bad_value(
            "x.shape and packed.shape", (tuple(x.shape), tuple(packed.shape)), "(n,), (out, n / 2)"
        )
    q = unpack_int4(packed, n=x.shape[0], signed=grid.qmin < 0)
    layout = {"axis": 0, "group": grid.group}
    parts = cells(xp.astype(q, x.dtype), **layout)  # (out, groups, group), or (out, n)
    inputs = cells(x[None, :], **layout)  # (1, groups, group)
    sums = xp.sum(parts * inputs, axis=-1) - xp.astype(grid.zero_point, x.dtype) * xp.sum(inputs, axis=-1)
    scaled = xp.astype(grid.scale, x.dtype) * sums  # (out, groups), or (out,)
    return xp.sum(scaled, axis=-1) if grid.group is not None else scaled
