"""Several networks of one shape side by side in one, block by block: exactly the mean of their logits.

Derived in chapters/14b_tasks_and_ensembles.ipynb.
"""

import operator

import torch
from torch import fx, nn
from torch.nn import functional as F

from mcomp import plain
from mcomp.arrays import bad_value
from mcomp.made import remember, spec
from mcomp.measure import largest_difference
from mcomp.merge.ensemble import Ensemble
from mcomp.merge.means import same_shape
from mcomp.plain import check_plain, put_in
from mcomp.trace import LINEAR, called, layer

__all__ = ["side_by_side"]

LIMIT = 1e-9  # of a relative difference in float64
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
# Modules and functions that treat each channel for itself, whatever their number.
PASSING = (
    nn.Identity, nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Hardswish, nn.Sigmoid, nn.Tanh, nn.LeakyReLU,
    nn.Dropout, nn.Dropout2d, nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Flatten, nn.ZeroPad2d,
)  # fmt: skip
FUNCTIONS = {
    operator.add, operator.iadd, operator.mul, operator.imul, torch.add, torch.mul, torch.relu, torch.sigmoid,
    torch.tanh, torch.flatten, torch.mean, F.relu, F.gelu, F.silu, F.max_pool2d, F.avg_pool2d,
    F.adaptive_avg_pool2d, F.dropout,
}  # fmt: skip
METHODS = {"relu", "relu_", "sigmoid", "tanh", "flatten", "mean", "add", "add_", "mul", "contiguous"}


def side_by_side(models, x, *, output=None):
    """One network that holds all of `models` side by side and gives the mean of their logits.

    The first layers read the same input: their rows stand below each other. Inside, weights are
    block-diagonal, of a convolution by its groups. The last layer reads all: its columns stand beside each
    other, divided by the number of networks.

    Parameters
    ----------
    models : sequence of torch.nn.Module
        Of one shape and class, traced by torch.fx. Not changed.
    x : tensor (n, ...), or several inputs as in `mcomp.calling`
        A few inputs. The network is built in float64 and compared with the mean there; in the type of the
        first one, the last layer's weights, divided by the number of networks, are rounded once.
    output : what picks the logits, see `mcomp.calling.pick`

    Returns
    -------
    wide : torch.nn.Module
        Of the class of the first, in evaluation mode. Dense layers inside are as large as n networks squared:
        all zeros between the blocks, which a sparse code writes for little (chapter 02).

    Raises
    ------
    ValueError
        With the layer's name, if it is of a kind that has no block-diagonal form here, shared, called more
        than once, or if the logits don't come straight from a Linear or a convolution.

    Examples
    --------
    >>> net = lambda: nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3))
    >>> side_by_side([net(), net()], torch.ones(1, 2))
    Sequential(
      (0): Linear(in_features=2, out_features=8, bias=True)
      (1): ReLU()
      (2): Linear(in_features=8, out_features=3, bias=True)
    )
    """
    same_shape(models)
    types = {name: tensor.dtype for name, tensor in models[0].state_dict().items()}
    models = [plain.copied(model).double().eval() for model in models]
    first = models[0]
    graph, wide, put = plain.graph_of(first), plain.copied(first), {}
    last = next(node for node in graph.nodes if node.op == "output").args[0]
    if not isinstance(last, fx.Node) or not isinstance(layer(first, last), LINEAR):
        raise bad_value(
            f"the output of {type(first).__name__}", f"{last}", "that of a Linear or a convolution"
        )
    kind = type(first).__name__
    apart = set()  # nodes whose channels stand side by side
    for node in graph.nodes:
        kinds = {n in apart for n in node.all_input_nodes}
        if node.op in ("placeholder", "output"):
            continue
        if len(kinds) != 1:
            raise bad_value(
                f"an operation of {kind}", f"{node}, on the input and on channels", "one on channels alone"
            )
        if node.op != "call_module":
            _check_function(node, kind)
            apart |= {node} if kinds == {True} else set()
            continue
        made = _beside(models, graph, node, reads=kinds == {True}, last=node is last)
        if made is not None:
            put[node.target] = [["", *spec(made)]] if isinstance(made, LINEAR) else None
            put_in(wide, node.target, made)
            apart.add(node)
        elif kinds == {True}:
            apart.add(node)
    _check(models, wide, x, output)
    for name, tensor in [*wide.named_parameters(), *wide.named_buffers()]:
        tensor.data = tensor.data.to(types[name])
    return wide if None in put.values() else remember(wide, "put", put)


