"""Pruning: which weights stay."""

from mcomp.prune.graph import ChannelGraph, channel_graph
from mcomp.prune.masks import (
    global_topk_masks,
    kept_count,
    relative_threshold_mask,
    sparsity,
    threshold_mask,
    topk_mask,
)
from mcomp.prune.moves import drop_and_grow, erdos_renyi_counts, surgery_mask, surgery_score
from mcomp.prune.network import apply_masks, prunable_weights
from mcomp.prune.neurons import output_activity, output_mean, output_std
from mcomp.prune.nm import nm_mask, nm_patterns
from mcomp.prune.plan import Plan
from mcomp.prune.planning import plan_channels, plan_for_macs, plan_widths
from mcomp.prune.scan import sensitivity_scan
from mcomp.prune.schedules import cosine_fraction, cubic_sparsity, iterative_sparsity, steer
from mcomp.prune.scores import magnitude, movement, obd, random_score, taylor, wanda
from mcomp.prune.structured import (
    activation_scores,
    channel_scores,
    gamma_scores,
    l1_scores,
    l2_scores,
    random_scores,
    relative,
    taylor_scores,
    unit_sums,
)
from mcomp.prune.surgeon import damped_inverse, obs, obs_update
from mcomp.prune.surgery import recalibrate, remove_channels, zero_channels

__all__ = [
    "ChannelGraph",
    "Plan",
    "activation_scores",
    "apply_masks",
    "channel_graph",
    "channel_scores",
    "cosine_fraction",
    "cubic_sparsity",
    "damped_inverse",
    "drop_and_grow",
    "erdos_renyi_counts",
    "gamma_scores",
    "global_topk_masks",
    "iterative_sparsity",
    "kept_count",
    "l1_scores",
    "l2_scores",
    "magnitude",
    "movement",
    "nm_mask",
    "nm_patterns",
    "obd",
    "obs",
    "obs_update",
    "output_activity",
    "output_mean",
    "output_std",
    "plan_channels",
    "plan_for_macs",
    "plan_widths",
    "prunable_weights",
    "random_score",
    "random_scores",
    "recalibrate",
    "relative",
    "relative_threshold_mask",
    "remove_channels",
    "sensitivity_scan",
    "sparsity",
    "steer",
    "surgery_mask",
    "surgery_score",
    "taylor",
    "taylor_scores",
    "threshold_mask",
    "topk_mask",
    "unit_sums",
    "wanda",
    "zero_channels",
]  # fmt: skip
