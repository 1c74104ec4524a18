"""Low rank, on arrays: a matrix as the product of two thin ones. Networks: `mcomp.structure`."""

from mcomp.lowrank.project import gram, low_rank, low_rank_plus_sparse, whitened_low_rank
from mcomp.lowrank.ranks import (
    break_even,
    budget_ranks,
    energy_rank,
    gap_rank,
    marchenko_pastur,
    marchenko_pastur_edges,
    relative_error,
)
from mcomp.lowrank.svd import jacobi_svd, randomized_svd
from mcomp.lowrank.tensors import cp_als, cp_tensor, khatri_rao, mode_product, tucker2, unfold

__all__ = [
    "break_even", "budget_ranks", "cp_als", "cp_tensor", "energy_rank", 
    "gap_rank", "gram", "jacobi_svd", "khatri_rao", "low_rank",
    "low_rank_plus_sparse", "marchenko_pastur", "marchenko_pastur_edges", "mode_product", "randomized_svd",
    "relative_error", "tucker2", "unfold", "whitened_low_rank",
]  # fmt: skip
