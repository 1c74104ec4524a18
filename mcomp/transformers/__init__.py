"""A language model at work: what it keeps of the text, and how it writes faster (19); an encoder (18)."""

from mcomp.transformers.cache import Cache, cache_bytes, run
from mcomp.transformers.encoder import Encoder, load_minilm, minilm_folder
from mcomp.transformers.generate import chances, draw, generate, parses
from mcomp.transformers.heads import share_heads
from mcomp.transformers.kv import quantized_bytes, quantized_cache
from mcomp.transformers.lean import Lean, plain_product
from mcomp.transformers.shallow import keep_layers
from mcomp.transformers.speculative import (
    Speculated,
    acceptance,
    expected_tokens,
    residual,
    speculate,
    speed_up,
    verify,
)
from mcomp.transformers.window import window_cache
from mcomp.transformers.wordpiece import WordPiece

__all__ = [
    "Cache", "Encoder", "Lean", "Speculated", "WordPiece", "acceptance", "cache_bytes", "chances", "draw",
    "expected_tokens", "generate", "keep_layers", "load_minilm", "minilm_folder", "parses", "plain_product",
    "quantized_bytes", "quantized_cache", "residual", "run", "share_heads", "speculate", "speed_up",
    "verify", "window_cache",
]  # fmt: skip
