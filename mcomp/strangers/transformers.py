"""Strangers that attend: the styles of timm, Hugging Face's BERT, GPT-2, ALBERT and LLaMA."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from mcomp.strangers.stranger import CLASSES, ROWS, stranger

WORDS, LENGTH, DIM, HEADS = 11, 7, 8, 2


class VisionTransformer(nn.Module):
    def __init__(self, patch=4, size=8):
        super().__init__()
        self.conv_proj = nn.Conv2d(3, DIM, kernel_size=patch, stride=patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, DIM))
        self.pos_embedding = nn.Parameter(torch.empty(1, 1 + (size // patch) ** 2, DIM).normal_(std=0.2))
        block = nn.TransformerEncoderLayer(
            DIM, HEADS, 2 * DIM, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(block, 2, norm=nn.LayerNorm(DIM), enable_nested_tensor=False)
        self.heads = nn.Sequential(nn.Linear(DIM, CLASSES))

    def forward(self, x):
        n = x.shape[0]
        x = self.conv_proj(x).reshape(n, DIM, -1).permute(0, 2, 1)
        x = torch.cat([self.class_token.expand(n, -1, -1), x], dim=1)
        x = self.encoder(x + self.pos_embedding)
        return self.heads(x[:, 0])


@stranger("vit", "a vision transformer on nn.MultiheadAttention: class token, position embedding")
def vit():
    return VisionTransformer(), torch.randn(ROWS, 3, 8, 8)


@dataclass
class ModelOutput:
    """What Hugging Face's networks return: neither tensor nor tuple."""

    logits: Any
    hidden_states: Any = None


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(DIM, DIM) for _ in range(3))
        self.dropout = nn.Dropout(0.1)

    def split_heads(self, x):
        return x.view(*x.size()[:-1], HEADS, DIM // HEADS).permute(0, 2, 1, 3)

    def forward(self, hidden_states, attention_mask=None):
        q, k, v = (self.split_heads(f(hidden_states)) for f in (self.query, self.key, self.value))
        scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(DIM // HEADS)
        if attention_mask is not None:
            scores = scores + attention_mask
        probs = self.dropout(nn.functional.softmax(scores, dim=-1))
        context = torch.matmul(probs, v).permute(0, 2, 1, 3).contiguous()
        return (context.view(*context.size()[:-2], DIM),)


class BertLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.dense = SelfAttention(), nn.Linear(DIM, DIM)
        self.LayerNorm = nn.LayerNorm(DIM)
        self.intermediate, self.output_dense = nn.Linear(DIM, 2 * DIM), nn.Linear(2 * DIM, DIM)
        self.output_norm = nn.LayerNorm(DIM)

    def forward(self, hidden_states, attention_mask=None):
        attended = self.attention(hidden_states, attention_mask=attention_mask)[0]
        x = self.LayerNorm(self.dense(attended) + hidden_states)
        return self.output_norm(self.output_dense(F.gelu(self.intermediate(x))) + x)


class BertEmbeddings(nn.Module):
    def __init__(self):
        super().__init__()
        self.word_embeddings = nn.Embedding(WORDS, DIM, padding_idx=0)
        self.position_embeddings = nn.Embedding(LENGTH, DIM)
        self.LayerNorm = nn.LayerNorm(DIM)
        self.register_buffer("position_ids", torch.arange(LENGTH).expand((1, -1)))

    def forward(self, input_ids):
        positions = self.position_ids[:, : input_ids.size(1)]
        return self.LayerNorm(self.word_embeddings(input_ids) + self.position_embeddings(positions))


class BertForSequenceClassification(nn.Module):
    def __init__(self):
        super().__init__()
        self.embeddings = BertEmbeddings()
        self.encoder = nn.ModuleList([BertLayer() for _ in range(2)])
        self.pooler = nn.Linear(DIM, DIM)
        self.classifier = nn.Linear(DIM, CLASSES)

    def forward(self, input_ids=None, attention_mask=None, labels=None):
        x = self.embeddings(input_ids)
        mask = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * -1e4
        for block in self.encoder:
            x = block(x, attention_mask=mask)
        pooled = torch.tanh(self.pooler(x[:, 0]))
        return ModelOutput(logits=self.classifier(pooled), hidden_states=(x,))


@stranger("bert", "Hugging Face's BERT: keyword inputs, an output object", pick=lambda out: out.logits)
def bert():
    words = torch.randint(1, WORDS, (ROWS, LENGTH))
    mask = torch.ones(ROWS, LENGTH, dtype=torch.int64)
    mask[::2, 5:] = 0
    return BertForSequenceClassification(), {"input_ids": words, "attention_mask": mask}


class Conv1D(nn.Module):
    """GPT-2's linear layer, whose weight is (in, out)."""

    def __init__(self, nf, nx):
        super().__init__()
        self.nf = nf
        self.weight = nn.Parameter(torch.empty(nx, nf).normal_(std=0.3))
        self.bias = nn.Parameter(torch.zeros(nf))

    def forward(self, x):
        size_out = (*x.size()[:-1], self.nf)
        x = torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight)
        return x.view(size_out)


class GPT2Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
        self.c_attn, self.c_proj = Conv1D(3 * DIM, DIM), Conv1D(DIM, DIM)
        self.c_fc, self.c_out = Conv1D(2 * DIM, DIM), Conv1D(DIM, 2 * DIM)
        self.register_buffer("causal", torch.tril(torch.ones(LENGTH, LENGTH, dtype=torch.bool)))

    def attend(self, x):
        b, t, c = x.size()
        q, k, v = self.c_attn(x).split(c, dim=2)
        q, k, v = (z.view(b, t, HEADS, c // HEADS).transpose(1, 2) for z in (q, k, v))
        scores = q @ k.transpose(-2, -1) / math.sqrt(c // HEADS)
        scores = scores.masked_fill(~self.causal[:t, :t], float("-inf"))
        return self.c_proj((scores.softmax(-1) @ v).transpose(1, 2).contiguous().view(b, t, c))

    def forward(self, x):
        x = x + self.attend(self.ln_1(x))
        return x + self.c_out(F.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class GPT2(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(CLASSES, DIM), nn.Embedding(LENGTH, DIM)
        self.h = nn.ModuleList([GPT2Block() for _ in range(2)])
        self.ln_f = nn.LayerNorm(DIM)
        self.lm_head = nn.Linear(DIM, CLASSES, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, input_ids):
        positions = torch.arange(input_ids.size(1), device=input_ids.device)
        x = self.wte(input_ids) + self.wpe(positions)
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x)), x


@stranger(
    "gpt2",
    "GPT-2: Conv1D with weights (in, out), tied embedding, a tuple out",
    pick=lambda out: out[0][:, -1],
)
def gpt2():
    return GPT2(), torch.randint(CLASSES, (ROWS, LENGTH))


class Albert(nn.Module):
    def __init__(self, depth=3):
        super().__init__()
        self.depth = depth
        self.embeddings = BertEmbeddings()
        self.shared_block = BertLayer()
        self.classifier = nn.Linear(DIM, CLASSES)

    def forward(self, input_ids):
        x = self.embeddings(input_ids)
        for _ in range(self.depth):
            x = self.shared_block(x)
        return self.classifier(x.mean(1))


@stranger("albert", "ALBERT: one block called three times")
def albert():
    return Albert(), torch.randint(1, WORDS, (ROWS, LENGTH))
