"""Right answers to chapter 09's exercises as a learner would write them, in numpy and in torch."""

import numpy as np
import torch


def numpy_lloyd_step(x, levels):
    flat = x.reshape(-1)
    index = abs(flat[:, None] - levels).argmin(1)
    found = levels.astype(float)
    for j in range(len(levels)):
        if (index == j).any():
            found[j] = flat[index == j].mean()
    return found


def torch_lloyd_step(x, levels):
    index = torch.bucketize(x.flatten(), (levels[:-1] + levels[1:]) / 2)
    count = torch.bincount(index, minlength=len(levels))
    total = torch.zeros_like(levels).index_add(0, index, x.flatten())
    return torch.where(count > 0, total / count.clamp(min=1), levels)


def numpy_binary_scales(w):
    return abs(w).reshape(len(w), -1).mean(axis=1)


def torch_binary_scales(w):
    return w.abs().flatten(1).mean(1)


def numpy_sign_dot(a, b, n):
    differ = sum(bin(int(word)).count("1") for word in a ^ b)
    return n - 2 * differ


def torch_sign_dot(a, b, n):
    bits = (torch.bitwise_xor(a, b)[:, None] >> torch.arange(32)) & 1
    return n - 2 * bits.sum()


def numpy_ternary_optimum(w):
    total = np.cumsum(np.sort(abs(w.reshape(-1)))[::-1])
    k = np.arange(1, len(total) + 1)
    best = np.argmax(total**2 / k)
    return int(k[best]), total[best] / k[best]


def torch_ternary_optimum(w):
    total = w.flatten().abs().sort(descending=True).values.cumsum(0)
    best = int((total.square() / torch.arange(1, len(total) + 1)).argmax())
    return best + 1, total[best] / (best + 1)


def numpy_nearest_power(w):
    size = np.where(w == 0, 1.0, abs(w))
    low = 2.0 ** np.floor(np.log2(size))
    power = np.where(size <= 1.5 * low, low, 2 * low)
    return np.where(w == 0, 0.0, np.sign(w) * power)


def torch_nearest_power(w):
    mantissa, exponent = torch.frexp(w.abs())  # mantissa in [0.5, 1)
    power = torch.ldexp(torch.ones_like(w), exponent - (mantissa <= 0.75).int())
    return torch.where(w == 0, torch.zeros_like(w), w.sign() * power)


def numpy_minifloat_values(patterns, exponent_bits, mantissa_bits):
    mantissa = patterns % 2**mantissa_bits
    exponent = patterns // 2**mantissa_bits % 2**exponent_bits
    sign = np.where(patterns // 2 ** (mantissa_bits + exponent_bits) == 1, -1.0, 1.0)
    power = 2.0 ** (np.maximum(exponent, 1) - (2 ** (exponent_bits - 1) - 1))
    return sign * ((exponent > 0) + mantissa / 2**mantissa_bits) * power


def torch_minifloat_values(patterns, exponent_bits, mantissa_bits):
    mantissa = patterns & (2**mantissa_bits - 1)
    exponent = (patterns >> mantissa_bits) & (2**exponent_bits - 1)
    sign = 1.0 - 2.0 * (patterns >> (mantissa_bits + exponent_bits)).double()
    whole = mantissa.double() + (exponent > 0) * 2.0**mantissa_bits
    bias = 2 ** (exponent_bits - 1) - 1
    return sign * torch.ldexp(whole, exponent.clamp(min=1) - bias - mantissa_bits)
