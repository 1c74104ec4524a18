"""What scores need to know about a network and its data: gradients, curvature, inputs, outputs.

Every function looks at a model in evaluation mode and leaves it as it was. Results are dicts by the names of
`prunable_weights`. Derived in chapters/03_which_weights_matter.ipynb.
"""

from functools import partial

import torch
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from mcomp.arrays import bad_value, check_int
from mcomp.prune.network import prunable_weights
from mcomp.prune.scores import movement
from mcomp.train import Callback, evaluating


def gradients(model, pair, *, loss=F.cross_entropy, batch_size=1000):
    """The gradient of the mean loss over ``pair = (x, y)`` for each prunable weight.

    Parameters
    ----------
    model : torch.nn.Module
        Neither changed nor left with gradients.
    pair : (x, y) tensors with a row for each example
    loss : ``loss(outputs, y) -> scalar``, a mean over the rows; default cross-entropy in nats
    batch_size : int; how many rows at once, of no influence on the result but for rounding

    Returns
    -------
    gradients : dict of str to tensor, each of its weight's shape

    Raises
    ------
    ValueError
        If there are no examples, not as many labels, or no prunable weights.

    Examples
    --------
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> x, y = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [0.0]])
    >>> found = gradients(model, (x, y), loss=torch.nn.functional.mse_loss)["weight"]
    >>> bool(torch.isclose(found, 5 * model.weight).all())  # mean of 2·w·x²
    True
    """
    x, y = _check_pair(pair)
    weights = _weights(model)
    sums = {name: torch.zeros_like(w) for name, w in weights.items()}
    with evaluating(model):
        for rows, labels in _batches(x, y, batch_size):
            found = grad(lambda w, a=rows, b=labels: loss(functional_call(model, w, (a,)), b))(weights)
            for name, g in found.items():
                sums[name] += g * (len(rows) / len(x))
    return sums


def fisher_diagonal(model, pair, *, batch_size=32):
    """The mean over examples of the squared gradient of each example's own cross-entropy.

    The diagonal of the empirical Fisher matrix (Kunstner et al. 2019, arXiv:1905.12558, eq. 3), a common
    stand-in for the curvature in `obd`: one backward pass an example, in place of one a class.

    Parameters
    ----------
    model, pair : as for `gradients`; y holds labels
    batch_size : int
        Examples at once; each takes memory for a gradient of its own.

    Returns
    -------
    fisher : dict of str to tensor, each of its weight's shape, nowhere negative
    """
    return _mean_square(model, _check_pair(pair), F.cross_entropy, batch_size)


def hessian_diagonal(model, x, *, batch_size=32):
    """The diagonal of the Hessian of the mean cross-entropy, for networks of ReLU, max and linear layers.

    Such an output is piecewise linear in any *single* weight, so the second derivative of the loss is that
    of the cross-entropy alone: ``Jᵀ(diag(p) - ppᵀ)J``, with the softmax p and the Jacobian J of the outputs,
    averaged over the examples. For other networks this is the diagonal of the Gauss-Newton matrix (Martens
    2020, arXiv:1412.1193, section 8). It needs no labels, and is nowhere negative.

    Parameters
    ----------
    model, batch_size : as for `fisher_diagonal`
    x : tensor (n, ...); there is a backward pass for each row and each class

    Returns
    -------
    curvature : dict of str to tensor, each of its weight's shape
    """
    _check_pair((x, x))
    with evaluating(model):
        p = torch.cat([model(rows).softmax(1) for rows in x.split(batch_size)])  # (n, classes)
    eye, total = torch.eye(p.shape[1], dtype=p.dtype, device=p.device), {}
    for c in range(p.shape[1]):
        # diag(p) - ppᵀ is the sum over c of p_c·(e_c - p)(e_c - p)ᵀ
        factor = p[:, c : c + 1].sqrt() * (eye[c] - p)
        part = _mean_square(model, (x, factor), lambda z, f: (z * f).sum(), batch_size)
        total = {name: part[name] + total.get(name, 0) for name in part}
    return total


def input_rms(model, x, *, batch_size=1000):
    """Root mean square of what each weight is multiplied with, over all rows of `x` and all positions.

    Parameters
    ----------
    model : torch.nn.Module; x : tensor (n, ...), what goes into it

    Returns
    -------
    rms : dict of str to tensor
        (in,) for a linear layer; (in, kh, kw) for a convolution, where zeros of the padding count as inputs;
        the weight's whole shape for a convolution in groups. What `wanda` takes.
    """
    squares, counts = {}, {}
    for name, layer, inputs in _inputs(model, x, batch_size):
        total, count = _per_weight(layer, inputs.square()), _uses(layer, inputs)
        squares[name], counts[name] = squares.get(name, 0) + total, counts.get(name, 0) + count
    return {name: (total / counts[name]).sqrt() for name, total in squares.items()}


