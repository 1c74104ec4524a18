"""A stranger in LLaMA's style: RMSNorm, rotary positions, grouped queries, a gated MLP."""

import torch
from torch import nn
from torch.nn import functional as F

from mcomp.strangers.stranger import CLASSES, ROWS, stranger
from mcomp.strangers.transformers import DIM, HEADS, LENGTH, WORDS


class RMSNorm(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


def rotate(x):
    t, half = x.shape[-2], x.shape[-1] // 2
    angle = torch.arange(t, dtype=x.dtype)[:, None] / 10000 ** (torch.arange(half, dtype=x.dtype) / half)
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], dim=-1)


class LlamaBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.input_norm, self.post_norm = RMSNorm(DIM), RMSNorm(DIM)
        self.q_proj, self.o_proj = nn.Linear(DIM, DIM, bias=False), nn.Linear(DIM, DIM, bias=False)
        self.k_proj, self.v_proj = (nn.Linear(DIM, DIM // HEADS, bias=False) for _ in range(2))
        self.gate_proj, self.up_proj = (nn.Linear(DIM, 12, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(12, DIM, bias=False)

    def forward(self, x):
        b, t, _ = x.shape
        h = self.input_norm(x)
        q = rotate(self.q_proj(h).view(b, t, HEADS, -1).transpose(1, 2))
        k, v = (f(h).view(b, t, 1, -1).transpose(1, 2) for f in (self.k_proj, self.v_proj))
        k, v = rotate(k).repeat_interleave(HEADS, dim=1), v.repeat_interleave(HEADS, dim=1)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o_proj(a.transpose(1, 2).reshape(b, t, DIM))
        h = self.post_norm(x)
        return x + self.down_proj(F.silu(self.gate_proj(h)) * self.up_proj(h))


class Llama(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(WORDS, DIM)
        self.blocks = nn.ModuleList([LlamaBlock() for _ in range(2)])
        self.norm = RMSNorm(DIM)
        self.score = nn.Linear(DIM, CLASSES, bias=False)

    def forward(self, input_ids):
        x = self.embed_tokens(input_ids)
        for block in self.blocks:
            x = block(x)
        return {"logits": self.score(self.norm(x)[:, -1]), "cache": None}


@stranger(
    "llama", "LLaMA: RMSNorm, rotary positions, grouped queries, gated MLP, a dict out",
    pick=lambda out: out["logits"],
)  # fmt: skip
def llama():
    return Llama(), torch.randint(WORDS, (ROWS, LENGTH))
