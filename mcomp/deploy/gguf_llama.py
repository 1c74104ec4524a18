"""How llama.cpp names the parts of a network, and the one thing in which its "llama" isn't TinyGPT.

Architecture, names and tokenizer: llama.cpp, gguf-py/gguf/constants.py and convert_hf_to_gguf.py
(https://github.com/ggml-org/llama.cpp).
"""

import numpy as np

from mcomp.gpt import BASE, BYTES
from mcomp.language import CONTEXT

__all__ = ["EPS", "KEYS", "byte_names", "halved", "interleaved", "metadata", "numbers", "places"]

FILE_TYPE = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 7}
EPS = 1e-6
PARTS = {  # of a layer: the name in the file, and here
    "attn_norm": "attention_norm", "attn_q": "attention.q_proj", "attn_k": "attention.k_proj",
    "attn_v": "attention.v_proj", "attn_output": "attention.o_proj", "ffn_norm": "mlp_norm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}  # fmt: skip
KEYS = {  # of TinyGPT's config
    "dim": "llama.embedding_length", "layers": "llama.block_count", "hidden": "llama.feed_forward_length",
    "heads": "llama.attention.head_count", "kv_heads": "llama.attention.head_count_kv",
}  # fmt: skip


def places(config):
    """Name in the file: the layer here, the shape of its weight, the heads whose rows change places or 0."""
    dim, hidden, heads, kv_heads = (config[name] for name in ("dim", "hidden", "heads", "kv_heads"))
    keys = dim // heads * kv_heads
    shapes = {"attn_norm": (dim,), "attn_q": (dim, dim), "attn_k": (keys, dim), "attn_v": (keys, dim),
              "attn_output": (dim, dim), "ffn_norm": (dim,), "ffn_gate": (hidden, dim),
              "ffn_up": (hidden, dim), "ffn_down": (dim, hidden)}  # fmt: skip
    turned = {"attn_q": heads, "attn_k": kv_heads}
    found = {"token_embd.weight": ("embed", (BYTES, dim), 0)}
    for i in range(config["layers"]):
        for name, layer in PARTS.items():
            found[f"blk.{i}.{name}.weight"] = f"layers.{i}.{layer}", shapes[name], turned.get(name, 0)
    found["output_norm.weight"] = "norm", (dim,), 0
    return found if config["tied"] else found | {"output.weight": ("head", (BYTES, dim), 0)}


def interleaved(w, heads):
    """The rows (i, i + half) of each head as rows (2i, 2i + 1)."""
    return w.reshape(heads, 2, -1, w.shape[1]).swapaxes(1, 2).reshape(w.shape)


def halved(w, heads):
    """Inverse of `interleaved`."""
    return np.ascontiguousarray(w.reshape(heads, -1, 2, w.shape[1]).swapaxes(1, 2).reshape(w.shape))


def numbers(config):
    """What llama.cpp has to know of the arithmetic, beyond the sizes."""
    size = config["dim"] // config["heads"]
    return {"llama.attention.layer_norm_rms_epsilon": EPS, "llama.rope.freq_base": BASE,
            "llama.rope.dimension_count": size}  # fmt: skip


def metadata(config, kind):
    """The keys and values of a file of this `kind` of weights; the tokenizer makes a token of each byte."""
    found = {"general.architecture": "llama", "general.name": "TinyGPT", "general.file_type": FILE_TYPE[kind]}
    if kind.startswith("q"):
        found["general.quantization_version"] = 2
    found |= {key: config[name] for name, key in KEYS.items()} | numbers(config)
    found |= {"llama.context_length": CONTEXT, "llama.vocab_size": BYTES}
    tokens = {"model": "gpt2", "pre": "default", "tokens": byte_names(), "merges": []}
    tokens |= {"bos_token_id": 0, "eos_token_id": 0, "add_bos_token": False}  # byte 0: no text holds it
    return found | {f"tokenizer.ggml.{key}": value for key, value in tokens.items()}


def byte_names():
    """The letter that GPT-2's tokenizer writes for each byte: its own if printed, else from 256 on."""
    printed = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(BYTES, 2 * BYTES))
    return [chr(b if b in printed else next(others)) for b in range(BYTES)]
