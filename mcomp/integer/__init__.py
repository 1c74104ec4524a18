"""A network that computes with integers only (chapter 07)."""

from mcomp.integer.errors import node_errors
from mcomp.integer.network import integer_network
from mcomp.integer.products import integer_conv2d, integer_matmul, integer_max_pool
from mcomp.integer.requantize import Multiplier, fixed_multiplier, requantize, requantize_float

__all__ = [
    "Multiplier", "fixed_multiplier", "integer_conv2d", "integer_matmul", "integer_max_pool",
    "integer_network", "node_errors", "requantize", "requantize_float",
]  # fmt: skip
