"""GPTQ on a network: the weights of each layer take the integers that keep its outputs, layer after layer.

The rounding of one layer, and where it comes from: mcomp/quantize/gptq.py. Frantar et al. 2022,
arXiv:2210.17323.
"""

from dataclasses import replace
from functools import partial

from mcomp.arrays import bad_value
from mcomp.codecs.attachment import attached
from mcomp.codecs.uniform import Uniform
from mcomp.layers import tell
from mcomp.plain import copied, naming
from mcomp.ptq.layers import hessians
from mcomp.quantize.gptq import by_curvature, gptq
from mcomp.quantize.grids import quantize
from mcomp.trace import LINEAR

__all__ = ["gptq_layers"]


def gptq_layers(model, x, *, ordered=True, damping=0.01, compensate=True):
    """A copy of `model` whose layers are rounded so that each one's outputs stay, in running order.

    The ranges of a `GroupUniform` with ``search=True`` are searched anew, each weight's squared error
    times the mean square of its input: what it does to the output, but for correlation.

    Parameters
    ----------
    model : torch.nn.Module
        With `Uniform` or `GroupUniform` codecs attached to the weights of linear or convolutional layers:
        each keeps its grid, the integers change. What else has a codec stays as it is, and is printed. Not
        changed.
    x : tensor (n, ...), or several inputs as in `mcomp.calling`
        Training examples; their labels aren't needed.
    ordered : bool
        Whether the inputs of the largest mean square go first (`by_curvature`), or in their own order.
    damping : float of at least 0, see `mcomp.prune.sweep.inverse_factor`
    compensate : bool
        Or whether to round to the nearest: of use with ``search=True``.

    Returns
    -------
    rounded : torch.nn.Module
        As of `adaround`: the codecs are still attached; training that refreshes them undoes the rounding.

    Raises
    ------
    ValueError
        If no layer of `model` has such a codec; by name, if one has another codec, an axis other than 0, or
        is of a kind without such a matrix, or if its inputs leave it without an inverse.

    Examples
    --------
    >>> import torch
    >>> from mcomp.codecs import GroupUniform, attach, bake
    >>> chance = torch.Generator().manual_seed(0)
    >>> x = torch.randn(200, 8, generator=chance) @ torch.randn(8, 32, generator=chance)  # 8 causes
    >>> exact, model = torch.nn.Linear(32, 16), torch.nn.Linear(32, 16)
    >>> _ = model.load_state_dict(exact.state_dict()), attach(model, {"weight": GroupUniform(3)})
    >>> off = [(m(x) - exact(x)).square().mean().item() for m in (model, gptq_layers(model, x))]
    >>> off[1] < 0.2 * off[0]
    True
    """
    model = copied(model).eval()
    held = attached(model)
    layers = [name for name, module in model.named_modules() if isinstance(module, LINEAR)]
    names = [name for name in layers if _weight(name) in held]
    if not names:
        raise bad_value("the codecs of the model", [*held], "Uniform on the weight of at least one layer")
    choose = partial(_integers, ordered=ordered, damping=damping, compensate=compensate)
    for name, hessian in hessians(model, x, names):
        with naming(name):
            _round_layer(model.get_submodule(name), held[_weight(name)], hessian, choose)
    done = {_weight(name) for name in names}
    why = "it is no weight of a linear or convolutional layer"
    tell("not rounded", {name: why for name in held if name not in done})
    return model


def _weight(name):
    return f"{name}.weight".lstrip(".")


def _integers(rows, hessian, grid, *, ordered, damping, compensate):
    if not compensate:
        return quantize(rows, grid).long()
    return gptq(rows, hessian, grid, order=by_curvature(hessian) if ordered else None, damping=damping)[0]


def _round_layer(module, parametrization, hessian, choose):
    codec, w = parametrization.codec, module.parametrizations.weight.original.detach()
    if not isinstance(codec, Uniform) or codec.axis not in (None, 0):
        raise bad_value("a codec", codec, "Uniform or GroupUniform, with axis 0 or None")
    rows, code = w.flatten(1), codec.encode(w)
    searched = getattr(codec, "search", False)
    grid = codec.grid(rows, weights=hessian.diagonal().to(rows)) if searched else codec.grid(rows)
    symbols = {**code.symbols, "q": choose(rows, hessian, grid).flatten()}
    if "zero_point" in symbols:
        symbols["zero_point"] = grid.zero_point.long().flatten()
    parametrization.set_code(replace(code, symbols=symbols, floats={"scale": grid.scale.to(w.dtype)}))
