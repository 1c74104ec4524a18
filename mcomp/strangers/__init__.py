"""Any network: small architectures written as people write them, and what every operation does with each."""

from mcomp.strangers import images, mobile, odd, transformers  # noqa: F401 (they register themselves)
from mcomp.strangers.stranger import STRANGERS, Stranger

__all__ = ["STRANGERS", "Stranger"]
