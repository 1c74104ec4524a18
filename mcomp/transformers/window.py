"""A cache of fixed size: the first positions and the newest ones, and nothing between them.

Xiao et al. 2023, arXiv:2309.17453: the softmax must give its weight to something, and networks learn to give
to the first positions what no other deserves ("attention sinks"). A window without them fails when the first
position leaves it. Positions are counted within the cache, so none is larger than in training (section 3.2):
keys are stored as they were before they are turned. Derived in chapter 19.
"""

from functools import partial

import torch

from mcomp.arrays import check_int
from mcomp.gpt import rotary
from mcomp.transformers.cache import Cache, Past

__all__ = ["WindowPast", "window_cache"]


def window_cache(model, *, sinks=4, window=252):
    """An empty `Cache` that holds the first `sinks` and the last `window` positions, the newest included.

    Up to ``sinks + window`` bytes, `run` gives what the whole pass gives. After that it reads byte by byte,
    each seeing what the cache holds; and what was dropped doesn't come back, so that `Cache.keep` refuses.

    Parameters
    ----------
    model : TinyGPT
    sinks : int of at least 0
    window : int of at least 1

    Returns
    -------
    cache : Cache, for `mcomp.transformers.run`

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> from mcomp.gpt import TinyGPT
    >>> from mcomp.transformers import generate
    >>> model = TinyGPT(dim=8, layers=1, heads=2, hidden=12)
    >>> cache = window_cache(model, sinks=1, window=7)
    >>> len(generate(model, b"import ", n=20, cache=cache)), cache.length
    (20, 8)
    """
    sinks, window = check_int("sinks", sinks, 0), check_int("window", window, 1)
    return Cache(model, past=partial(WindowPast, sinks=sinks, window=window))


class WindowPast(Past):
    """The `Past` of one layer: keys as they were before they are turned, and values."""

    def __init__(self, *, sinks, window):
        super().__init__()
        self.sinks, self.window, self.dropped = sinks, window, False

    @property
    def least(self):
        return self.length if self.dropped else 0

    def extend(self, q, k, v):
        self.keys.extend(k), self.values.extend(v)
        if self.length > self.sinks + self.window:
            self.dropped = True
            for rows in (self.keys, self.values):
                first, last = rows.recent[:, :, : self.sinks], rows.recent[:, :, -self.window :]
                rows.recent = torch.cat([first, last], dim=2)
        start = self.length - q.shape[2]
        return rotary(q, start=start), rotary(self.keys.recent), self.values.recent

    def pieces(self, n):
        free = min(n, self.sinks + self.window - self.length)
        return [free] * (free > 0) + [1] * (n - free)
