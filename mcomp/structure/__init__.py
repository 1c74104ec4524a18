"""Networks into other networks that compute nearly the same: `model -> new model`, the input unchanged."""

from mcomp.structure.fold import fold_batchnorm, folded

__all__ = ["fold_batchnorm", "folded"]
