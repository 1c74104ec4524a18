"""What scores need to know about a network and its data: gradients, curvature, inputs, outputs, movement.

Every function looks at a model in evaluation mode and leaves it as it was. Results are dicts by the names of
`prunable_weights`. Derived in chapters/03_which_weights_matter.ipynb.
"""

import torch
from torch.func import functional_call, grad
from torch.nn import functional as F

from mcomp import calling
from mcomp.arrays import bad_value
from mcomp.layers import matrices
from mcomp.plain import own_forward
from mcomp.prune.scores import movement
from mcomp.sparse_training.curvature import fisher_diagonal, hessian_diagonal
from mcomp.sparse_training.network import batches, check_pair, outputs_with, weights_of
from mcomp.trace import LINEAR
from mcomp.train import Callback, evaluating
from mcomp.watch import input_grams, watch

__all__ = [
    "Movement", "fisher_diagonal", "gradients", "hessian_diagonal", "input_rms", "layer_hessians", "outputs",
]  # fmt: skip

TABLES = ("Embedding", "EmbeddingBag")


def gradients(model, pair, *, loss=F.cross_entropy, output=None, batch_size=1000):
    """The gradient of the mean loss over ``pair = (x, y)`` for each prunable weight.

    Parameters
    ----------
    model : torch.nn.Module
        Neither changed nor left with gradients.
    pair : (x, y) with a row for each example; `x` may be several inputs, as in `mcomp.calling`
    loss : ``loss(outputs, y) -> scalar``, a mean over the rows; default cross-entropy in nats
    output : what picks the outputs for the loss, see `mcomp.calling.pick`
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
    x, y = check_pair(pair)
    weights = weights_of(model)
    sums = {name: torch.zeros_like(w) for name, w in weights.items()}
    with evaluating(model):
        for rows, labels in batches(x, y, batch_size):
            found = grad(lambda w, a=rows, b=labels: loss(outputs_with(model, w, a, output), b))(weights)
            for name, g in found.items():
                sums[name] += g * (len(labels) / len(y))
    return sums


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
    for name, layer, inputs in _calls(model, x, batch_size):
        total, count = _per_weight(name, layer, inputs.square()), _uses(layer, inputs)
        squares[name], counts[name] = squares.get(name, 0) + total, counts.get(name, 0) + count
    return {_weight(name): (total / counts[name]).sqrt() for name, total in squares.items()}


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
    names = _layers(model)
    grams = input_grams(
        model, x, names=names, dtype=next(iter(weights_of(model).values())).dtype, batch_size=batch_size
    )
    return {_weight(name): gram for name, gram in grams.items()}


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
    seen = {name: [] for name in names}
    look = lambda name, layer, y: seen[name].append(y.clone())  # noqa: E731
    watch(model, x, look, names=names, outputs=True, batch_size=batch_size)
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
        self._before = {name: w.clone() for name, w in weights_of(run.model).items()}

    def after_step(self, run):
        parameters = dict(run.model.named_parameters())
        for name, w in self._before.items():
            self.scores[name] = self.scores.get(name, 0) + movement(w, parameters[name].grad)


def _layers(model):
    """The names of the layers whose weight multiplies their input; a table's rows are only looked up.

    Raises
    ------
    ValueError
        If another matrix multiplies something else: the error names it.
    """
    weights_of(model)
    found = {name: matrix for name, matrix in matrices(model).items() if matrix.kind not in TABLES}
    other = [name for name in found if not isinstance(model.get_submodule(name.rpartition(".")[0]), LINEAR)]
    if other:
        allowed = "weights of linear and convolutional layers, which multiply their input"
        raise bad_value("the matrices of the model", ", ".join(other), allowed)
    return [name.rpartition(".")[0] for name in found]


def _weight(layer):
    return f"{layer}.weight".lstrip(".")


def _calls(model, x, batch_size):
    """(name, layer, input) for each call of each layer, batch by batch; the layer isn't watched any more."""
    check_pair((x, x))
    for rows in calling.parts(x, batch_size):
        seen = []
        look = lambda *call, into=seen: into.append(call)  # noqa: E731
        watch(model, rows, look, names=_layers(model), batch_size=batch_size)
        yield from seen


def _per_weight(name, layer, squares):
    """The sum of `squares` that each weight is multiplied with: the gradient of the layer's summed output."""

    def summed(w):
        return functional_call(layer, {"weight": w}, (squares,)).sum()

    if not _is_linear(layer, squares):
        raise bad_value(
            "a layer", f"{name} ({type(layer).__name__})", "one whose outputs are linear in its weight"
        )
    sums = grad(summed)(torch.zeros_like(layer.weight.detach()))
    return sums if getattr(layer, "groups", 1) > 1 else sums[0]  # all outputs see the same inputs


def _is_linear(layer, x):
    """Whether the outputs are linear in the weight, where the class of the layer has a forward of its own."""
    if not own_forward(layer):
        return True
    w = layer.weight.detach()
    none, once, twice = (functional_call(layer, {"weight": k * w}, (x,)).detach() for k in (0.0, 1.0, 2.0))
    return bool(torch.allclose(twice - once, once - none, rtol=1e-3, atol=1e-5 * float(once.abs().max())))


def _uses(layer, inputs):
    """How often each weight is used: once a row, and once a position of a convolution's output."""
    with torch.no_grad():
        return layer(inputs).numel() // layer.weight.shape[0]
