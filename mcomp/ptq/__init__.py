"""Quantization after training: what can be repaired without a label."""

from mcomp.ptq.adaround import adaround, choose_rounding
from mcomp.ptq.equalize import clip_weights, correct_bias, equalize
from mcomp.ptq.gptq import gptq_layers
from mcomp.ptq.layers import layer_by_layer
from mcomp.ptq.rotate import fold_gains, rotate
from mcomp.ptq.scaling import linear_readers, norm_readers, plant_outliers
from mcomp.ptq.smooth import awq, smooth

__all__ = [
    "adaround", "awq", "choose_rounding", "clip_weights", "correct_bias", "equalize", "fold_gains",
    "gptq_layers", "layer_by_layer", "linear_readers", "norm_readers", "plant_outliers", "rotate", "smooth",
]  # fmt: skip