def _check(models, wide, x, output):
    try:
        difference = largest_difference(
            Ensemble(models, probabilities=False, output=output), wide, x, output=output
        )
        found = f"off by {difference:.1e}" if difference > LIMIT else ""
    except RuntimeError as error:  # an operation that mixes channels leaves another shape
        found = f"no network that runs ({error})"
    if found:
        raise bad_value("the networks side by side", found, "the mean of their logits")


def _check_function(node, kind):
    known = METHODS if node.op == "call_method" else FUNCTIONS
    if node.target not in known:
        found = f"{called(node)} ({node})"
        raise bad_value(f"an operation of {kind}", found, "one that treats each channel for itself")


def _beside(models, graph, node, *, reads, last):
    """What stands in place of a module; None where it may stay."""
    name = node.target
    layers = [model.get_submodule(name) for model in models]
    kind = type(layers[0])
    if kind in PASSING:
        return None
    if kind not in (*LINEAR, *NORMS):
        raise bad_value("the layer", f"{name} ({kind.__name__})", "a Linear, a convolution or a batch norm")
    check_plain(models[0], name, (*LINEAR, *NORMS))
    if sum(n.op == "call_module" and n.target == name for n in graph.nodes) > 1:
        raise bad_value("the layer", f"{name}, called more than once", "one that is called once")
    if kind in NORMS:
        if not reads:
            raise bad_value("the layer", f"{name}, on the network's input", "one on channels of a layer")
        return _norm(layers)
    return _layer(layers, reads=reads, last=last)


def _norm(layers):
    kind, first = type(layers[0]), layers[0]
    made = kind(
        first.num_features * len(layers), first.eps, first.momentum, first.affine, first.track_running_stats
    ).to(next(iter(first.state_dict().values())))
    state = {
        name: tensor if tensor.ndim == 0 else torch.cat([m.state_dict()[name] for m in layers])
        for name, tensor in first.state_dict().items()
    }
    made.load_state_dict(state)
    return made.eval()


def _layer(layers, *, reads, last):
    """Rows below each other; block-diagonal where it reads channels; columns side by side at the end."""
    first, n = layers[0], len(layers)
    weights, biases = [m.weight.detach() for m in layers], [m.bias for m in layers]
    groups = getattr(first, "groups", 1)
    if last:
        if groups > 1:
            raise bad_value("the last layer", first, "one without groups")
        weight = torch.cat(weights, dim=1) / n if reads else sum(weights) / n
        bias = None if biases[0] is None else sum(b.detach() for b in biases) / n
    else:
        diagonal = reads and isinstance(first, nn.Linear)
        weight = torch.block_diag(*weights) if diagonal else torch.cat(weights)
        bias = None if biases[0] is None else torch.cat([b.detach() for b in biases])
        groups = groups * n if reads else groups
        if groups > 1 and not reads:
            raise bad_value("the first layer", first, "one without groups")
    made = plain.copied(first)
    made.weight = nn.Parameter(weight, requires_grad=first.weight.requires_grad)
    if bias is not None:
        made.bias = nn.Parameter(bias, requires_grad=first.bias.requires_grad)
    if isinstance(first, nn.Linear):
        made.out_features, made.in_features = weight.shape
    else:
        made.groups = groups
        made.out_channels, made.in_channels = weight.shape[0], weight.shape[1] * groups
    return made
