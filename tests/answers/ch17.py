"""Right answers to chapter 17's exercises as a learner would write them, in numpy and in torch."""

import numpy as np
import torch


def numpy_fold_scales(weight, w_scale, bias, x_scale, x_zero, y_scale):
    steps = x_scale * w_scale
    return np.round(bias / steps) - x_zero * weight.astype(int).sum(axis=1), steps / y_scale


def torch_fold_scales(weight, w_scale, bias, x_scale, x_zero, y_scale):
    met = weight.long() @ torch.full((weight.shape[1],), x_zero)
    return torch.round(bias / (w_scale * x_scale)).long() - met, w_scale * (x_scale / y_scale)


def numpy_two_roundings(acc, m0, shift):
    upper = (acc.astype(np.int64) * m0 + 2**30) >> 31
    half = 2 ** (shift - 31) // 2
    return np.sign(upper) * ((abs(upper) + half) >> (shift - 31))


def torch_two_roundings(acc, m0, shift):
    upper = (acc.long() * m0 + (1 << 30)).div(1 << 31, rounding_mode="floor")
    low = (1 << (shift - 31)) - 1
    rest = upper & low
    return (upper >> (shift - 31)) + (rest > (low >> 1) + (upper < 0).long()).long()


def numpy_sums_in_pairs(x, weight):
    products = x.astype(np.int32) * weight
    return (products[:, 0::2] + products[:, 1::2]).clip(-32768, 32767).sum(axis=1)


def torch_sums_in_pairs(x, weight):
    products = (weight.int() * x.int()).reshape(len(weight), -1, 2)
    return products.sum(dim=2).clamp(-(2**15), 2**15 - 1).sum(dim=1)


def numpy_stays_float(operators, edges):
    names = np.array(operators.split())
    is_q, is_dq = names == "Q", names == "DQ"
    sources, targets = edges[:, 0], edges[:, 1]
    fused = np.isin(np.arange(len(names)), sources) & np.isin(np.arange(len(names)), targets)
    fused[targets[~is_dq[sources]]] = False
    fused[sources[~is_q[targets]]] = False
    return ~(is_q | is_dq | fused)


def torch_stays_float(operators, edges):
    names, pairs = operators.split(), edges.tolist()

    def only(kind, found):
        return bool(found) and all(names[i] == kind for i in found)

    floats = []
    for i, name in enumerate(names):
        before, behind = [a for a, b in pairs if b == i], [b for a, b in pairs if a == i]
        floats.append(name not in {"Q", "DQ"} and not (only("DQ", before) and only("Q", behind)))
    return torch.tensor(floats)


def numpy_int8_gain(operators, microseconds, touched, times, added):
    mask = np.isin(operators.split(), touched.split())
    part, total = microseconds[mask].sum(), microseconds.sum()
    rest = total - part
    return total / (part / times + rest + added), total / (rest + added)


def torch_int8_gain(operators, microseconds, touched, times, added):
    mask = torch.tensor([name in touched.split() for name in operators.split()])
    after = torch.where(mask, microseconds / times, microseconds).sum() + added
    return microseconds.sum() / after, microseconds.sum() / (microseconds[~mask].sum() + added)


def numpy_computing_batch(macs, weight_bytes, image_bytes, peak, bandwidth):
    gained, needed = macs * bandwidth - image_bytes * peak, weight_bytes * peak
    batch = np.maximum(-(-needed // np.where(gained > 0, gained, 1)), 1)
    return np.where((gained > 0) | ((gained == 0) & (needed == 0)), batch, -1)


def torch_computing_batch(macs, weight_bytes, image_bytes, peak, bandwidth):
    gained = macs.double() / peak - image_bytes.double() / bandwidth
    batch = torch.ceil(weight_bytes.double() / bandwidth / gained)
    batch = torch.where(gained > 0, batch.clamp(min=1), -torch.ones_like(batch))
    batch[(gained == 0) & (weight_bytes == 0)] = 1
    return batch.long()


def numpy_choose(nbytes, milliseconds, right, most_bytes, lost):
    fits = np.flatnonzero((nbytes <= most_bytes) & (right >= right.max() - lost))
    order = np.lexsort((nbytes[fits], milliseconds[fits]))
    return fits[order[0]] if len(fits) else -1


def torch_choose(nbytes, milliseconds, right, most_bytes, lost):
    rows = zip(nbytes.tolist(), milliseconds.tolist(), right.tolist(), strict=True)
    fits = [
        (ms, size, i) for i, (size, ms, n) in enumerate(rows) if size <= most_bytes and n + lost >= max(right)
    ]
    return min(fits)[2] if fits else -1
