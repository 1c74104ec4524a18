"""The only file that knows numpy from torch: the array namespace, and what the standard lacks.

The other array modules are written once against the Python array API standard
(https://data-apis.org/array-api), so one line runs on `numpy.ndarray` and `torch.Tensor`.
"""

import math
import numbers
import re

import numpy as np
from array_api_compat import array_namespace, device, is_numpy_array, is_torch_array, size

__all__ = [
    "array_namespace", "bad_value", "check_finite", "check_int", "check_real", "constant", "device",
    "from_host", "host_array", "in_host_memory", "is_numpy_array", "is_torch_array", "kth_largest",
    "log_softmax", "scatter_sum", "size", "to_numpy",
]  # fmt: skip


def bad_value(name, value, allowed):
    """The one form of every complaint: the name, the value that came, what is allowed.

    No addresses: they say nothing, and are others in each run.
    """
    shown = repr(value) if isinstance(value, str) else re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
    return ValueError(f"{name} is {shown}; allowed: {allowed}")


def check_int(name, value, low, high=None):
    """`value` as an int in [low, high], else ValueError (a bool or 3.0 is not an int)."""
    allowed = f"an integer from {low} to {high}" if high is not None else f"an integer of at least {low}"
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise bad_value(name, value, allowed)
    if value < low or (high is not None and value > high):
        raise bad_value(name, value, allowed)
    return int(value)


def check_real(name, value, low=-math.inf, high=math.inf):
    """`value` as a finite float in [low, high], else ValueError."""
    allowed = f"a finite number from {low} to {high}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise bad_value(name, value, allowed)
    if not low <= value <= high:
        raise bad_value(name, value, allowed)
    return float(value)


def check_finite(name, x):
    """Raise ValueError if the array `x` is empty or holds a NaN or an infinity."""
    xp = array_namespace(x)
    if size(x) == 0:
        raise ValueError(f"{name} is empty, shape {tuple(x.shape)}; allowed: at least one entry")
    if xp.isdtype(x.dtype, "real floating") and not _all_finite(x):
        wrong = int(xp.sum(xp.astype(~xp.isfinite(x), xp.int64)))
        raise ValueError(
            f"{name} holds {wrong} NaN or infinite entries of {size(x)}; allowed: finite numbers"
        )
    return x


def _all_finite(x):
    if in_host_memory(x):  # of ten million float32, numpy looks at all in 2 ms, torch in 35
        return bool(np.isfinite(host_array("x", x)).all())
    return bool(x.isfinite().all())


def to_numpy(x):
    """A numpy view of a CPU array (no gradient), a copy of one from elsewhere: for files and plots only."""
    if is_torch_array(x):
        return x.detach().cpu().numpy()
    return np.asarray(x)


def constant(x):
    """`x` as a constant: the same values, no gradient flows back through them."""
    return x.detach() if is_torch_array(x) else x


def host_array(name, x):
    """`x` in CPU memory as a numpy array, for the algorithms that run in numpy; nothing leaves its device.

    A torch tensor shares its memory with the result (bfloat16, which numpy lacks, becomes float32). One on
    another device raises ValueError: the caller says ``x.cpu()``, so that the copy is seen in the code.
    """
    if not is_torch_array(x):
        return np.asarray(x)
    if not in_host_memory(x):
        raise bad_value(f"{name}.device", str(x.device), f"cpu, this runs in numpy; pass {name}.cpu()")
    x = x.detach()
    return (x.float() if x.dtype == array_namespace(x).bfloat16 else x).numpy()


def in_host_memory(x):
    """Whether numpy can read `x` where it is: True for everything but a torch tensor on another device."""
    return not is_torch_array(x) or x.device.type == "cpu"


def from_host(a, like):
    """The numpy array `a` as an array of the library of `like`, on its device, with the dtype of `a`."""
    return array_namespace(like).asarray(a, device=device(like))


def kth_largest(x, k):
    """The `k`-th largest entry of `x` as a Python number; equal entries count each, a NaN is not looked for.

    In CPU memory by `numpy.partition` (of a tensor's own memory), on another device by `torch.kthvalue`.

    Examples
    --------
    >>> kth_largest(np.array([3.0, 1.0, 3.0, 2.0]), 2)
    3.0
    """
    n = size(x)
    k = check_int("k", k, 1, n)
    flat = array_namespace(x).reshape(x, (-1,))
    if in_host_memory(flat):
        return np.partition(host_array("x", flat), n - k)[n - k].item()
    return flat.kthvalue(n - k + 1).values.item()


def log_softmax(z):
    """log(exp(z) / sum(exp(z))) over the last axis; shifted by the maximum, so that nothing overflows."""
    if is_torch_array(z):
        return z.log_softmax(-1)  # one fused kernel, forward and backward
    xp = array_namespace(z)
    z = z - xp.max(z, axis=-1, keepdims=True)
    return z - xp.log(xp.sum(xp.exp(z), axis=-1, keepdims=True))


def scatter_sum(values, index, *, n):
    """out[j] = the sum of the `values` whose `index` is j, for j in 0 ... n - 1, in float64.

    Examples
    --------
    >>> scatter_sum(np.array([1.0, 2.0, 4.0]), np.array([0, 2, 0]), n=3)
    array([5., 0., 2.])
    """
    xp = array_namespace(values)
    values, index = xp.reshape(values, (-1,)), xp.reshape(index, (-1,))
    if is_numpy_array(values):
        return np.bincount(index, weights=values, minlength=n)
    values = xp.astype(values, xp.float64)
    if is_torch_array(values):
        return xp.zeros(n, dtype=xp.float64, device=device(values)).index_add(0, index, values)
    return xp.stack([xp.sum(xp.where(index == j, values, xp.zeros_like(values))) for j in range(n)])


def scatter(values, positions, *, n):
    """A vector of `n` zeros with `values` at the distinct `positions`; gradients flow to `values`.

    Examples
    --------
    >>> scatter(np.array([5.0, 7.0]), np.array([2, 0]), n=4)
    array([7., 0., 5., 0.])
    """
    xp = array_namespace(values)
    out = xp.zeros(n, dtype=values.dtype, device=device(values))
    if is_torch_array(values):
        return out.index_put((positions,), values)
    if is_numpy_array(values):
        out[positions] = values
        return out
    for i in range(size(positions)):  # the standard has no scatter
        out[int(positions[i])] = values[i]
    return out
