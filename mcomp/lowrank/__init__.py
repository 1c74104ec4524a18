"""Low rank: a matrix as the product of two thin ones, a convolution as two or three."""

from mcomp.lowrank.factorize import factorize
from mcomp.lowrank.network import choose_ranks, input_grams, layer_matrix
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
    "break_even", "budget_ranks", "choose_ranks", "cp_als", "cp_tensor", "energy_rank", "factorize",
    "gap_rank", "gram", "input_grams", "jacobi_svd", "khatri_rao", "layer_matrix", "low_rank",
    "low_rank_plus_sparse", "marchenko_pastur", "marchenko_pastur_edges", "mode_product", "randomized_svd",
    "relative_error", "tucker2", "unfold", "whitened_low_rank",
]  # fmt: skip
