"""Right answers to chapter 19's exercises as a learner would write them, in numpy and in torch."""

import numpy as np
import torch


def numpy_next_position(q, k, v, keys, values):
    keys, values = np.concatenate([keys, k[None]]), np.concatenate([values, v[None]])
    scores = keys @ q / np.sqrt(len(q))
    weights = np.exp(scores - scores.max())
    return weights @ values / weights.sum(), keys, values


def torch_next_position(q, k, v, keys, values):
    keys, values = torch.cat([keys, k[None]]), torch.cat([values, v[None]])
    y = torch.nn.functional.scaled_dot_product_attention(q[None], keys, values)
    return y[0], keys, values


def numpy_keys_by_channel(x, bits, group):
    due = len(x) // group * group
    runs = x[:due].reshape(-1, group, x.shape[1])
    low, high = runs.min(axis=1, keepdims=True), runs.max(axis=1, keepdims=True)
    scale = np.where(high > low, high - low, 1) / (2**bits - 1)
    return np.concatenate([(low + scale * np.round((runs - low) / scale)).reshape(due, x.shape[1]), x[due:]])


def torch_keys_by_channel(x, bits, group):
    out = x.clone()
    for start in range(0, len(x) // group * group, group):
        run = x[start : start + group]
        low, high = run.aminmax(dim=0)
        step = (high - low) / (2**bits - 1)
        step = torch.where(step > 0, step, torch.ones_like(step))
        out[start : start + group] = low + step * torch.round((run - low) / step)
    return out


def numpy_mean_heads(w, heads, kv_heads):
    size = len(w) // heads
    return w.reshape(kv_heads, heads // kv_heads, size, -1).mean(axis=1).reshape(kv_heads * size, -1)


def torch_mean_heads(w, heads, kv_heads):
    each = w.chunk(heads)
    some = heads // kv_heads
    return torch.cat([torch.stack(each[i : i + some]).mean(0) for i in range(0, heads, some)])


def numpy_judged(p, q, guess, u, v):
    if u * q[guess] < p[guess]:
        return guess
    rest = np.maximum(p - q, 0)
    return int(np.argmax(np.cumsum(rest) > v * rest.sum()))


def torch_judged(p, q, guess, u, v):
    if u < min(1.0, float(p[guess] / q[guess])):
        return guess
    rest = (p - q).clamp(min=0)
    return int((torch.cumsum(rest / rest.sum(), 0) <= v).sum())


def numpy_best_gamma(alphas, cost):
    tokens = 1 + np.cumsum(np.concatenate([[0.0], np.cumprod(alphas)]))
    return int(np.argmax(tokens / (np.arange(len(tokens)) * cost + 1)))


def torch_best_gamma(alphas, cost):
    kept = torch.cat([torch.ones(1, dtype=alphas.dtype), torch.cumprod(alphas, 0)])
    return int((torch.cumsum(kept, 0) / (torch.arange(len(kept)) * cost + 1)).argmax())


def numpy_next_byte_kd(student, teacher, temperature):
    def log_soft(z):
        z = z / temperature
        z = z - z.max(axis=-1, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))

    a, b = log_soft(teacher), log_soft(student)
    return temperature**2 * (np.exp(a) * (a - b)).sum(axis=-1).mean()


def torch_next_byte_kd(student, teacher, temperature):
    a, b = ((z / temperature).log_softmax(-1).flatten(0, 1) for z in (teacher, student))
    loss = torch.nn.functional.kl_div(b, a, reduction="batchmean", log_target=True)
    return temperature**2 * loss
