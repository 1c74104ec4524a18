"""One network for several tasks: a shared trunk, weights of losses, gradients in conflict (chapter 15)."""

from mcomp.multitask.gradients import VARIANTS, cosines, gram, pcgrad_weights, task_gradients
from mcomp.multitask.trunk import Shared, branch
from mcomp.multitask.weighting import Uncertainty, gradnorm_loss, gradnorm_targets, resting_weights

__all__ = [
    "VARIANTS", "Shared", "Uncertainty", "branch", "cosines", "gradnorm_loss", "gradnorm_targets", "gram",
    "pcgrad_weights", "resting_weights", "task_gradients",
]  # fmt: skip
