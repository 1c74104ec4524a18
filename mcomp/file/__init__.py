"""The file: a compressed network as one standard safetensors file, and back."""

from mcomp.coding.bits import CorruptFileError
from mcomp.file.container import NeedsModelError, byte_rows, load, read, save

__all__ = ["CorruptFileError", "NeedsModelError", "byte_rows", "load", "read", "save"]
