"""Chapter 05: slips that blind trials found, two at once and at the edges, beside `ch05_mistakes`."""

import numpy as np

from mcomp.course.model import Mistake
from mcomp.course.specs import ch05_parts as p


def _root_on_success(holds, start, factor):
    good, now, out = start / factor, start, [start]
    for held in holds:
        good, factor = (now, factor**0.5) if held else (good, factor)
        now = good * factor
        out.append(now)
    return np.array(out)


SLIPS = {
    "05.5": (
        Mistake("root_on_success", _root_on_success,
                "you took the root where the accuracy held; it is after a fall that the factor shrinks"),
        Mistake("none_yet", lambda holds, *a: p.tried(holds, *a) if len(holds) else np.zeros(0),
                "before any verdict `start` has been tried: with no verdict yours is [start], not empty"),
    ),
    "05.6": (
        Mistake("only_kept",
                lambda first, trained, k: first.ravel()[np.argsort(-abs(trained), None, "stable")[:k]],
                "you returned the k values alone; the others stay in their places as zeros"),
        Mistake("tail_slice_alone", lambda first, trained, k: p.ticket(first, trained, k or first.size),
                "for k = 0 the slice [-k:] is the whole order, so everything stays"),
    ),
}  # fmt: skip
