"""One trunk, a head for each task: hard sharing, and where a network branches.

Derived in chapters/15_one_trunk_several_tasks.ipynb. Caruana 1997 (Machine Learning 28).
"""

import torch
from torch import fx, nn

from mcomp.arrays import bad_value, check_int
from mcomp.merge import Stitched, halves
from mcomp.plain import put_in
from mcomp.trace import layer, trace

__all__ = ["Shared", "branch"]


class Shared(nn.Module):
    """A trunk whose features go to the heads of several tasks.

    Parameters
    ----------
    trunk : torch.nn.Module
    heads : dict of task name to torch.nn.Module

    Examples
    --------
    >>> shared = Shared(nn.Linear(4, 3), {"digit": nn.Linear(3, 10), "turned": nn.Linear(3, 4)})
    >>> {name: tuple(y.shape) for name, y in shared(torch.ones(2, 4)).items()}
    {'digit': (2, 10), 'turned': (2, 4)}
    """

    def __init__(self, trunk, heads):
        super().__init__()
        if not heads:
            raise bad_value("heads", heads, "at least one task")
        self.trunk, self.heads = trunk, nn.ModuleDict(heads)

    def forward(self, *args, **kwargs):
        """The answer for each task, by name: the trunk runs once."""
        features = self.trunk(*args, **kwargs)
        return {name: head(features) for name, head in self.heads.items()}

    def task(self, name):
        """The network of one task: the same tensors, not a copy."""
        if name not in self.heads:
            raise bad_value("the task", name, f"one of {', '.join(self.heads)}")
        return Stitched(self.trunk, nn.Identity(), self.heads[name])


def branch(model, at, classes, *, seed=0):
    """A `Shared` network: `model` up to the module `at`, and for each task a copy of the rest of its own.

    Parameters
    ----------
    model : torch.nn.Module
        With one input, traced by torch.fx, whose output is that of a Linear. Not changed.
    at : str
        The name of a module that all of the data pass; what comes behind it isn't shared.
    classes : dict of task name to int
        How many outputs each task has. Its last layer is drawn anew, the rest starts as in `model`.
    seed : int
        Of the last layers.

    Raises
    ------
    ValueError
        As `mcomp.merge.stitch`; or if the output comes from something else than a Linear.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> shared = branch(model, "1", {"a": 2, "b": 5})
    >>> shared(torch.ones(1, 4))["b"].shape
    torch.Size([1, 5])
    """
    heads = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(check_int("seed", seed, 0))
        for name, count in classes.items():
            trunk, head = halves(model, at)
            last = next(node for node in trace(head).nodes if node.op == "output").args[0]
            old = layer(head, last) if isinstance(last, fx.Node) else None
            if not isinstance(old, nn.Linear):
                raise bad_value(f"the output of {type(model).__name__}", f"{last}", "that of a Linear")
            new = nn.Linear(
                old.in_features, check_int(f"the classes of {name}", count, 1), old.bias is not None
            )
            heads[name] = put_in(head, last.target, new.to(old.weight))
    return Shared(trunk, heads)
