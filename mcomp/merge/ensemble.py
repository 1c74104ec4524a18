"""Several networks in one: their mean answer, side by side in one network, the lower half of another.

Derived in chapters/14b_tasks_and_ensembles.ipynb. Side by side is exact: block-diagonal weights, a grouped
convolution. Stitching: Lenc & Vedaldi 2015 (arXiv:1411.5908), Bansal et al. 2021 (arXiv:2106.07682).
"""

import torch
from torch import fx, nn

from mcomp import calling, plain
from mcomp.arrays import bad_value
from mcomp.trace import Tracer, check_own_tensors, untraceable

__all__ = ["Ensemble", "Stitched", "halves", "stitch"]


class Ensemble(nn.Module):
    """The mean of several networks' answers, as logits or as probabilities.

    Parameters
    ----------
    models : sequence of torch.nn.Module
        Called alike; each gives logits (batch, classes).
    probabilities : bool
        Average softmax probabilities and give their logarithm (what an ensemble usually means) instead of
        averaging logits.
    output : what picks the logits, see `mcomp.calling.pick`

    Examples
    --------
    >>> Ensemble([nn.Linear(2, 3), nn.Linear(2, 3)])(torch.ones(4, 2)).shape
    torch.Size([4, 3])
    """

    def __init__(self, models, *, probabilities=True, output=None):
        super().__init__()
        self.models = nn.ModuleList(models)
        if not self.models:
            raise bad_value("the number of networks", 0, "at least one")
        self.probabilities, self.output = probabilities, output

    def forward(self, *args, **kwargs):
        logits = torch.stack([calling.pick(model(*args, **kwargs), self.output) for model in self.models])
        if not self.probabilities:
            return logits.mean(0)
        return logits.log_softmax(-1).logsumexp(0) - torch.log(torch.tensor(float(len(self.models))))


class Stitched(nn.Module):
    """The layers of one network up to a cut, a stitching layer, the layers of another from its cut on.

    The halves are always in evaluation mode: training the layer moves no running statistics of theirs.
    """

    def __init__(self, lower, layer, upper):
        super().__init__()
        self.lower, self.layer, self.upper = lower, layer, upper
        self.train(self.training)

    def train(self, mode=True):
        super().train(mode)
        self.lower.eval()
        self.upper.eval()
        return self

    def forward(self, x):
        return self.upper(self.layer(self.lower(x)))


def stitch(lower, upper, layer, *, at):
    """`lower` up to and with the module ``at[0]``, then `layer`, then `upper` behind its module ``at[1]``.

    Parameters
    ----------
    lower, upper : torch.nn.Module
        With one input, traced by torch.fx. Not changed; what is copied from them is frozen, running
        statistics too.
    layer : torch.nn.Module
        From the first one's tensor to the second one's: a 1 x 1 convolution or a Linear, which is trained.
    at : pair of str
        Names of modules, each called once.

    Returns
    -------
    network : Stitched

    Raises
    ------
    ValueError
        If a name is unknown or called more than once; or if something else than the module's output leads
        past the cut, such as a shortcut (the message names it).

    Examples
    --------
    >>> net = lambda: nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3))
    >>> one, other = net(), net()
    >>> stitched = stitch(one, other, nn.Identity(), at=("1", "1"))
    >>> bool((stitched(torch.ones(1, 2)) == other[2](one[:2](torch.ones(1, 2)))).all())
    True
    """
    below, above = halves(lower, at[0])[0], halves(upper, at[1])[1]
    for p in (*below.parameters(), *above.parameters()):
        p.requires_grad_(False)
    return Stitched(below, layer, above)


def halves(model, at):
    """The network up to and with the module `at`, and what comes behind it: two networks of their own.

    Errors as `stitch`.
    """
    check_own_tensors(model)
    parts = [plain.copied(model) for _ in range(2)]
    return tuple(
        _half(part, _graph(part, at), at, side) for part, side in zip(parts, ("lower", "upper"), strict=True)
    )


class _Cut(Tracer):
    """For which the module at the cut is one node, whatever is in it."""

    def __init__(self, cut):
        super().__init__()
        self.cut = cut

    def is_leaf_module(self, module, name):
        return name == self.cut or super().is_leaf_module(module, name)


def _graph(model, name):
    try:
        return _Cut(name).trace(model)
    except Exception as error:
        raise untraceable(model, error) from None


def _half(model, graph, name, side):
    """One side of the cut behind the module `name`, as a network of its own."""
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    called = [node for node in graph.nodes if node.op == "call_module" and node.target == name]
    if len(inputs) != 1 or len(called) != 1:
        found = f"{name}, called {len(called)} times in a {type(model).__name__} with {len(inputs)} inputs"
        raise bad_value("the cut", found, "a module that is called once, in a network with one input")
    cut = called[0]
    above = _reached(cut)
    below = _reached(inputs[0]) - above - {cut}
    for node in below:
        if past := next((user for user in node.users if user in above), None):
            raise bad_value(
                "the cut", f"{name!r}, past which {node} leads to {past}", "one that nothing passes"
            )
    half, known = fx.Graph(), {}
    if side == "upper":
        known[cut] = half.placeholder("x")
    for node in graph.nodes:
        inside = node in above if side == "upper" else node in below or node in (cut, inputs[0])
        constant = node not in above and node not in below and node not in (cut, inputs[0])
        if node.op != "output" and (inside or constant):
            known[node] = half.node_copy(node, lambda n: known[n])
    last = cut if side == "lower" else next(n for n in graph.nodes if n.op == "output").args[0]
    half.output(fx.map_arg(last, lambda n: known[n]))
    made = fx.GraphModule(model, half)
    made.graph.eliminate_dead_code()
    made.recompile()
    return made.train(model.training)


def _reached(node):
    """All nodes that the output of `node` leads to."""
    found, open_nodes = set(), [node]
    while open_nodes:
        for user in open_nodes.pop().users:
            if user not in found:
                found.add(user)
                open_nodes.append(user)
    return found
