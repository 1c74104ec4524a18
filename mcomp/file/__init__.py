"""The file: a compressed network as one standard safetensors file, and back."""

from mcomp.coding.bits import CorruptFileError
from mcomp.file.container import byte_rows, load, read, save

__all__ = ["CorruptFileError", "byte_rows", "load", "read", "save"]
