"""Networks into other networks that compute nearly the same: `model -> new model`, the input unchanged."""

from mcomp.structure.factorize import factorize
from mcomp.structure.fold import fold_batchnorm, folded, unfolded
from mcomp.structure.ranks import choose_ranks, input_grams, layer_matrix, unfactorized

__all__ = [
    "choose_ranks", "factorize", "fold_batchnorm", "folded", "input_grams", "layer_matrix", "unfactorized",
    "unfolded",
]  # fmt: skip
