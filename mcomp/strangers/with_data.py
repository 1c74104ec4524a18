"""Operations that run inputs through it: costs, statistics, gradients, grids of activations, integers."""

import contextlib
import copy
import io
import math
from functools import partial

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils import parametrize
from torch.utils.flop_counter import FlopCounterMode

from mcomp.codecs import Uniform, attach, attached, bake, calibrate
from mcomp.codecs.activations import activations
from mcomp.integer import integer_network, node_errors
from mcomp.layers import matrices
from mcomp.measure import report
from mcomp.ptq import adaround
from mcomp.qat import attach_grids, bake_grids, grids
from mcomp.sparse_training.probe import (
    input_rms,
    layer_hessians,
)  # fmt: skip
from mcomp.strangers.products import multiplied
from mcomp.strangers.right import check, operation, same
from mcomp.strangers.with_codecs import fitting
from mcomp.structure import fold_batchnorm
from mcomp.watch import input_grams, watch

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@operation("report", "parameters, and MACs as torch's FLOP counter has them")
def reported(s):
    found = report(s.model(), x=s.x, batches=(), progress=False)
    x = s.rows(0, 1)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        s.logits(s.model(), x)  # with gradients: else attention takes a path that the counter doesn't know
    check(
        found.macs == counter.get_total_flops() // 2,
        f"{found.macs} MACs, {counter.get_total_flops() // 2} wanted",
    )
    wanted = sum(w.numel() for w in _as_read(s.model()).values())
    check(found.parameters == wanted, f"{found.parameters} parameters, {wanted} wanted")


def _as_read(model):
    """All parameters, those behind a parametrization as the tensor that the layer reads."""
    made = {name: m for name, m in model.named_modules() if parametrize.is_parametrized(m)}
    found = {name: p for name, p in model.named_parameters() if "parametrizations." not in name}
    return found | {
        f"{path}.{leaf}": getattr(m, leaf) for path, m in made.items() for leaf in m.parametrizations
    }


@operation("matrices", "what the network multiplies with, the axis of the outputs, and tables of embeddings")
def matrices_named(s):
    model, wanted = s.model(), multiplied(s)
    own = {name: id(p) for name, p in model.named_parameters(remove_duplicate=False)}
    key = lambda name: own.get(name, name)  # noqa: E731
    found = {key(name): matrix for name, matrix in matrices(model).items()}
    due = {key(name): (name, axis) for name, axis in wanted.items()}
    missing = [name for place, (name, _) in due.items() if place not in found]
    check(not missing, f"{', '.join(missing)} is missing")
    for place, matrix in found.items():
        name, axis = due.get(place, (matrix.name, None))
        if place not in due:
            check(matrix.kind == "Embedding" and matrix.out_axis is None, f"{name} is no matrix")
        elif None not in (axis, matrix.out_axis):
            check(axis == matrix.out_axis, f"the outputs of {name} are on axis {axis}, not {matrix.out_axis}")


def _layers(model):
    return {name: m for name, m in model.named_modules() if isinstance(m, LAYERS)}


@operation("watch", "each layer's inputs as a hook of our own sees them")
def watched(s):
    model, wanted, found = s.model(), {}, {}
    names = list(_layers(model))
    handles = [
        m.register_forward_pre_hook(
            lambda _, args, kwargs, name=name: wanted.setdefault(name, []).append(
                [*args, *kwargs.values()][0]
            ),
            with_kwargs=True,
        )
        for name, m in _layers(model).items()
    ]
    with torch.no_grad():
        s.logits(model)
    for handle in handles:
        handle.remove()
    watch(model, s.x, lambda name, _, a: found.setdefault(name, []).append(a), names=names)
    for name in names:
        same(torch.cat(found[name]), torch.cat(wanted[name]), f"the inputs of {name}")


def _output_squares(s, names):
    """The mean square of what each layer puts out without its bias: by channel."""
    model, sums = s.model(), {}

    def look(module, args, y, name):
        y = y.detach() if module.bias is None else y.detach() - module.bias.view(_along(module))
        axis = -1 if isinstance(module, nn.Linear) else 1
        sums.setdefault(name, []).append(y.movedim(axis, 0).flatten(1).square())

    for name in names:
        model.get_submodule(name).register_forward_hook(lambda m, a, y, name=name: look(m, a, y, name))
    s.logits(model)
    return {name: torch.cat(parts, 1).mean(1) for name, parts in sums.items()}


def _along(module):
    return (-1,) + (1,) * (module.weight.ndim - 2)


def _agrees(s, grams, what):
    """A layer without bias puts out W v: the mean of its squares is the diagonal of W G Wᵀ."""
    for name, wanted in _output_squares(s, list(grams)).items():
        w = s.network.get_submodule(name).weight.detach().flatten(1)
        same(((w @ grams[name].to(w)) * w).sum(1), wanted, f"{what} of {name}")


@operation("input_grams", "the mean squares of all outputs follow from them")
def grams(s):
    _agrees(s, input_grams(s.model(), s.x, names=list(_layers(s.network))), "the gram")


@operation("layer_hessians", "as input_grams, for all matrices")
def hessians(s):
    found = layer_hessians(s.model(), s.x)
    check({*found} == {*_multiplying(s)}, "not all matrices")
    _agrees(s, {name.removesuffix(".weight"): h for name, h in found.items()}, "the Hessian")