def layer_hessians(model, x, *, batch_size=1000):
    """``XᵀX/n`` for each layer: the Hessian of half its mean squared output error, shared by its rows.

    If a layer's weights go from W to V, its outputs change by ``½·mean‖(W - V)x‖² = ½·Σ_rows δᵀHδ``.

    Parameters
    ----------
    model, x : as for `input_rms`

    Returns
    -------
    hessians : dict of str to tensor
        (in, in) for a linear layer, (in·kh·kw, in·kh·kw) for a 2-D convolution without groups, whose weight
        is then read as (out, in·kh·kw); n counts rows and positions.

    Raises
    ------
    ValueError
        If a layer is of another kind.
    """
    sums, counts = {}, {}
    for name, layer, inputs in _inputs(model, x, batch_size):
        rows = _columns(name, layer, inputs)  # (n, in)
        sums[name] = sums.get(name, 0) + rows.T @ rows
        counts[name] = counts.get(name, 0) + len(rows)
    return {name: total / counts[name] for name, total in sums.items()}


def outputs(model, x, *, names, batch_size=1000):
    """What the submodules `names` put out for the rows of `x`: a dict of tensors (n, neurons, ...).

    Raises
    ------
    ValueError
        If a name is not one of ``model.named_modules()``.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU())
    >>> {name: tuple(y.shape) for name, y in outputs(model, torch.zeros(3, 1), names=["1"]).items()}
    {'1': (3, 2)}
    """
    modules = dict(model.named_modules())
    for name in names:
        if name not in modules:
            raise bad_value("name", name, f"one of {', '.join(filter(None, modules))}")
    seen = {name: [] for name in names}
    handles = [
        modules[name].register_forward_hook(lambda *call, into=seen[name]: into.append(call[2].clone()))
        for name in names
    ]
    _run(model, x, batch_size, handles)
    return {name: torch.cat(parts) for name, parts in seen.items()}


class Movement(Callback):
    """A callback of `train.fit` that adds up `movement`, -w·g, over the steps; read `scores` afterwards.

    Examples
    --------
    >>> watch = Movement()
    >>> watch.scores  # fit(model, data, callbacks=[watch]) fills it
    {}
    """

    def __init__(self):
        self.scores = {}

    def before_step(self, run):
        self._before = {name: w.clone() for name, w in _weights(run.model).items()}

    def after_step(self, run):
        parameters = dict(run.model.named_parameters())
        for name, w in self._before.items():
            self.scores[name] = self.scores.get(name, 0) + movement(w, parameters[name].grad)


def _check_pair(pair):
    x, y = pair
    if len(x) == 0 or len(y) != len(x):
        raise bad_value("pair", f"{len(x)} rows of x, {len(y)} of y", "as many of both, at least one")
    return x, y


def _weights(model):
    weights = prunable_weights(model)
    if not weights:
        raise bad_value("model", type(model).__name__, "a network with at least one weight to prune")
    return weights


def _batches(x, y, batch_size):
    batch_size = check_int("batch_size", batch_size, 1)
    return zip(x.split(batch_size), y.split(batch_size), strict=True)


def _mean_square(model, pair, loss, batch_size):
    """The mean over the examples of the squared gradient of ``loss(output, target)``, weight by weight."""
    x, y = pair
    weights = _weights(model)

    def one(w, row, target):
        return loss(functional_call(model, w, (row[None],))[0], target)

    sums = {name: torch.zeros_like(w) for name, w in weights.items()}
    with evaluating(model):
        for rows, targets in _batches(x, y, batch_size):
            for name, g in vmap(grad(one), (None, 0, 0))(weights, rows, targets).items():
                sums[name] += g.square().sum(0)
    return {name: total / len(x) for name, total in sums.items()}


def _run(model, x, batch_size, handles):
    try:
        with evaluating(model):
            for rows in x.split(check_int("batch_size", batch_size, 1)):
                model(rows)
    finally:
        for handle in handles:
            handle.remove()


def _inputs(model, x, batch_size):
    """Yields (weight's name, layer, its input) for each call of each layer, batch by batch."""
    _check_pair((x, x))
    layers = {name: model.get_submodule(name.rpartition(".")[0]) for name in _weights(model)}
    for rows in x.split(check_int("batch_size", batch_size, 1)):
        seen = []
        handles = [
            layer.register_forward_pre_hook(partial(_note, seen, name)) for name, layer in layers.items()
        ]
        _run(model, rows, len(rows), handles)
        yield from seen


def _note(seen, name, layer, args):
    seen.append((name, layer, args[0]))


def _per_weight(layer, squares):
    """The sum of `squares` that each weight is multiplied with: the gradient of the layer's summed output."""

    def summed(w):
        return functional_call(layer, {"weight": w}, (squares,)).sum()

    sums = grad(summed)(torch.zeros_like(layer.weight.detach()))
    return sums if getattr(layer, "groups", 1) > 1 else sums[0]  # all outputs see the same inputs


def _uses(layer, inputs):
    """How often each weight is used: once a row, and once a position of a convolution's output."""
    with torch.no_grad():
        return layer(inputs).numel() // layer.weight.shape[0]


def _columns(name, layer, inputs):
    if type(layer) is torch.nn.Linear:
        return inputs.flatten(0, -2)
    if type(layer) is torch.nn.Conv2d and layer.groups == 1 and layer.padding_mode == "zeros":
        patches = F.unfold(inputs, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
        return patches.transpose(1, 2).flatten(0, 1)  # (rows·positions, in·kh·kw)
    raise bad_value(f"the layer of {name}", layer, "a Linear, or a Conv2d without groups, padded with zeros")
