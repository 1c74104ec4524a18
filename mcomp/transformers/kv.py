"""A cache of few bits: keys quantized by channel, values by token, the newest positions in float.

KIVI (Liu et al. 2024, arXiv:2402.02750): a few channels of the keys are large at every position, so a group
of one channel over several tokens has a small range. Values have no such channels, and by token an error
stays with its token. A group of numbers has ``x ≈ scale·q + low``, in the terms of `mcomp.quantize.Grid` the
zero point ``-low / scale``, not rounded; scale and low are float16, so 2 bits in groups of 32 are 3. Unlike
there, keys leave the window of floats a group at a time, not a window at a time. Chapter 19.
"""

from functools import partial

import torch

from mcomp.arrays import bad_value, check_int
from mcomp.transformers.cache import Cache, Past, Rows, check_gpt

__all__ = ["QuantizedRows", "quantized_bytes", "quantized_cache"]

AXES = ("channel", "token")
SIDE = 4  # bytes of a group's scale and low


def quantized_cache(model, *, bits=2, keys="channel", values="token", group=32, residual=128):
    """An empty `Cache` that quantizes what is older than its `residual` newest positions.

    Positions that are read in one piece see each other, and those in the window, as they are; a piece is
    quantized after it was read. So the logits depend on how a text is split, and a long prompt in one piece
    costs nothing until bytes are written after it. What was quantized stays so after `Cache.keep`, which can
    roll back as far as the floats go.

    Parameters
    ----------
    model : TinyGPT
    bits : 1, 2, 4 or 8
    keys, values : "channel" or "token"
        Whether a group is one channel over `group` tokens, or `group` channels of one token.
    group : int
        Numbers that share a scale and a low end, a multiple of 8 / bits; by token it divides the size of a
        head. A group of one number would be its own low end, exact whatever `bits` says: it is refused.
    residual : int of at least 0
        Positions in float; by channel there are up to ``group - 1`` more, which wait for their group.

    Returns
    -------
    cache : Cache, for `mcomp.transformers.run`

    Raises
    ------
    ValueError
        If an argument is out of range; on the way, if a key or value is beyond what float16 holds.

    Examples
    --------
    >>> from mcomp.gpt import TinyGPT
    >>> from mcomp.transformers import run
    >>> model = TinyGPT(dim=64, layers=1, heads=2, hidden=8)
    >>> cache = quantized_cache(model, residual=0)
    >>> _ = run(model, torch.zeros(1, 64, dtype=torch.uint8), cache=cache)
    >>> cache.nbytes * 8 / (2 * 64 * 64)  # bits a value
    3.0
    """
    options = _checked(model, bits=bits, keys=keys, values=values, group=group, residual=residual)
    rows = [partial(QuantizedRows, by=by, **options) for by in (keys, values)]
    return Cache(model, past=partial(Past, *rows))


def quantized_bytes(
    model, positions, *, bits=2, keys="channel", values="token", group=32, residual=128, batch=1
):
    """Bytes of a `quantized_cache` of `positions` positions that was never rolled back: all that it stores.

    A quantized number takes ``bits + 32 / group`` bits, the others what the network's numbers take.

    Examples
    --------
    >>> from mcomp.gpt import TinyGPT
    >>> [quantized_bytes(TinyGPT(), n) for n in (128, 160, 1024)]
    [786432, 804864, 1302528]
    """
    _checked(model, bits=bits, keys=keys, values=values, group=group, residual=residual)
    positions, batch = check_int("positions", positions, 0), check_int("batch", batch, 1)
    width = model.config["dim"] // model.config["heads"] * model.config["kv_heads"]
    total = 0
    for by in (keys, values):
        old = _due(positions, by, group, residual)
        total += old * width // group * (group * bits // 8 + SIDE)
        total += (positions - old) * width * model.embed.weight.element_size()
    return model.config["layers"] * batch * total


