"""A network trained with its grids: `attach_grids` puts them in, `bake_grids` makes the weights plain.

Every linear and convolutional layer reads quantized weights and quantized inputs; steps are learned as in
`mcomp.qat.quantizers.lsq` (Esser et al. 2019, arXiv:1902.08153). Chapter 08.
"""

import torch
from torch import nn
from torch.nn.utils import parametrize

from mcomp import calling
from mcomp.arrays import bad_value, check_int, check_real
from mcomp.codecs.activations import activations, put_activations
from mcomp.codecs.attachment import own_class
from mcomp.layers import tell, untouched
from mcomp.plain import LAYERS, copied, made_by, places
from mcomp.qat.quantizers import lsq, lsq_share, lsq_start
from mcomp.quantize.grids import integer_range
from mcomp.train import Callback
from mcomp.watch import watch

__all__ = ["Flips", "LearnedGrid", "StepRates", "attach_grids", "bake_grids", "grids", "rounding_distance"]


class LearnedGrid(nn.Module):
    """x -> the nearest points of a grid whose step learns.

    Parameters
    ----------
    x : floating tensor
        What the step starts from: the weight itself, or some activations.
    bits : int
        2 to 16.
    signed : bool
        Whether the grid is -2**(bits - 1) ... 2**(bits - 1) - 1, else 0 ... 2**bits - 1.
    count : int, optional
        How many numbers share the step, for `lsq_share`: all of a weight (the default), those of one image of
        activations (Esser et al. 2019, section 2.2).
    """

    def __init__(self, x, *, bits, signed=True, count=None):
        super().__init__()
        self.bits, self.signed = check_int("bits", bits, 2, 16), bool(signed)
        self.qmin, self.qmax = integer_range(bits, symmetric=False, signed=signed)
        self.scale = nn.Parameter(lsq_start(x, qmax=self.qmax))
        self.share = lsq_share(x.numel() if count is None else count, self.qmax)

    def forward(self, x):
        """`x` on the grid."""
        return lsq(x, self.scale, qmin=self.qmin, qmax=self.qmax, share=self.share)

    def integers(self, x):
        """The integers q of ``forward(x) == scale * q``, as floats."""
        return (x.detach() / self.scale.detach()).clamp_(self.qmin, self.qmax).round_()

    def extra_repr(self):
        return f"bits={self.bits}, qmin={self.qmin}, qmax={self.qmax}"


def attach_grids(model, x, *, weight_bits=None, activation_bits=None, input_bits=8):
    """A copy of `model` whose layers read weights and inputs from learned grids.

    The linear and convolutional layers, transposed too; `grids` names what reads one. Recurrent layers,
    embeddings and the input projection of an attention stay as they are, and are printed. The grids of a
    frozen layer are frozen.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed. May be one that was prepared before, with weights only: its grids stay.
    x : tensor (batch, ...)
        Some training inputs: where the activations' steps start, and whether they need a sign.
    weight_bits, activation_bits : int, optional
        2 to 16. None: left as floats.
    input_bits : int
        For the network's own input, that is for the first layer that runs. Images have 8.

    Returns
    -------
    prepared : torch.nn.Module

    Raises
    ------
    ValueError
        If nothing is to be quantized, there is no layer, or bits are out of range; by name, if a weight is
        shared or something else makes it, or the inputs of a layer that `x` doesn't reach are asked for.
    """
    if weight_bits is None and activation_bits is None:
        raise bad_value("weight_bits and activation_bits", None, "at least one number of bits")
    model = copied(model)
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, LAYERS)}
    if not layers:
        raise bad_value("model", type(model).__name__, "one with linear or convolutional layers")
    seen = _inputs(model, layers, x)
    for name, layer in layers.items():
        if weight_bits is not None and not _has_grid(layer):
            _check_weight(model, name, layer)
            grid = LearnedGrid(layer.weight.detach(), bits=weight_bits).requires_grad_(_free(layer))
            parametrize.register_parametrization(layer, "weight", grid)
        if activation_bits is not None and name not in seen:
            allowed = "one that runs as a layer; leave activation_bits out"
            raise bad_value("a layer", f"{name}, which x doesn't reach", allowed)
    for place, (name, parts) in enumerate(seen.items()):
        if activation_bits is not None and f"{name}.input" not in activations(model):
            put_activations(
                model, {f"{name}.input": parts}, _input_grid(activation_bits if place else input_bits)
            )
            activations(model)[f"{name}.input"].requires_grad_(_free(layers[name]))
    tell("without a grid", untouched(model, {f"{name}.weight".lstrip(".") for name in layers}))
    return model


def _input_grid(bits):
    """Makes the grid of all that a layer reads, over all its calls."""

    def make(parts):
        whole = parts[0] if len(parts) == 1 else torch.cat([a.flatten() for a in parts])
        count = parts[0].numel() // len(parts[0])
        return LearnedGrid(whole, bits=bits, signed=bool((whole < 0).any()), count=count)

    return make


