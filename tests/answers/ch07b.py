"""Right answers to chapter 07b's exercises as a learner would write them, in numpy and in torch."""

import numpy as np
import torch


def numpy_integer_product(x, w, x_zero, w_zero):
    return (x.astype(np.int32) - x_zero) @ (w.astype(np.int32) - w_zero).T


def torch_integer_product(x, w, x_zero, w_zero):
    return (x.int() - x_zero) @ (w.int() - w_zero).T


def numpy_fixed_point(m):
    fraction, exponent = np.frexp(m)
    m0, shift = np.rint(fraction * 2**31).astype(np.int64), 31 - exponent
    full = m0 == 2**31
    return np.where(full, m0 // 2, m0), shift - full


def torch_fixed_point(m):
    fraction, exponent = torch.frexp(m.double())
    m0, shift = torch.round(fraction * 2**31).long(), 31 - exponent
    full = m0 == 2**31
    return torch.where(full, m0 // 2, m0), shift - full.int()


def numpy_requantize(acc, m0, shift, zero_point, qmin, qmax):
    p, half = acc.astype(np.int64) * m0, 2 ** (shift - 1)
    q = (p + half) >> shift
    q = q - ((p % 2**shift == half) & (q % 2 == 1))
    return np.clip(q + zero_point, qmin, qmax)


def torch_requantize(acc, m0, shift, zero_point, qmin, qmax):
    p, half = acc.long() * m0, 2 ** (shift - 1)
    q = (p + half) >> shift
    q = q - ((p.remainder(2**shift) == half) & (q.remainder(2) == 1)).long()
    return (q + zero_point).clamp(qmin, qmax)
