"""Removing channels: who shares an axis with whom, what each is worth, a smaller network (chapter 04)."""

from mcomp.channels.graph import channel_graph
from mcomp.channels.groups import ChannelGraph
from mcomp.channels.plan import EmptiedError, Plan
from mcomp.channels.planning import plan_channels, plan_for_macs, plan_widths
from mcomp.channels.scores import (
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
from mcomp.channels.surgery import recalibrate, remove_channels, zero_channels

__all__ = [
    "ChannelGraph", "EmptiedError", "Plan", "activation_scores", "channel_graph", "channel_scores",
    "gamma_scores", "l1_scores", "l2_scores", "plan_channels", "plan_for_macs", "plan_widths",
    "random_scores", "recalibrate", "relative", "remove_channels", "taylor_scores", "unit_sums",
    "zero_channels",
]  # fmt: skip
