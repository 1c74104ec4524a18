"""Operations that make another network of it: folded, equalized, factorized, with fewer channels."""

import contextlib
import copy
import io

import torch
from torch import nn

from mcomp.channels import (
    channel_graph,
    l1_scores,
    plan_channels,
    recalibrate,
    remove_channels,
    zero_channels,
)
from mcomp.codecs import Uniform, bake
from mcomp.ptq import correct_bias, equalize
from mcomp.strangers.right import Refused, check, operation, same, same_state
from mcomp.strangers.with_codecs import fitting
from mcomp.structure import (
    choose_ranks,
    drop,
    droppable,
    factorize,
    fold_batchnorm,
    lora,
    merge,
    merge_branches,
    merge_lora,
    mergeable,
    unfactorized,
    unfolded,
    unmerged_branches,
)

NORMS = nn.modules.batchnorm._BatchNorm


@operation("fold", "the same function; a batch norm is gone, or it is said why not")
def fold(s):
    model = s.model()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        small, reasons = fold_batchnorm(model, x=s.x), unfolded(model, x=s.x)
    same(s.logits(small), s.out, "folded")
    same_state(model, s.network, "the input")
    left = [name for name, m in small.named_modules() if isinstance(m, NORMS)]
    check(left == list(reasons), f"{', '.join(left)} stayed, {', '.join(reasons)} is said to")
    check(all(name in said.getvalue() for name in left), "not printed")
    return "; ".join(f"{name} stays, {why}" for name, why in reasons.items())


@operation("merge layers", "the same function, for every pair of layers that is taken")
def layers_merged(s):
    model = s.model()
    for pair in mergeable(model, larger=True):
        same(s.logits(merge(model, *pair, larger=True)), s.out, " and ".join(pair))
    same_state(model, s.network, "the input")


@operation("merge branches", "the same function, for every block that is taken; of each other it is said why")
def branches_merged(s):
    model = s.model()
    for name, reason in unmerged_branches(model).items():
        if not reason:
            same(s.logits(merge_branches(model, name)), s.out, name)
    same_state(model, s.network, "the input")


@operation("drop a block", "what skipping the block gives, for the first six blocks that are taken")
def dropped(s):
    model = s.model()
    for name in droppable(model, s.x)[:6]:
        skipped = s.model()
        skipped.get_submodule(name).register_forward_hook(lambda m, inputs, y: inputs[0])
        same(s.logits(drop(model, [name], x=s.x)), s.logits(skipped), name)
    same_state(model, s.network, "the input")


@operation("equalize", "the same function")
def equalized(s):
    with contextlib.redirect_stdout(io.StringIO()):
        model = fold_batchnorm(s.model(), x=s.x)
    before = copy.deepcopy(model)
    same(s.logits(equalize(model)), s.out, "equalized")
    same_state(model, before, "the input")


def _means(s, model, names):
    """The mean output of each channel of each layer, by hooks of our own."""
    found, handles = {}, []
    for name in names:
        module = model.get_submodule(name)
        axis = -1 if isinstance(module, nn.Linear) else 1

        def look(_, inputs, y, name=name, axis=axis):
            found.setdefault(name, []).append(y.detach().movedim(axis, 0).flatten(1))

        handles.append(module.register_forward_hook(look))
    s.logits(model)
    for handle in handles:
        handle.remove()
    return {name: torch.cat(parts, 1).mean(1) for name, parts in found.items()}


@operation("correct_bias", "the mean output of every layer is that of the float network")
def bias_corrected(s):
    model = s.model()
    made, refused = fitting(model, Uniform(3))
    corrected = correct_bias(bake(model), s.model(), x=s.x)
    layers = [name.rpartition(".")[0] for name in made]
    layers = [
        n for n in layers if isinstance(s.network.get_submodule(n), (nn.Linear, nn.modules.conv._ConvNd))
    ]
    wanted, found = _means(s, s.model(), layers), _means(s, corrected, layers)
    for name in wanted:
        same(found[name], wanted[name], f"the mean output of {name}")
    return f"without {refused}" if refused else None


