"""Change a network one layer after the other, each by the inputs that the layers before it now give it.

What GPTQ, SparseGPT and Wanda share: a layer's outputs are linear in its weight, so all that its inputs X
have to say about an error is the matrix ``XᵀX/n``, and the layers before it have changed already when it is
measured (Frantar et al. 2022, arXiv:2210.17323).
"""

import torch

from mcomp import calling
from mcomp.arrays import bad_value, check_finite
from mcomp.layers import tell, untouched
from mcomp.plain import check_plain, copied, naming
from mcomp.trace import LINEAR
from mcomp.watch import input_grams, watch

__all__ = ["hessians", "in_order", "layer_by_layer", "read_together"]


def layer_by_layer(model, x, change, *, names=None):
    """A copy of `model` in which ``change(w, hessian)`` has made each layer's weight anew, in running order.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed.
    x : tensor (n, ...), or several inputs as in `mcomp.calling`
        Training examples; their labels aren't needed.
    change : callable
        ``change(w, hessian) -> v``: the weight (out, n) and ``XᵀX/n``, float64 (n, n), in; another (out, n)
        out. Of a convolution n is in·kh·kw.
    names : sequence of str, optional
        Names of the layers; default all linear ones, and convolutions, that run.

    Returns
    -------
    changed : torch.nn.Module

    Raises
    ------
    ValueError
        By name, if a layer isn't plain, is of another kind, or isn't called.

    Examples
    --------
    >>> from mcomp.prune.sparsegpt import sparsegpt
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    >>> sparse = layer_by_layer(model, torch.randn(50, 8), lambda w, h: sparsegpt(w, h, sparsity=0.5)[0])
    >>> [int((sparse[i].weight == 0).sum()) for i in (0, 2)]
    [16, 4]
    """
    model = copied(model).eval()
    ran = in_order(model, x, names)
    for name in ran:
        check_plain(model, name, LINEAR, what="a layer to change")
    for name, hessian in hessians(model, x, ran):
        w = model.get_submodule(name).weight
        with naming(name), torch.no_grad():
            rows = w.detach().flatten(1)
            new = check_finite("what change returned", change(rows, hessian))
            if new.shape != rows.shape:
                raise bad_value("the shape of what change returned", tuple(new.shape), tuple(rows.shape))
            w.copy_(new.reshape(w.shape))
    if names is None:
        tell("not changed", untouched(model, {f"{name}.weight".lstrip(".") for name in ran}))
    return model


def in_order(model, x, names=None):
    """The layers `names` (default: the linear and convolutional ones that run) in the order of their calls.

    Raises
    ------
    ValueError
        If one of `names` is unknown or isn't called, or no layer runs.
    """
    return [name for names in read_together(model, x, names) for name in names]


def hessians(model, x, names):
    """Yield (name, ``XᵀX/n`` of its inputs, float64) layer by layer, each when its turn has come.

    In running order; what the caller does to a layer the next one's inputs show. Layers that read the same
    tensor, such as queries, keys and values, are measured together: none of them can change it.
    """
    for group in read_together(model, x, names):
        yield from input_grams(model, x, names=group).items()


def read_together(model, x, names=None):
    """The layers in the order of their calls, in lists of those that read the same tensor and run once.

    Parameters and errors as of `in_order`.
    """
    groups, called, last = [], {}, None

    def note(name, layer, a):
        nonlocal last
        called[name] = called.get(name, 0) + 1
        key = a, a._version  # changed in place, it is another
        if called[name] > 1:
            return
        if last is not None and last[0] is key[0] and last[1] == key[1]:
            groups[-1].append(name)
        else:
            groups.append([name])
        last = key

    first, every = calling.take(x, slice(1)), names is not None
    watch(model, first, note, names=names if every else _layers(model), every=every)
    if not groups:
        raise bad_value("the layers that run", "none", f"at least one; {type(model).__name__} has none")
    alone = lambda group: [[name] for name in group]  # noqa: E731
    return [part for g in groups for part in (alone(g) if any(called[n] > 1 for n in g) else [g])]


def _layers(model):
    return [name for name, module in model.named_modules() if isinstance(module, LINEAR)]
