"""Distillation: learning from a teacher."""

from mcomp.distill.losses import kd_loss, softmax_t

__all__ = ["kd_loss", "softmax_t"]
