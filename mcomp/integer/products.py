"""Products of small integers, summed in int32: matrix product and convolution, zero points expanded.

Derived in chapters/07b_integers_only.ipynb. Jacob et al. 2018 (arXiv:1712.05877), eq. 7.
"""

from mcomp.arrays import array_namespace, bad_value, check_int, device

__all__ = ["im2col", "integer_conv2d", "integer_matmul", "integer_max_pool"]

MOST_TERMS = 33_025  # so many products of two 8-bit numbers always fit an int32: 33,025 * 255 * 255 < 2**31


def integer_matmul(x, w, *, x_zero=0, w_zero=0):
    """sum over k of (x[i, k] - x_zero) * (w[j, k] - w_zero) in int32: what a linear layer accumulates.

    The product of the raw 8-bit numbers, then the zero points expanded (Jacob et al. 2018, eq. 7):
    sum x w - x_zero sum w - w_zero sum x + k x_zero w_zero.

    Parameters
    ----------
    x : integer array (batch, k), 8-bit values
    w : integer array (out, k), 8-bit values
    x_zero, w_zero : int

    Returns
    -------
    acc : int32 array (batch, out)

    Raises
    ------
    ValueError
        If an array isn't of integers, shapes don't fit, or k is above 33,025: an int32 might overflow.

    Examples
    --------
    >>> import numpy as np
    >>> integer_matmul(np.array([[3, 5]]), np.array([[2, -1]]), x_zero=3)
    array([[-2]], dtype=int32)
    """
    xp, terms = _check_product(x, w)
    x, w = xp.astype(x, xp.int32), xp.astype(w, xp.int32)
    acc = x @ xp.matrix_transpose(w)  # (batch, out)
    if x_zero:
        acc = acc - x_zero * xp.sum(w, axis=1, dtype=xp.int32)  # the same for every x: paid once
    if w_zero:
        acc = acc - w_zero * (xp.sum(x, axis=1, keepdims=True, dtype=xp.int32) - terms * x_zero)
    return acc


def im2col(x, kernel, *, stride=1, padding=0, fill=0):
    """Every patch that a convolution sees as one row: (batch * oh * ow, channels * kh * kw), and (oh, ow).

    Parameters
    ----------
    x : array (batch, channels, height, width)
    kernel : (kh, kw)
    stride, padding : int
    fill : number
        What the border holds: the zero point, for that is what stands for zero.
    """
    xp, (kh, kw) = array_namespace(x), kernel
    windows = _windows(x, kernel, stride=stride, padding=padding, fill=fill)  # (kh * kw, n, c, oh, ow)
    n, c, oh, ow = windows.shape[1:]
    patches = xp.permute_dims(windows, (1, 3, 4, 2, 0))  # (n, oh, ow, c, kh * kw)
    return xp.reshape(patches, (n * oh * ow, c * kh * kw)), (oh, ow)


def integer_max_pool(x, kernel, *, stride, padding=0):
    """The largest integer of every window (batch, channels, oh, ow): the grid stays, for it is monotone.

    Examples
    --------
    >>> import numpy as np
    >>> integer_max_pool(np.arange(16).reshape(1, 1, 4, 4), (2, 2), stride=2)[0, 0]
    array([[ 5,  7],
           [13, 15]])
    """
    xp = array_namespace(x)
    windows = _windows(x, kernel, stride=stride, padding=padding, fill=int(xp.min(x)))
    return xp.max(windows, axis=0)


def _windows(x, kernel, *, stride, padding, fill):
    """For each place in the kernel what it sees as it moves: (kh * kw, batch, channels, oh, ow)."""
    xp, (kh, kw) = array_namespace(x), kernel
    n, c, h, w = x.shape
    padded = xp.full((n, c, h + 2 * padding, w + 2 * padding), fill, dtype=x.dtype, device=device(x))
    padded[:, :, padding : padding + h, padding : padding + w] = x
    oh, ow = (h + 2 * padding - kh) // stride + 1, (w + 2 * padding - kw) // stride + 1
    if oh < 1 or ow < 1:
        raise bad_value("kernel", (kh, kw), f"at most the padded image, {tuple(padded.shape[2:])}")
    rows, cols = stride * (oh - 1) + 1, stride * (ow - 1) + 1
    at = [(i, j) for i in range(kh) for j in range(kw)]
    return xp.stack([padded[:, :, i : i + rows : stride, j : j + cols : stride] for i, j in at])


def integer_conv2d(x, w, *, stride=1, padding=0, groups=1, x_zero=0, w_zero=0):
    """A convolution in integers: im2col, then `integer_matmul`; int32 (batch, out, oh, ow).

    Parameters
    ----------
    x : integer array (batch, channels, height, width), 8-bit values
    w : integer array (out, channels / groups, kh, kw), 8-bit values
    stride, padding, groups, x_zero, w_zero : int

    Examples
    --------
    >>> import numpy as np
    >>> integer_conv2d(np.ones((1, 1, 2, 2), int), np.ones((1, 1, 3, 3), int), padding=1)[0, 0]
    array([[4, 4],
           [4, 4]], dtype=int32)
    """
    xp, groups = array_namespace(x, w), check_int("groups", groups, 1)
    if x.ndim != 4 or w.ndim != 4 or x.shape[1] != groups * w.shape[1] or w.shape[0] % groups:
        found = f"{tuple(x.shape)} and {tuple(w.shape)} with groups={groups}"
        raise bad_value("the shapes", found, "(n, c, h, w) and (out, c / groups, kh, kw), groups divide out")
    n, inner, outer = x.shape[0], w.shape[1], w.shape[0] // groups
    parts = []
    for g in range(groups):
        mine = x[:, g * inner : (g + 1) * inner, ...]
        rows, (oh, ow) = im2col(mine, w.shape[2:], stride=stride, padding=padding, fill=x_zero)
        kernels = xp.reshape(w[g * outer : (g + 1) * outer, ...], (outer, -1))
        acc = integer_matmul(rows, kernels, x_zero=x_zero, w_zero=w_zero)  # (n * oh * ow, outer)
        parts.append(xp.permute_dims(xp.reshape(acc, (n, oh, ow, outer)), (0, 3, 1, 2)))
    return xp.concat(parts, axis=1)


def _check_product(x, w):
    xp = array_namespace(x, w)
    if not (xp.isdtype(x.dtype, "integral") and xp.isdtype(w.dtype, "integral")):
        raise bad_value("the dtypes", f"{x.dtype} and {w.dtype}", "integers, as a grid gives them")
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[1]:
        raise bad_value("the shapes", f"{tuple(x.shape)} and {tuple(w.shape)}", "(batch, k) and (out, k)")
    return xp, check_int("k", x.shape[1], 1, MOST_TERMS)
