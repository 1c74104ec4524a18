"""Pruning: which weights stay."""

from mcomp.prune.masks import (
    global_topk_masks,
    kept_count,
    relative_threshold_mask,
    sparsity,
    threshold_mask,
    topk_mask,
)
from mcomp.prune.network import apply_masks, prunable_weights
from mcomp.prune.scan import sensitivity_scan
from mcomp.prune.schedules import cubic_sparsity

__all__ = [
    "apply_masks", "cubic_sparsity", "global_topk_masks", "kept_count", "prunable_weights",
    "relative_threshold_mask", "sensitivity_scan", "sparsity", "threshold_mask", "topk_mask",
]  # fmt: skip
