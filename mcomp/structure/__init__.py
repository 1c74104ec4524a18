"""Networks into other networks that compute nearly the same: `model -> new model`, the input unchanged."""

from mcomp.structure.branches import merge_branches, unmerged_branches
from mcomp.structure.drop import Influence, drop, droppable, influence, loss_without
from mcomp.structure.exits import block_features, first_confident, linear_probe
from mcomp.structure.factorize import factorize
from mcomp.structure.fold import fold_batchnorm, folded, unfolded
from mcomp.structure.lora import lora, merge_lora
from mcomp.structure.merge import merge, mergeable
from mcomp.structure.ranks import choose_ranks, input_grams, layer_matrix, unfactorized
from mcomp.structure.separable import separable

__all__ = [
    "Influence", "block_features", "choose_ranks", "drop", "droppable", "factorize", "first_confident",
    "fold_batchnorm", "folded", "influence", "input_grams", "layer_matrix", "linear_probe", "lora",
    "loss_without", "merge", "merge_branches", "merge_lora", "mergeable", "separable", "unfactorized",
    "unfolded", "unmerged_branches",
]  # fmt: skip
