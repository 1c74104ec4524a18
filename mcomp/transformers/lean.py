"""The same network with few calls a byte, in numpy: what a byte costs where calls take most of the time.

A small network that writes spends most of a byte's time between the products: each module, view and check
costs about as long as a product of 128 numbers. Here the gains of the norms and the scale of the queries are
in the weights, the three projections of attention are one product, as gate and up are, and keys and values
have their places beforehand. The function is the same up to what is rounded. Derived in chapter 19.
"""

import copy

import numpy as np
import torch
from torch import nn

from mcomp.arrays import bad_value, check_int
from mcomp.gpt import BASE
from mcomp.plain import check_plain
from mcomp.transformers.cache import check_gpt

__all__ = ["Lean", "plain_product"]


def plain_product(w):
    """``x -> x @ w.T`` for x (positions, in), of a float matrix (out, in).

    Examples
    --------
    >>> plain_product(np.array([[1.0, 2.0]]))(np.array([[3.0, 4.0], [1.0, 0.0]]))
    array([[11.],
           [ 1.]])
    """
    return lambda x: np.dot(w, x[0])[None] if len(x) == 1 else x @ w.T


class Lean:
    """A `TinyGPT` and its cache for one text: for `generate` and `speculate` in the place of the network.

    Parameters
    ----------
    model : TinyGPT
        Its weights are copied as they are now.
    positions : int
        How many the cache has room for; it is made at once.
    product : callable
        ``product(w)``, of a float array (out, in), gives the function x (positions, in) -> (positions, out)
        that stands for it: `plain_product`, or one of packed weights.

    Attributes
    ----------
    length : int, the positions read so far

    Raises
    ------
    ValueError
        If `model` isn't a `TinyGPT` whose layers are plain and without biases, or there is no room.

    Examples
    --------
    >>> from mcomp.gpt import TinyGPT
    >>> lean = Lean(TinyGPT(dim=8, layers=2, heads=2, hidden=12), positions=16)
    >>> lean.read([1, 2, 3]).shape, lean.length
    ((3, 256), 3)
    >>> lean.keep(1)
    >>> lean.read([2]).shape, lean.length
    ((1, 256), 2)
    """

    def __init__(self, model, *, positions=1_024, product=plain_product):
        check_linear(model)
        self.config, self.positions = dict(model.config), check_int("positions", positions, 1)
        self.size = self.config["dim"] // self.config["heads"]
        self.embed = _array(model.embed.weight)
        self.layers = [_layer(layer, self.size, product) for layer in model.layers]
        self.head = product(_array(model.head.weight) * _array(model.norm.weight))
        self.cos, self.sin = _turns(positions, self.size // 2, self.embed.dtype)
        self._empty()

    def _empty(self):
        room = (len(self.layers), self.config["kv_heads"], self.positions)
        self.keys = np.zeros((*room, self.size), self.embed.dtype)
        self.values = np.ones((*room, self.size + 1), self.embed.dtype)  # the ones add the weights up
        self.length = 0

    def fresh(self):
        """Another one with the same weights, not copied, that has read nothing."""
        other = copy.copy(self)
        other._empty()
        return other

    def keep(self, n):
        """Roll back: forget all positions but the first `n`."""
        self.length = check_int("n", n, 0, self.length)

    def read(self, new):
        """Logits (len(new), 256) after each of some new bytes, a sequence of ints or bytes."""
        new, end = list(new), self.length + len(new)
        if not new or min(new) < 0 or max(new) > 255:
            raise bad_value("new", new, "one or more integers from 0 to 255")
        if end > self.positions:
            raise bad_value("positions", end, f"at most {self.positions}, the room of the cache")
        x, hidden = self.embed[new], _hidden(self.length, end, self.config, self.embed.dtype)
        with np.errstate(over="ignore"):  # of exp where a gate is shut
            for layer, keys, values in zip(self.layers, self.keys, self.values, strict=True):
                x = self._attend(x, layer, keys, values, hidden)
                gate_up = layer["gate_up"](_normed(x))
                gate, up = gate_up[:, : gate_up.shape[1] // 2], gate_up[:, gate_up.shape[1] // 2 :]
                x = x + layer["down"](gate / (1 + np.exp(-gate)) * up)
        self.length = end
        return self.head(_normed(x))

    def _attend(self, x, layer, keys, values, hidden):
        """The stream (positions, dim) after attention; the new keys and values go to their places."""
        m, kv, size, end = len(x), self.config["kv_heads"], self.size, self.length + len(x)
        qkv, turned = layer["qkv"](_normed(x)), (self.config["heads"] + kv) * size
        pair = qkv[:, :turned].reshape(m, -1, 2, size // 2)
        at = slice(self.length, end)
        pair = (pair * self.cos[at] + pair[:, :, ::-1] * self.sin[at]).reshape(m, -1, size)
        keys[:, at] = pair[:, -kv:].transpose(1, 0, 2)
        values[:, at, :size] = qkv[:, turned:].reshape(m, kv, size).transpose(1, 0, 2)
        q = pair[:, :-kv].reshape(m, kv, -1, size).transpose(1, 0, 2, 3).reshape(kv, -1, size)
        scores = q @ keys[:, :end].transpose(0, 2, 1)  # (kv, positions · queries of a head, all positions)
        if hidden is not None:
            scores = scores + hidden
        y = np.exp(scores - scores.max(-1, keepdims=True)) @ values[:, :end]
        y = (y[..., :size] / y[..., size:]).reshape(kv, m, -1, size).transpose(1, 0, 2, 3)
        return x + layer["o"](y.reshape(m, -1))


def check_linear(model):
    """`model`, if it is a `TinyGPT` of plain linear layers without biases; else ValueError by name."""
    for name, layer in check_gpt(model).named_modules():
        if name.endswith("_proj") or (name == "head" and not model.config["tied"]):
            check_plain(model, name, (nn.Linear,), what="a layer to copy")
            if layer.bias is not None:
                raise bad_value("a layer to copy", f"{name!r}: it has a bias", "one without, as TinyGPT's")
    return model


def _array(parameter):
    return parameter.detach().cpu().to(torch.promote_types(parameter.dtype, torch.float32)).numpy().copy()


def _layer(layer, size, product):
    """The four products of a layer, each behind what it reads: the norm's gain is in its weights."""
    attention, mlp = layer.attention, layer.mlp
    q, k, v, o = (_array(getattr(attention, f"{part}_proj").weight) for part in "qkvo")
    gate, up, down = (_array(getattr(mlp, f"{part}_proj").weight) for part in ("gate", "up", "down"))
    first, second = _array(layer.attention_norm.weight), _array(layer.mlp_norm.weight)
    joined = np.concatenate([q * np.asarray(size**-0.5, q.dtype), k, v]) * first
    return {"qkv": product(joined), "o": product(o), "gate_up": product(np.concatenate([gate, up]) * second),
            "down": product(down)}  # fmt: skip


def _turns(positions, half, dtype):
    """Factors of a pair, and of it turned round: (positions, 1, 1, half) and (positions, 1, 2, half)."""
    wide = np.promote_types(dtype, np.float32)
    angle = np.arange(positions, dtype=wide)[:, None] * BASE ** (-np.arange(half, dtype=wide) / half)
    cos, sin = np.cos(angle).astype(dtype), np.sin(angle).astype(dtype)
    return cos[:, None, None], np.stack([-sin, sin], axis=1)[:, None]


def _hidden(start, end, config, dtype):
    """What is added to the scores: -inf at later positions; None for one position, which sees all."""
    if end - start == 1:
        return None
    later = np.triu(np.full((end - start, end), -np.inf, dtype), start + 1)
    return np.repeat(later, config["heads"] // config["kv_heads"], axis=0)


def _normed(x):
    """Each row over its root mean square, without the gain."""
    if len(x) == 1:
        return x * np.asarray((float(np.dot(x[0], x[0])) / x.shape[1] + 1e-6) ** -0.5, x.dtype)
    return x * ((x * x).mean(-1, keepdims=True) + np.asarray(1e-6, x.dtype)) ** -0.5
