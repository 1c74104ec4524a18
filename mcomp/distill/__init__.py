"""Distillation: learning from a teacher."""

from mcomp.distill.fit import fit, teaching
from mcomp.distill.losses import (
    decouple,
    decoupled_kd_loss,
    kd_loss,
    logit_matching_loss,
    smoothed_logits,
    softmax_t,
)

__all__ = [
    "decouple", "decoupled_kd_loss", "fit", "kd_loss", "logit_matching_loss", "smoothed_logits", "softmax_t",
    "teaching",
]  # fmt: skip
