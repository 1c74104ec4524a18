"""Networks into other networks that compute nearly the same: `model -> new model`, the input unchanged."""

from mcomp.structure.branches import merge_branches, unmerged_branches
from mcomp.structure.drop import Influence, drop, droppable, influence, loss_without
from mcomp.structure.factorize import factorize
from mcomp.structure.fold import fold_batchnorm, folded, unfolded
from mcomp.structure.merge import merge, mergeable
from mcomp.structure.ranks import choose_ranks, input_grams, layer_matrix, unfactorized
from mcomp.structure.separable import separable

__all__ = [
    "Influence", "choose_ranks", "drop", "droppable", "factorize", "fold_batchnorm", "folded",
    "influence", "input_grams", "layer_matrix", "loss_without", "merge", "merge_branches", "mergeable",
    "separable", "unfactorized", "unfolded", "unmerged_branches",
]  # fmt: skip
