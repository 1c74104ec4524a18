"""Quantization: few values, described with few bits."""

from mcomp.quantize.codebooks import assign, centroid_means, kmeans_1d, within_ss

__all__ = ["assign", "centroid_means", "kmeans_1d", "within_ss"]
