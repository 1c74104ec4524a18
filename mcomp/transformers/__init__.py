"""A language model at work: what it keeps of the text, and how it writes faster (chapter 19)."""

from mcomp.transformers.cache import Cache, cache_bytes, run
from mcomp.transformers.generate import chances, draw, generate, parses
from mcomp.transformers.kv import quantized_bytes, quantized_cache

__all__ = [
    "Cache", "cache_bytes", "chances", "draw", "generate", "parses", "quantized_bytes", "quantized_cache",
    "run",
]  # fmt: skip
