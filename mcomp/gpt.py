"""TinyGPT, a decoder of bytes in the form of today's language models, in 1.3 million parameters.

Pre-norm blocks with RMSNorm (Zhang and Sennrich 2019, arXiv:1910.07467), rotary positions (Su et al. 2021,
arXiv:2104.09864), a gated MLP (Shazeer 2020, arXiv:2002.05202), an embedding tied to the head.
"""

import copy

import torch
from torch import nn
from torch.nn import functional as F

from mcomp.arrays import bad_value, check_int

__all__ = ["BYTES", "TinyGPT", "rotary", "untied"]

BYTES = 256
BASE = 10_000.0  # the slowest pair of a head turns once in 2π·BASE bytes


def rotary(x, *, start=0):
    """Turn the pairs (i, i + half) of each position's vector by its position times a frequency.

    ``q_m·k_n`` then depends on m - n only: a turn by m undone by a turn by n.

    Parameters
    ----------
    x : tensor (..., positions, dim), dim even
    start : int
        The position of the first vector.

    Returns
    -------
    y : tensor like `x`

    Examples
    --------
    >>> rotary(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))  # by 0 and by 1 radian
    tensor([[1.0000, 0.0000],
            [0.5403, 0.8415]])
    """
    half, positions = x.shape[-1] // 2, x.shape[-2]
    wide = torch.promote_types(x.dtype, torch.float32)
    frequency = BASE ** (-torch.arange(half, dtype=wide, device=x.device) / half)
    angle = torch.arange(start, start + positions, dtype=wide, device=x.device)[:, None] * frequency
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)  # (positions, half)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def _earlier(queries, keys, device):
    """Which of all keys each of the last positions may see, (queries, keys); None where one sees all."""
    if queries == 1:
        return None
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)


class Attention(nn.Module):
    """Causal attention of `heads` queries; `kv_heads` keys and values, each for heads / kv_heads queries."""

    def __init__(self, dim, heads, kv_heads):
        super().__init__()
        self.heads, self.kv_heads = heads, kv_heads
        self.q_proj = nn.Linear(dim, dim, bias=False)
        self.k_proj = nn.Linear(dim, dim // heads * kv_heads, bias=False)
        self.v_proj = nn.Linear(dim, dim // heads * kv_heads, bias=False)
        self.o_proj = nn.Linear(dim, dim, bias=False)

    def forward(self, x, past=None):
        """Of new positions alone if `past`, of `mcomp.transformers.cache`, has the keys and values before."""
        q = self._split(self.q_proj(x), self.heads)  # (batch, heads, positions, dim / heads)
        k, v = self._split(self.k_proj(x), self.kv_heads), self._split(self.v_proj(x), self.kv_heads)
        if past is None:
            q, k, mask = rotary(q), rotary(k), None
        else:
            q, k, v = past.extend(q, k, v)  # of all positions, but for q
            mask = _earlier(q.shape[2], k.shape[2], x.device)
        if self.kv_heads != self.heads:
            k, v = (z.repeat_interleave(self.heads // self.kv_heads, dim=1) for z in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=past is None)
        return self.o_proj(y.transpose(1, 2).flatten(2))

    @staticmethod
    def _split(x, heads):
        return x.unflatten(2, (heads, -1)).transpose(1, 2)


class GatedMLP(nn.Module):
    """``down(silu(gate(x))·up(x))``."""

    def __init__(self, dim, hidden):
        super().__init__()
        self.gate_proj = nn.Linear(dim, hidden, bias=False)
        self.up_proj = nn.Linear(dim, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, dim, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """Attention, then the MLP, each reading a norm of the residual stream and adding to it."""

    def __init__(self, dim, heads, kv_heads, hidden):
        super().__init__()
        self.attention_norm, self.mlp_norm = nn.RMSNorm(dim, eps=1e-6), nn.RMSNorm(dim, eps=1e-6)
        self.attention, self.mlp = Attention(dim, heads, kv_heads), GatedMLP(dim, hidden)

    def forward(self, x, past=None):
        x = x + self.attention(self.attention_norm(x), past)
        return x + self.mlp(self.mlp_norm(x))


class TinyGPT(nn.Module):
    """Bytes in, (batch, positions), logits of the next byte out, (batch, positions, 256).

    Examples
    --------
    >>> model = TinyGPT()
    >>> sum(p.numel() for p in model.parameters()), model(torch.zeros(1, 5, dtype=torch.uint8)).shape
    (1312384, torch.Size([1, 5, 256]))
    """

    def __init__(self, dim=128, layers=6, heads=4, hidden=384, kv_heads=None, tied=True):
        super().__init__()
        dim, layers = check_int("dim", dim, 2, 4096), check_int("layers", layers, 1, 128)
        heads, hidden = check_int("heads", heads, 1, dim), check_int("hidden", hidden, 1, 16_384)
        kv_heads = check_int("kv_heads", heads if kv_heads is None else kv_heads, 1, heads)
        if dim % (2 * heads) or heads % kv_heads:
            raise bad_value(
                "dim, heads, kv_heads", (dim, heads, kv_heads), "heads of an even size, in groups"
            )
        if not isinstance(tied, bool):
            raise bad_value("tied", tied, "True or False")
        self.config = {"dim": dim, "layers": layers, "heads": heads, "hidden": hidden, "kv_heads": kv_heads,
                       "tied": tied}  # fmt: skip
        self.embed = nn.Embedding(BYTES, dim)
        self.layers = nn.ModuleList([Layer(dim, heads, kv_heads, hidden) for _ in range(layers)])
        self.norm = nn.RMSNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, BYTES, bias=False)
        if tied:
            self.head.weight = self.embed.weight
        self._start()

    def _start(self):
        """Normal weights of deviation 0.02, smaller where they add to the stream, 2·layers times."""
        deep = (2 * len(self.layers)) ** -0.5
        for name, p in self.named_parameters():
            if p.ndim == 2:
                adds = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(p, std=0.02 * (deep if adds else 1.0))

    def forward(self, x):
        x = self.embed(x.long())
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


def untied(model):
    """A copy of a `TinyGPT` whose head has a weight of its own, equal to the embedding's.

    Examples
    --------
    >>> model = untied(TinyGPT(dim=8, layers=1, heads=2, hidden=12))
    >>> model.config["tied"], model.head.weight is model.embed.weight
    (False, False)
    """
    model = copy.deepcopy(model)
    model.config["tied"] = False
    model.head.weight = nn.Parameter(model.embed.weight.detach().clone())
    return model
