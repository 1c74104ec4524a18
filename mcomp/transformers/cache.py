"""Keys and values of the bytes read so far: a new byte then costs one position, not the whole pass again.

Attention reads all earlier positions, but only their keys and values, and these don't change: no byte sees a
later one. What is saved in time is paid in memory, `cache_bytes`. Derived in chapter 19.
"""

import torch

from mcomp.arrays import bad_value, check_int
from mcomp.gpt import Attention, Layer, TinyGPT, rotary

__all__ = ["Cache", "Past", "Rows", "cache_bytes", "check_gpt", "run"]


def check_gpt(model):
    """`model`, if it is a `TinyGPT` through and through; else ValueError that names what isn't.

    With a cache its layers are called one by one: a forward of the network's own, or a hook on the whole of
    it, would be passed by in silence.
    """
    parts = {"model": (model, TinyGPT)}
    for i, layer in enumerate(model.layers if isinstance(model, TinyGPT) else ()):
        attention = getattr(layer, "attention", None)
        parts |= {f"layers.{i}": (layer, Layer), f"layers.{i}.attention": (attention, Attention)}
    for name, (part, kind) in parts.items():
        own = "forward" in vars(part) or getattr(type(part), "forward", None) is not kind.forward
        if not isinstance(part, kind) or own:
            raise bad_value(name, type(part).__name__, f"a {kind.__name__} with {kind.__name__}'s forward")
    if model._forward_hooks or model._forward_pre_hooks:
        raise bad_value("model", "a TinyGPT with hooks", "one without: it isn't called as a whole")
    return model


class Rows:
    """The keys or the values of one layer, (batch, kv_heads, positions, size), as they came."""

    least = 0  # positions that can't be forgotten one by one

    def __init__(self):
        self.recent = None

    @property
    def length(self):
        return 0 if self.recent is None else self.recent.shape[2]

    def extend(self, x):
        """Put new positions behind the others; returns all."""
        self.recent = x if self.recent is None else torch.cat([self.recent, x], dim=2)
        return self.recent

    def whole(self):
        """All positions as attention reads them."""
        return self.recent

    def keep(self, n):
        """Forget all positions but the first `n`; a copy, or the memory of the others would stay."""
        gone = self.length - n
        if gone:
            self.recent = self.recent[:, :, : self.recent.shape[2] - gone].clone()

    def tensors(self):
        """Everything that is stored."""
        return [] if self.recent is None else [self.recent]


class Past:
    """The keys, turned by their positions, and the values of one layer."""

    def __init__(self, keys=Rows, values=Rows):
        self.keys, self.values = keys(), values()

    @property
    def length(self):
        return self.values.length

    def extend(self, q, k, v):
        """Queries, keys and values of new positions in; the queries turned, and all keys and values out."""
        start = self.length
        return rotary(q, start=start), self.keys.extend(rotary(k, start=start)), self.values.extend(v)

    @property
    def least(self):
        """How few positions `keep` can leave."""
        return max(self.keys.least, self.values.least)

    def keep(self, n):
        self.keys.keep(n)
        self.values.keep(n)

    def pieces(self, n):
        """How many of `n` new positions can be read at once, one piece after the other."""
        return [n]

    def tensors(self):
        return self.keys.tensors() + self.values.tensors()


class Cache:
    """The `Past` of every layer of a network, empty at first; `run` fills it.

    Parameters
    ----------
    model : TinyGPT
    past : function without arguments
        Makes what holds one layer: `Past`, or one of `mcomp.transformers.kv` and `.window`.

    Raises
    ------
    ValueError
        If `model` isn't a `TinyGPT`, or computes something else than one: see `check_gpt`.

    Attributes
    ----------
    length : int, the positions that it holds
    nbytes : int, the bytes of memory that they take, measured

    Examples
    --------
    >>> from mcomp.gpt import TinyGPT
    >>> model = TinyGPT(dim=8, layers=2, heads=2, hidden=12)
    >>> cache = Cache(model)
    >>> run(model, torch.tensor([[1, 2, 3]]), cache=cache).shape
    torch.Size([1, 3, 256])
    >>> cache.length, cache.nbytes, cache_bytes(model, 3)
    (3, 384, 384)
    >>> cache.keep(2)
    >>> cache.length, cache.nbytes
    (2, 256)
    """

    def __init__(self, model, *, past=Past):
        self.layers = [past() for _ in check_gpt(model).layers]

    @property
    def length(self):
        return self.layers[0].length

    @property
    def nbytes(self):
        parts = (t.untyped_storage() for layer in self.layers for t in layer.tensors())
        return sum({part.data_ptr(): part.nbytes() for part in parts}.values())

    def keep(self, n):
        """Roll back: forget all positions but the first `n`, as if the others had never been read.

        Raises
        ------
        ValueError
            If there are fewer than `n`, or the cache has changed later ones and can't give them back.
        """
        n = check_int("n", n, self.layers[0].least, self.length)
        for layer in self.layers:
            layer.keep(n)


def run(model, x, *, cache):
    """Logits of new bytes (batch, positions, 256), after all that `cache` holds; they are added to it.

    Reading a text in pieces, however it is split, gives what `model` gives for all of it. An extra batch row
    has its own keys and values, so all rows are equally long.

    Parameters
    ----------
    model : TinyGPT
    x : integer tensor (batch, positions), at least one of each
    cache : Cache
        Changed.

    Raises
    ------
    ValueError
        If `x` has another shape, `model` isn't what `check_gpt` lets pass, or the cache was filled by another
        batch or network.
    """
    if x.ndim != 2 or x.numel() == 0:
        raise bad_value("x.shape", tuple(x.shape), "(batch, positions), at least one of each")
    attention, held = check_gpt(model).layers[0].attention, cache.layers[0].tensors()
    wanted = (len(x), attention.kv_heads)
    if len(cache.layers) != len(model.layers) or any(t.shape[:2] != wanted for t in held):
        found = len(cache.layers), *(held[0].shape[:2] if held else ())
        raise bad_value("(layers, batch, kv_heads) of the cache", found, (len(model.layers), *wanted))
    parts = x.split(cache.layers[0].pieces(x.shape[1]), dim=1)
    return torch.cat([_read(model, part, cache) for part in parts], dim=1)


def _read(model, x, cache):
    """The whole pass of `TinyGPT`, but that each layer has its past."""
    x = model.embed(x.long())
    for layer, past in zip(model.layers, cache.layers, strict=True):
        x = layer(x, past)
    return model.head(model.norm(x))


def cache_bytes(model, positions, *, batch=1):
    """Bytes of a plain cache: 2 · layers · batch · positions · kv_heads · size of a head · bytes of a number.

    Examples
    --------
    >>> from mcomp.gpt import TinyGPT
    >>> cache_bytes(TinyGPT(), 256), cache_bytes(TinyGPT(kv_heads=1), 256)
    (1572864, 393216)
    """
    positions, batch = check_int("positions", positions, 0), check_int("batch", batch, 1)
    width = check_gpt(model).config["dim"] // model.config["heads"] * model.config["kv_heads"]
    itemsize = model.embed.weight.element_size()
    return 2 * model.config["layers"] * batch * positions * width * itemsize
