"""Any network: small architectures written as people write them, and what every operation does with each.

`matrix()` runs all operations on all networks; each cell is right, refused with a layer's name, or wrong.
"""

from mcomp.strangers import images, llama, mobile, odd, transformers  # noqa: F401 (they register themselves)
from mcomp.strangers.matrix import counts, listing, markdown, matrix, reasons, rows
from mcomp.strangers.right import OPERATIONS, Cell
from mcomp.strangers.stranger import STRANGERS, Stranger

__all__ = [
    "OPERATIONS",
    "STRANGERS",
    "Cell",
    "Stranger",
    "counts",
    "listing",
    "markdown",
    "matrix",
    "reasons",
    "rows",
]