@operation("input_rms", "the mean squares of all patches, taken out by convolution with ones and zeros")
def rms(s):
    found = input_rms(s.model(), s.x)
    check({*found} == {*_multiplying(s)}, "not all matrices")
    model, seen = s.model(), {}
    for name in found:
        layer = model.get_submodule(name.removesuffix(".weight"))
        layer.register_forward_pre_hook(lambda m, a, n=name: seen.setdefault(n, []).append(a[0]))
    with torch.no_grad():
        s.logits(model)
    for name, values in found.items():
        layer = model.get_submodule(name.removesuffix(".weight"))
        layer._forward_pre_hooks.clear()
        seen[name] = [_patches(layer, x) for x in seen[name]]
        wanted = torch.cat(seen[name]).square().mean(0)
        same(values.flatten().square(), wanted, f"the mean squares of what {name} reads")


def _multiplying(s):
    """The matrices that aren't tables of an embedding."""
    return [name for name, matrix in matrices(s.model()).items() if matrix.kind != "Embedding"]


def _patches(layer, x):
    """What a layer multiplies its weight with, a row for each use: (rows, in · k); in groups by output."""
    if isinstance(layer, nn.Linear):
        return x.flatten(0, -2)
    each = layer.in_channels // layer.groups
    ones = torch.eye(each * math.prod(layer.kernel_size), dtype=x.dtype).view(-1, each, *layer.kernel_size)
    ones = torch.cat([ones] * layer.groups)  # as a weight it puts out what it reads, number by number
    tensors = {"weight": ones} | ({} if layer.bias is None else {"bias": ones.new_zeros(len(ones))})
    rows = functional_call(layer, tensors, (x,)).movedim(1, -1)
    rows = rows.reshape(-1, layer.groups, rows.shape[-1] // layer.groups)  # (rows, groups, in / groups · k)
    if layer.groups == 1:
        return rows[:, 0]
    return rows.repeat_interleave(layer.out_channels // layer.groups, 1).flatten(1)


def _note(seen, name, module, args, y):
    seen.setdefault(name, (module, args[0].detach(), y.detach()))


@operation("calibrate", "each input on its grid, within half a step, the range that of the data")
def calibrated(s):
    model = s.model()
    attach(model, {"*.input": Uniform(8, symmetric=False)})
    calibrate(model, s.x)
    s.logits(model)
    seen = {}
    for name, module in activations(model).items():
        module.register_forward_hook(partial(_note, seen, name))
    rounded = s.logits(model)
    check(
        set(seen) == set(activations(model)), f"never ran: {sorted(set(activations(model)) - set(seen))[:3]}"
    )
    for name, (module, before, after) in seen.items():
        steps = after / module.grid().scale
        same(steps.round(), steps, f"{name} on its grid", close=1e-6)  # the scale is a float32
        inside = (before - after).abs() <= 0.5001 * module.grid().scale
        check(bool(inside.float().mean() > 0.9), f"{name} is further than half a step off")
    same(rounded, s.out, "rounded on 8 bits", close=0.5)


@operation("adaround", "each weight takes a neighbour on its grid, no layer becomes worse")
def rounded(s):
    model, plain = s.model(), s.model()
    made, refused = fitting(model, Uniform(4))
    found = adaround(model, plain, x=s.x, steps=3)
    check(list(attached(found)) == list(made), "other codecs")
    nearest, up = bake(copy.deepcopy(model)), bake(copy.deepcopy(found))
    for name in made:
        w, near, far = (m.get_parameter(name).detach() for m in (plain, nearest, up))
        step = float((near.abs()[near != 0]).min()) if bool(near.any()) else 1.0
        check(bool(((far - w).abs() <= step * (1 + 1e-9)).all()), f"{name} is further than a step off")
    check(bool(s.logits(up).isfinite().all()), "not finite")
    return f"without {refused}" if refused else None


@operation("QAT", "baked as prepared, each weight on its learned grid, one step learns")
def learned(s):
    model = attach_grids(s.model(), s.x, weight_bits=4, activation_bits=8)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    s.loss(model).backward()
    learning = [grid.scale for grid in grids(model).values() if grid.scale.requires_grad]
    check(all(scale.grad is not None for scale in learning), "a grid without gradient")
    optimizer.step()
    out, baked = s.logits(model), bake_grids(model)
    same(s.logits(baked), out, "baked against prepared", close=1e-12)
    for name, grid in grids(model).items():
        if name.endswith(".weight"):
            steps = baked.get_parameter(name) / grid.scale
            same(steps.round(), steps, f"{name} on its grid")


@operation("integer network", "every step within one of the float operation on the same integers")
def integers(s):
    with contextlib.redirect_stdout(io.StringIO()):
        model = fold_batchnorm(s.model(), x=s.x)
    x = s.x.float() if isinstance(s.x, torch.Tensor) and s.x.is_floating_point() else s.x
    network = integer_network(model.float(), x)
    rows = node_errors(network, model, x)
    worst = max(rows, key=lambda row: row[1])
    check(worst[1] <= 1.0, f"{worst[0]} is {worst[1]:.2f} steps off")