def _checked(model, *, bits, keys, values, group, residual):
    """The options of `QuantizedRows` but for `by`."""
    if bits not in (1, 2, 4, 8) or isinstance(bits, bool):
        raise bad_value("bits", bits, "1, 2, 4 or 8, which fill bytes")
    for name, by in (("keys", keys), ("values", values)):
        if by not in AXES:
            raise bad_value(name, by, f"one of {AXES}")
    size = check_gpt(model).config["dim"] // model.config["heads"]
    if check_int("group", group, 1) == 1:
        raise bad_value("group", group, "at least 2; one number alone is its own range, nothing is quantized")
    if group * bits % 8 or ("token" in (keys, values) and size % group):
        raise bad_value(
            "group", group, f"a multiple of {8 // bits}; by token it divides {size}, a head's size"
        )
    return {"bits": bits, "group": group, "residual": check_int("residual", residual, 0)}


def _due(positions, by, group, residual):
    """How many of so many positions have left the window: by channel, whole groups."""
    old = max(positions - residual, 0)
    return old // group * group if by == "channel" else old


class QuantizedRows(Rows):
    """`Rows` whose older positions are packed: uint8 (batch, kv_heads, positions or groups, cells, bytes)."""

    def __init__(self, *, bits, by, group, residual):
        super().__init__()
        self.bits, self.by, self.group, self.residual = bits, by, group, residual
        self.packed, self.least = None, 0

    @property
    def length(self):
        return self.least + super().length

    def extend(self, x):
        super().extend(x)
        whole = self.whole()
        due = _due(self.length, self.by, self.group, self.residual) - self.least
        if due > 0:  # after a roll back there may be too few in the window
            new = _encode(self._cells(self.recent[:, :, :due]), self.bits)
            joined = zip(self.packed, new, strict=True) if self.packed else ((part,) for part in new)
            self.packed = tuple(torch.cat(parts, dim=2) for parts in joined)
            self.recent, self.least = self.recent[:, :, due:].clone(), self.least + due
        return whole

    def whole(self):
        if not self.packed:
            return self.recent
        old = self._uncells(_decode(*self.packed, bits=self.bits, dtype=self.recent.dtype))
        return torch.cat([old, self.recent], dim=2)

    def tensors(self):
        return [*super().tensors(), *(self.packed or ())]

    def _cells(self, x):
        """(..., positions, size) as (..., groups, size, group), by token (..., positions, groups, group)."""
        if self.by == "token":
            return x.unflatten(3, (-1, self.group))
        return x.unflatten(2, (-1, self.group)).transpose(3, 4)

    def _uncells(self, cells):
        return cells.flatten(3) if self.by == "token" else cells.transpose(3, 4).flatten(2, 3)


def _encode(cells, bits):
    """Packed integers (..., group · bits / 8) in uint8, scale and low (...) in float16."""
    wide = cells.detach().to(torch.promote_types(cells.dtype, torch.float32))
    least, most = wide.aminmax(dim=-1)
    scale, low = ((most - least) / (2**bits - 1)).half(), least.half()
    if not bool((scale.isfinite() & low.isfinite()).all()):
        raise bad_value("the largest key or value", float(wide.abs().max()), "what float16 holds, 65504")
    step = torch.where(scale > 0, scale, 1.0).to(wide.dtype)  # 0: all are equal
    q = ((wide - low[..., None]) / step[..., None]).round().clamp(0, 2**bits - 1).to(torch.int32)
    places = 2 ** (bits * torch.arange(8 // bits, dtype=torch.int32, device=q.device))
    return (q.unflatten(-1, (-1, 8 // bits)) * places).sum(-1).to(torch.uint8), scale, low


def _decode(packed, scale, low, *, bits, dtype):
    """What `_encode` stands for: (..., group)."""
    shifts = bits * torch.arange(8 // bits, dtype=torch.uint8, device=packed.device)
    q = ((packed[..., None] >> shifts) & (2**bits - 1)).flatten(-2)
    wide = torch.promote_types(dtype, torch.float32)
    return (q.to(wide) * scale.to(wide)[..., None] + low.to(wide)[..., None]).to(dtype)
