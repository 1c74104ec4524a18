"""Training with the rounding in the loop (chapter 08)."""

from mcomp.qat.network import (
    Flips,
    LearnedGrid,
    StepRates,
    attach_grids,
    bake_grids,
    grids,
    rounding_distance,
)
from mcomp.qat.quantizers import lsq, lsq_share, lsq_start, pact, round_straight_through

__all__ = [
    "Flips", "LearnedGrid", "StepRates", "attach_grids", "bake_grids", "grids", "lsq", "lsq_share",
    "lsq_start", "pact", "round_straight_through", "rounding_distance",
]  # fmt: skip
