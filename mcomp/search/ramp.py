"""The callback of a stage: codecs by name, and gradual pruning with a sparsity of its own for each layer."""

from mcomp.codecs import Sparse
from mcomp.codecs.attachment import attached
from mcomp.prune.schedules import cubic_sparsity
from mcomp.train import Callback

__all__ = ["Ramp"]

RAMP = 0.7  # the part of the pruning stage in which the sparsity rises
EVERY = 8  # steps between two choices of masks


class Ramp(Callback):
    """Gradual pruning, each layer to a sparsity of its own, by the cubic law (arXiv:1710.01878, eq. 1).

    `books` are the codebooks of what shares values; `before` and `after` the sparsities by name.
    """

    def __init__(self, model, books, before, after):
        self.model, self.books, self.before, self.after = model, books, before, after
        self.rising = [name for name in after if after[name] > before[name]]

    def rules(self, at):
        """The codec of each parameter that has one, when the part `at` of the ramp lies behind."""
        sparse = {
            name: Sparse(cubic_sparsity(at, start=0, end=1, initial=self.before[name], final=final))
            for name, final in self.after.items()
            if final > 0.0
        }
        both = {name: sparse[name] | book for name, book in self.books.items() if name in sparse}
        return self.books | sparse | both

    def originals(self):
        """The float weights that learn below the codecs, by name: copies."""
        return {name: self._original(name).clone() for name in attached(self.model)}

    def _original(self, name):
        path, _, leaf = name.rpartition(".")
        return self.model.get_submodule(path).parametrizations[leaf].original.detach()

    def before_step(self, run):
        """Fewer weights, every few steps until the ramp ends."""
        end = max(int(RAMP * run.steps), 1)
        if run.step % EVERY == 0 and run.step <= end:
            self.put(run.step / end)

    def put(self, at):
        """Choose the weights that stay at this part of the ramp."""
        rules, weights = self.rules(at), attached(self.model) if self.rising else {}
        for name in self.rising:
            weights[name].codec = rules[name]
            weights[name].reassign(self._original(name))
