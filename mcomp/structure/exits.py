"""What a network knows before its end: features of a block, a linear probe of them, and when to stop there.

Derived in chapters/11_fewer_layers.ipynb. Linear probes: Alain & Bengio 2016, arXiv:1610.01644. Exits:
BranchyNet, Teerapittayanon et al. 2016, arXiv:1709.01686, which trains them with the network; a probe leaves
the network as it is.
"""

import torch
from torch import nn
from torch.nn import functional as F

from mcomp import calling
from mcomp.arrays import bad_value, check_finite, check_int, check_real
from mcomp.watch import watch

__all__ = ["block_features", "first_confident", "linear_probe"]


def block_features(model, names, x, *, batch_size=500):
    """What comes out of each block, as a mean over positions: dict of name to tensor (n, channels).

    Parameters
    ----------
    model : torch.nn.Module
        Run in evaluation mode.
    names : sequence of str
        Of submodules that are called once and return one tensor: (n, channels), (n, tokens, channels) or
        (n, channels, height, width).
    x : tensor (n, ...), or several inputs as in `mcomp.calling`

    Raises
    ------
    ValueError
        With the block's name, if it isn't the model's, isn't called once, or returns something else.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU())
    >>> block_features(model, ["1"], torch.zeros(5, 1, 4, 4))["1"].shape
    torch.Size([5, 3])
    """
    if isinstance(names, str):
        raise bad_value("names", names, "a list of names")
    found, means = {name: [] for name in names}, {2: (), 3: (1,), 4: (2, 3)}

    def look(name, block, out):
        if out.ndim not in means:
            raise bad_value("the output of", f"{name}, {tuple(out.shape)}", "a tensor of 2, 3 or 4 axes")
        found[name].append(out.mean(means[out.ndim]) if means[out.ndim] else out.clone())

    watch(model, x, look, names=names, outputs=True, batch_size=batch_size)
    for name, rows in found.items():
        if sum(map(len, rows)) != calling.count(x):
            raise bad_value("the block", f"{name}, which is called more than once", "one called once")
    return {name: torch.cat(rows) for name, rows in found.items()}


def linear_probe(z, y, *, decay=1e-3, steps=100):
    """The linear layer that best tells the classes `y` from the features `z`: logistic regression.

    It minimises the mean cross-entropy plus ``decay / 2`` times the squared weights, for features scaled to
    mean 0 and deviation 1. The problem is convex; with a decay there is one weight, which L-BFGS finds (with
    0 and features that separate the classes there is none: it would grow for ever).

    Parameters
    ----------
    z : tensor (n, channels) of floats
        Finite. Taken as numbers: no gradient goes back through them.
    y : tensor (n,) of int64
        Classes from 0.
    decay : float
        At least 0.
    steps : int
        Of L-BFGS, at most.

    Returns
    -------
    probe : torch.nn.Linear
        Takes `z` as it is; the scaling is folded into it.

    Raises
    ------
    ValueError
        If the shapes or dtypes don't fit, or a number is out of range or not finite.

    Examples
    --------
    >>> z, y = torch.tensor([[0.0], [1.0], [2.0], [3.0]]), torch.tensor([0, 0, 1, 1])
    >>> linear_probe(z, y)(z).argmax(1)
    tensor([0, 0, 1, 1])
    """
    _check_features(z, y)
    z = z.detach()
    decay, steps = check_real("decay", decay, 0.0), check_int("steps", steps, 1)
    mean, spread = z.double().mean(0), z.double().std(0, correction=0)
    spread = torch.where(spread > 0, spread, 1.0)  # a constant feature says nothing
    rows, classes = (z.double() - mean) / spread, int(y.max()) + 1
    w = torch.zeros(classes, z.shape[1], dtype=torch.float64, device=z.device, requires_grad=True)
    b = torch.zeros(classes, dtype=torch.float64, device=z.device, requires_grad=True)
    search = torch.optim.LBFGS([w, b], max_iter=steps, line_search_fn="strong_wolfe")

    def loss():
        search.zero_grad()
        value = F.cross_entropy(rows @ w.T + b, y) + decay / 2 * (w**2).sum()
        value.backward()
        return value

    with torch.enable_grad():
        search.step(loss)
    probe = nn.Linear(z.shape[1], classes, device=z.device, dtype=z.dtype)
    with torch.no_grad():
        probe.weight.copy_(w / spread)
        probe.bias.copy_(b - (w / spread) @ mean)
    return probe


def _check_features(z, y):
    if z.ndim != 2 or tuple(y.shape) != (len(z),) or not z.numel():
        raise bad_value(
            "z and y", (tuple(z.shape), tuple(y.shape)), "(n, channels) and (n,), n at least 1, channels too"
        )
    if not (z.is_floating_point() and y.dtype == torch.int64):
        raise bad_value("z and y", (z.dtype, y.dtype), "floats and torch.int64")
    check_finite("z", z.detach())
    if int(y.min()) < 0:
        raise bad_value("the least of y", int(y.min()), "classes from 0")


def first_confident(logits, threshold):
    """The exit that each input takes: the first whose largest probability reaches `threshold`, else the last.

    Parameters
    ----------
    logits : tensor (exits, n, classes)
        Of each exit, in the order of the network.
    threshold : float
        From 0, where all stop at the first exit; above 1 all go on to the last.

    Returns
    -------
    exit : tensor (n,) of int64

    Raises
    ------
    ValueError
        If `logits` has other axes, is empty or no floats, or `threshold` is negative.

    Examples
    --------
    >>> first_confident(torch.tensor([[[0.0, 0.1], [0.0, 9.0]], [[0.0, 0.1], [9.0, 0.0]]]), 0.9)
    tensor([1, 0])
    """
    if logits.ndim != 3 or not logits.numel():
        raise bad_value("logits.shape", tuple(logits.shape), "(exits, n, classes), none of them 0")
    if not logits.is_floating_point():
        raise bad_value("logits.dtype", logits.dtype, "floats")
    sure = logits.softmax(2).amax(2) >= check_real("threshold", threshold, 0.0)  # (exits, n)
    sure[-1] = True
    return sure.int().argmax(0)  # the first of equals
