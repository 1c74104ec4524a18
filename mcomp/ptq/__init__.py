"""Quantization after training: what can be repaired without a label (chapter 07)."""

from mcomp.ptq.adaround import adaround, choose_rounding
from mcomp.ptq.equalize import clip_weights, correct_bias, equalize

__all__ = ["adaround", "choose_rounding", "clip_weights", "correct_bias", "equalize"]