def _size(model):
    return sum(p.numel() for p in model.parameters())


@operation(
    "factorize", "unchanged at full rank; the ranks of choose_ranks are accepted, and it becomes smaller"
)
def factorized(s):
    model = s.model()
    whole = unfactorized(model)
    layers = {
        n: m for n, m in model.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d)) and n not in whole
    }
    least = sum(m.weight.numel() for n, m in model.named_modules() if n in whole and hasattr(m, "weight"))
    ranks = choose_ranks(model, least + int(0.8 * sum(m.weight.numel() for m in layers.values())))
    small = factorize(model, ranks)
    check(_size(small) <= _size(model), f"{_size(small)} parameters of {_size(model)}")
    check(bool(s.logits(small).isfinite().all()), "not finite")
    full = {}
    for name in ranks:
        w = model.get_submodule(name).weight
        full[name] = min(w.shape[0] * w.shape[3], w.shape[1] * w.shape[2]) if w.ndim == 4 else min(w.shape)
    same(s.logits(factorize(model, full, larger=True)), s.out, "at full rank")
    frozen = [n for n in ranks if not model.get_submodule(n).weight.requires_grad]
    thawed = [n for n in frozen if any(p.requires_grad for p in small.get_submodule(n).parameters())]
    check(not thawed, f"{', '.join(thawed)} was frozen and isn't any more")
    same_state(model, s.network, "the input")
    return "; ".join(f"{name} stays, {why}" for name, why in whole.items())


@operation("lora", "unchanged at the start; merged, what it was with its updates; all else frozen")
def adapted(s):
    model = s.model()
    left = unfactorized(model)
    linear = [n for n, m in model.named_modules() if isinstance(m, nn.Linear) and n]
    names = [n for n in linear if n not in left] or linear or [next(n for n, _ in model.named_parameters())]
    found = lora(model, names, rank=1)
    same(s.logits(found), s.out, "at the start")
    free = {n for n, p in found.named_parameters() if p.requires_grad}
    check(free == {f"{n}.{part}.weight" for n in names for part in ("down", "up")}, f"{free} learn")
    with torch.no_grad():
        for name in names:
            found.get_submodule(name).up.weight.fill_(0.1)
    same(s.logits(merge_lora(found)), s.logits(found), "merged")
    same_state(model, s.network, "the input")
    return "; ".join(f"{name} stays, {why}" for name, why in left.items())


@operation("remove channels", "the network without half its channels is the one with them at zero")
def channels_removed(s):
    model = s.model()
    graph = channel_graph(model, s.x)
    plan = plan_channels(graph, l1_scores(model, graph), ratio=0.5, at_least=1)
    if not plan.removed:
        raise Refused(repr(plan))
    zeroed, smaller = zero_channels(model, plan), remove_channels(model, plan)
    check(_size(smaller) < _size(model), "no smaller")
    same(s.logits(smaller), s.logits(zeroed), "removed against zeroed")
    same_state(model, s.network, "the input")


@operation("recalibrate", "each batch norm has the mean and variance of what reaches it")
def recalibrated(s):
    model, by_hand, seen = s.model(), s.model(), {}
    found = recalibrate(model, s.x)
    for name, module in by_hand.named_modules():
        if isinstance(module, NORMS):
            module.train()
            module.register_forward_pre_hook(lambda _, a, n=name: seen.setdefault(n, []).append(a[0]))
    with torch.no_grad():
        s.logits(by_hand)
    for name, inputs in seen.items():
        there = found.get_submodule(name)
        rows = [x.movedim(1, 0).flatten(1) for x in inputs]  # (channels, n · positions), for each call
        same(there.running_mean, torch.stack([x.mean(1) for x in rows]).mean(0), f"the mean of {name}")
        same(there.running_var, torch.stack([x.var(1) for x in rows]).mean(0), f"the variance of {name}")
    same_state(model, s.network, "the input")