def _free(layer):
    """Whether the weight of a layer is trained."""
    chain = getattr(layer, "parametrizations", {})
    return (chain["weight"].original if "weight" in chain else layer.weight).requires_grad


def _has_grid(layer):
    """Whether a learned step stands on the weight: whatever has a `scale` is one."""
    return parametrize.is_parametrized(layer, "weight") and hasattr(layer.parametrizations.weight[0], "scale")


def _check_weight(model, name, layer):
    if maker := made_by(layer, "weight"):
        raise bad_value("a weight to quantize", f"{name}.weight, made by {maker}", "a parameter")
    if len(found := places(model, layer.weight)) > 1:
        raise bad_value(
            "a weight to quantize", f"{name}.weight", f"one in one place; it is {', '.join(found)}"
        )


def _inputs(model, layers, x):
    """What each layer reads when the network sees `x`, all its calls: by name, in the order of the first."""
    seen = {}
    watch(
        model,
        x,
        lambda name, layer, a: seen.setdefault(name, []).append(a),
        names=layers,
        every=False,
        batch_size=calling.count(x),
    )
    return seen


def grids(model):
    """The learned grids of a prepared network, by name: "fc1.weight", "fc1.input"."""
    found = {}
    for name, layer in model.named_modules():
        if _has_grid(layer):
            found[f"{name}.weight"] = layer.parametrizations.weight[0]
    return found | activations(model)


def bake_grids(model):
    """A copy of a prepared network with plain weights, each on its grid; the activations' grids stay.

    `mcomp.save` then finds the few values of each weight by itself and stores an index for each.
    """
    model = copied(model)
    for layer in list(model.modules()):
        if _has_grid(layer):
            own_class(layer)
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
            layer.weight.data.add_(0.0)  # -0.0 would be one more value
    return model.eval()


def rounding_distance(model):
    """Sum over the weights of (w - its grid point)**2, without gradient through the grid point.

    Added to the loss it pulls latent weights to the middle of their bins: the dampening of Nagel et al. 2022
    (arXiv:2203.11086), eq. 6 without the clipping of large weights.
    """
    total = torch.zeros(())
    for layer in model.modules():
        if _has_grid(layer):
            grid, w = layer.parametrizations.weight[0], layer.parametrizations.weight.original
            total = total + (w - grid(w).detach()).square().sum()
    return total


class Flips(Callback):
    """How often each weight's integer turned back, up after down or down after up, since step `start`.

    `turns` by name: int64 tensors; a weight that turns again and again sits at the edge of two bins and
    oscillates (Nagel et al. 2022, arXiv:2203.11086, section 3).
    """

    def __init__(self, model, *, start=0):
        self.start, self.steps = check_int("start", start, 0), 0
        self.layers = {
            name: layer.parametrizations.weight for name, layer in model.named_modules() if _has_grid(layer)
        }
        self.last = {name: self._integers(chain) for name, chain in self.layers.items()}
        self.way = {name: torch.zeros_like(q) for name, q in self.last.items()}
        self.turns = {name: torch.zeros_like(q, dtype=torch.int64) for name, q in self.last.items()}

    @staticmethod
    def _integers(chain):
        return chain[0].integers(chain.original)

    def after_step(self, run):
        """Compare the integers with those of the step before."""
        for name, chain in self.layers.items():
            q = self._integers(chain)
            moved = torch.sign(q - self.last[name])
            if run.step >= self.start:
                self.turns[name] += moved * self.way[name] < 0
            self.way[name] = torch.where(moved != 0, moved, self.way[name])
            self.last[name] = q
        self.steps += run.step >= self.start


class StepRates(Callback):
    """Gives each learned step a learning rate in proportion to its size: `relative` times the step.

    Adam moves a parameter by about the learning rate, however long its gradient is, so the factor
    `lsq_share` cancels, and a step of 0.01 would move by a tenth of itself at a rate of 0.001. With this
    callback it moves by about ``relative * lr`` of its size at the start.

    Parameters
    ----------
    model : torch.nn.Module
        As `attach_grids` made it; the one that is trained.
    relative : float
        Above 0.
    """

    def __init__(self, model, *, relative=1.0):
        self.model, self.relative = model, check_real("relative", relative, 1e-6, 1e6)

    def before_step(self, run):
        """Before the first step, move every scale to a parameter group of its own."""
        if run.step:
            return
        scales = [grid.scale for grid in grids(self.model).values()]
        for group in run.optimizer.param_groups:
            group["params"] = [p for p in group["params"] if all(p is not scale for scale in scales)]
        for scale in scales:
            factor = self.relative * float(scale.detach())
            run.optimizer.add_param_group({"params": [scale], "weight_decay": 0.0, "factor": factor})
