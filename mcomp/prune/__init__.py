"""Pruning, on arrays: which weights stay. Networks: `mcomp.channels` and `mcomp.sparse_training`."""

from mcomp.prune.masks import (
    global_topk_masks,
    kept_count,
    relative_threshold_mask,
    sparsity,
    threshold_mask,
    topk_mask,
)
from mcomp.prune.moves import drop_and_grow, erdos_renyi_counts, surgery_mask, surgery_score
from mcomp.prune.neurons import output_activity, output_mean, output_std
from mcomp.prune.nm import nm_mask, nm_patterns
from mcomp.prune.schedules import cosine_fraction, cubic_sparsity, iterative_sparsity, steer
from mcomp.prune.scores import magnitude, movement, obd, random_score, taylor, wanda
from mcomp.prune.surgeon import damped_inverse, obs, obs_update

__all__ = [
    "cosine_fraction", "cubic_sparsity", "damped_inverse", "drop_and_grow", "erdos_renyi_counts",
    "global_topk_masks", "iterative_sparsity", "kept_count", "magnitude", "movement", "nm_mask",
    "nm_patterns", "obd", "obs", "obs_update", "output_activity", "output_mean", "output_std",
    "random_score", "relative_threshold_mask", "sparsity", "steer", "surgery_mask", "surgery_score",
    "taylor", "threshold_mask", "topk_mask", "wanda",
]  # fmt: skip
