"""What writes text: something that reads bytes, gives logits after each, and can forget the last ones."""

import contextlib

import torch

from mcomp.arrays import bad_value
from mcomp.train import evaluating
from mcomp.transformers.cache import Cache, run
from mcomp.transformers.lean import Lean

__all__ = ["Reader", "reading"]


class Reader:
    """A `TinyGPT` and a cache, with the methods of `Lean`."""

    def __init__(self, model, cache):
        self.model, self.cache, self.keep = model, cache, cache.keep

    @property
    def length(self):
        return self.cache.length

    def read(self, new):
        """Logits (len(new), 256) in float64 numpy after each of some new bytes, a sequence of ints."""
        x = torch.tensor([list(new)], device=self.model.embed.weight.device)
        return run(self.model, x, cache=self.cache)[0].double().cpu().numpy()


@contextlib.contextmanager
def reading(model, cache=None):
    """`model`, a `TinyGPT` or a `Lean`, ready to read from the start; a network is in evaluation mode."""
    if isinstance(model, Lean):
        if cache is not None:
            raise bad_value("cache", type(cache).__name__, "None: Lean has its own")
        yield model.fresh()
        return
    cache = Cache(model) if cache is None else cache
    if cache.length:
        raise bad_value("cache.length", cache.length, "0, an empty cache")
    with evaluating(model):
        yield Reader(model, cache)
