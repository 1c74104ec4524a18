"""Distillation: learning from a teacher."""

from mcomp.distill.copies import MeanTeacher, copy_layers
from mcomp.distill.features import attention_loss, attention_map, hint_loss
from mcomp.distill.fit import fit, teaching
from mcomp.distill.hints import Match, features_of, following, hint_fit, regressor
from mcomp.distill.losses import (
    decouple,
    decoupled_kd_loss,
    kd_loss,
    logit_matching_loss,
    smoothed_logits,
    softmax_t,
)
from mcomp.distill.parameters import parameter_loss, principal, procrustes, project, refit, selection
from mcomp.distill.relations import (
    angle_loss,
    angles,
    distance_loss,
    distances,
    similarities,
    similarity_loss,
)

__all__ = [
    "Match", "MeanTeacher", "angle_loss", "angles", "attention_loss", "attention_map", "copy_layers",
    "decouple", "decoupled_kd_loss", "distance_loss", "distances", "features_of", "fit", "following",
    "hint_fit", "hint_loss", "kd_loss", "logit_matching_loss", "parameter_loss", "principal",
    "procrustes", "project", "refit", "regressor", "selection", "similarities", "similarity_loss",
    "smoothed_logits", "softmax_t", "teaching",
]  # fmt: skip
