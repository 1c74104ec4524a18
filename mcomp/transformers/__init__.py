"""A language model at work: what it keeps of the text, and how it writes faster (chapter 19)."""

from mcomp.transformers.cache import Cache, cache_bytes, run

__all__ = ["Cache", "cache_bytes", "run"]
