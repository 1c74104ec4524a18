"""Search recipes under constraints: candidates, a sampler, an executor, and what was found (chapter 20)."""

from mcomp.search.candidate import METHODS, Candidate
from mcomp.search.drive import search, smallest_bytes
from mcomp.search.goal import Goal, Trained, best, on_front
from mcomp.search.space import ORDERS, Space, space_of
from mcomp.search.stages import carry_out

__all__ = [
    "METHODS", "ORDERS", "Candidate", "Goal", "Space", "Trained", "best", "carry_out", "on_front", "search",
    "smallest_bytes", "space_of",
]  # fmt: skip
