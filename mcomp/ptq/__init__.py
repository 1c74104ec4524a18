"""Quantization after training: what can be repaired without a label."""

from mcomp.ptq.adaround import adaround, choose_rounding
from mcomp.ptq.equalize import clip_weights, correct_bias, equalize
from mcomp.ptq.gptq import gptq_layers
from mcomp.ptq.layers import layer_by_layer

__all__ = [
    "adaround", "choose_rounding", "clip_weights", "correct_bias", "equalize", "gptq_layers",
    "layer_by_layer",
]  # fmt: skip
