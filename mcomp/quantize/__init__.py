"""Quantization: few values, described with few bits."""

from mcomp.quantize.codebooks import assign, centroid_means, kmeans_1d, within_ss
from mcomp.quantize.grids import (
    Grid,
    choose_grid,
    dequantize,
    fake_quantize,
    integer_range,
    quantize,
    range_grid,
)

__all__ = [
    "Grid", "assign", "centroid_means", "choose_grid", "dequantize", "fake_quantize", "integer_range",
    "kmeans_1d", "quantize", "range_grid", "within_ss",
]  # fmt: skip
