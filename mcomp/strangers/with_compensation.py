"""Operations in which the inputs of a layer that come later make up for the ones that went before."""

import torch

from mcomp.codecs import Uniform, bake
from mcomp.prune.sparsegpt import sparsegpt
from mcomp.ptq import gptq_layers, layer_by_layer
from mcomp.ptq.layers import in_order
from mcomp.strangers.right import check, operation, same
from mcomp.strangers.with_codecs import fitting
from mcomp.trace import LINEAR
from mcomp.watch import input_grams, watch

DAMPING = 0.01


@operation("GPTQ", "each layer as Optimal Brain Surgeon rounds it, step by step with an inverse of its own")
def rounded(s):
    model, plain, codec = s.model(), s.model(), Uniform(4, axis=0)
    made, refused = fitting(model, codec)
    found = bake(gptq_layers(model, s.x, ordered=False, damping=DAMPING))
    for name in _layers(plain, made):
        w, v = (m.get_submodule(name).weight.detach().flatten(1) for m in (plain, found))
        grid = codec.grid(plain.get_submodule(name).weight.detach())
        steps = v / grid.scale[:, None]
        same(steps, steps.round(), f"{name} on its grid")
        if _calls(plain, name, s.x) == 1:  # else its inputs change while it does
            hessian = input_grams(found, s.x, names=[name])[name]
            steps = lambda j, column, scale=grid.scale: scale * (column / scale).round().clamp(-7, 7)  # noqa: E731
            same(v, _by_steps(w, hessian, steps), f"{name} as the surgeon rounds it", close=1e-6)
    return f"without {refused}" if refused else None


@operation(
    "layer by layer", "half of each layer gone, the rest as Optimal Brain Surgeon moves it, step by step"
)
def pruned(s):
    plain = s.model()
    found = layer_by_layer(plain, s.x, lambda w, h: sparsegpt(w, h, sparsity=0.5)[0])
    for name in in_order(plain, s.x):
        w, v = (m.get_submodule(name).weight.detach().flatten(1) for m in (plain, found))
        check(int((v == 0).sum()) >= w.numel() // 2, f"{name} has {int((v == 0).sum())} zeros of {w.numel()}")
        if _calls(plain, name, s.x) == 1:
            hessian = input_grams(found, s.x, names=[name])[name]
            kept = lambda j, column, keep=v != 0: column * keep[:, j]  # noqa: E731
            same(v, _by_steps(w, hessian, kept), f"{name} as the surgeon moves it", close=1e-6)


def _layers(model, made):
    """The layers that have a codec on their weight and are linear in it."""
    names = [name.removesuffix(".weight") for name in made if name.endswith(".weight")]
    return [name for name in names if isinstance(model.get_submodule(name), LINEAR)]


def _calls(model, name, x):
    seen = []
    watch(model, x, lambda *call: seen.append(call), names=[name])
    return len(seen)


def _by_steps(w, hessian, project):
    """Input by input, the Hessian of what is left inverted anew."""
    eye = torch.eye(len(hessian), dtype=hessian.dtype)
    w, hessian = w.clone(), hessian + DAMPING * hessian.diagonal().mean() * eye
    for j in range(w.shape[1]):
        inverse = torch.linalg.inv(hessian[j:, j:])
        off = w[:, j] - project(j, w[:, j])
        w[:, j:] -= off[:, None] * (inverse[0] / inverse[0, 0])
    return w
