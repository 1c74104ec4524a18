"""Operations on weights: each codec attached, trained, baked, saved; masks put on and layers scanned."""

import re
import tempfile
from pathlib import Path

import torch
from torch.nn import functional as F

from mcomp.codecs import (
    Binary,
    Codebook,
    GroupUniform,
    LowRank,
    MiniFloat,
    NMSparse,
    PowerOfTwo,
    Product,
    Sparse,
    Ternary,
    Uniform,
    attach,
    attached,
    bake,
    decode,
)  # fmt: skip
from mcomp.file import load, save
from mcomp.layers import matrices
from mcomp.plain import copied
from mcomp.sparse_training import apply_masks, prunable_weights, sensitivity_scan
from mcomp.strangers.right import check, operation, same, same_state

CODECS = {
    "Sparse": Sparse(0.5), "NMSparse": NMSparse(2, 4), "Uniform": Uniform(4, axis=0), "Codebook": Codebook(4),
    "Binary": Binary(), "Ternary": Ternary(), "PowerOfTwo": PowerOfTwo(3), "MiniFloat": MiniFloat(2, 1),
    "LowRank": LowRank(2), "Product": Product(4, 2), "GroupUniform": GroupUniform(4, group=4),
}  # fmt: skip
ALIKE = 1e-12  # the same numbers in the same order of operations: only a kernel may sum in another
LR = 0.1


def weights(model):
    """The names of the weight matrices."""
    return list(matrices(model))


def fitting(model, codec, **options):
    """Attach `codec` to every matrix that it fits; returns what was attached, and a note of the refused.

    A network is refused only if the library refuses all of it: the last complaint is passed on.
    """
    rules, refused = dict.fromkeys(weights(model), codec), []
    while True:
        try:
            return attach(model, rules, **options), ", ".join(refused)
        except ValueError as error:
            named = [
                name for name in rules if re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", str(error))
            ]
            if len(named) != 1 or len(rules) == 1:
                raise  # it names none, or lists all
            refused.append(f"{named[0]} ({error})")
            del rules[named[0]]


def half(w):
    """Which weights a sparsity of a half keeps: those above the median, in size."""
    least = w.abs().flatten().sort().values[round(w.numel() / 2) - 1]
    return w.abs() > least


def _without(refused):
    return f"without {refused}" if refused else None


def _attach(name, codec):
    def run(s):
        model, plain = s.model(), s.model()
        made, refused = fitting(model, codec)
        out = s.logits(model)
        for weight, parametrization in made.items():
            wanted = decode(codec.encode(_value(plain, weight)))
            same(_value(model, weight), wanted, f"{weight} as {name} makes it", close=ALIKE)
            check(parametrization.codec == codec, f"{weight} has another codec")
        check(not torch.equal(out, s.out), "nothing changed")
        same(s.logits(bake(model)), out, "baked against attached", close=ALIKE)
        check(not attached(model), "a codec is left after bake")
        return _without(refused)

    return run


for _name, _codec in CODECS.items():
    operation(f"attach {_name}", "the projection of each weight; baked as attached")(_attach(_name, _codec))


def _value(model, name):
    """The tensor that a layer reads under the name `name`."""
    path, _, leaf = name.rpartition(".")
    return getattr(model.get_submodule(path), leaf).detach()


@operation("train a step", "masked gradient descent to the digit, frozen parameters untouched")
def train_step(s):
    model, plain = s.model(), s.model()
    made, refused = fitting(model, Sparse(0.5), gradient="masked")
    learning = [p for p in model.parameters() if p.requires_grad]
    loss = s.loss(model)
    slopes = torch.autograd.grad(loss, learning, allow_unused=True)
    wanted = {id(p): p.detach() - LR * (0 if g is None else g) for p, g in zip(learning, slopes, strict=True)}
    optimizer = torch.optim.SGD(learning, lr=LR)
    s.loss(model).backward()
    optimizer.step()
    for name, p in model.named_parameters():
        same(p, wanted.get(id(p), p), f"{name} after the step")
    _as_if_by_hand(s, model, plain, made)
    return _without(refused)


def _as_if_by_hand(s, model, plain, made):
    """The step of each sparse weight: its gradient in the masked plain network where the mask is."""
    masks = {name: half(_value(plain, name)) for name in made}
    by_hand = s.model()
    for name in made:
        held = _held(by_hand, name)
        if held is None:
            return  # made by a hook from other parameters: the step above is all that can be said
        held.data.mul_(masks[name])
    s.loss(by_hand).backward()
    for name, mask in masks.items():
        start, p = _value(plain, name), _held(by_hand, name)
        if p.requires_grad:
            found = model.get_parameter(_original(name))
            same(found, start - LR * p.grad * mask, f"the step of {name} by hand")


def _held(model, name):
    return dict(model.named_parameters()).get(name)


def _original(name):
    path, _, leaf = name.rpartition(".")
    return f"{path}.parametrizations.{leaf}.original".lstrip(".")


@operation("bake", "the state dict, classes and flags of the plain network, the function of the attached one")
def bake_all(s):
    model = s.model()
    made, refused = fitting(model, Uniform(4))
    out = s.logits(model)
    baked, plain = bake(model), s.model()
    same(s.logits(baked), out, "baked against attached", close=ALIKE)
    for name in made:
        if _held(plain, name) is not None:
            _held(plain, name).data.copy_(_value(baked, name))
    if all(_held(plain, name) is not None for name in made):
        same_state(baked, plain, "baked")
    kinds = [[type(m).__name__ for m in network.modules()] for network in (baked, plain)]
    check(kinds[0] == kinds[1] or refused, "modules of other classes after bake")
    return _without(refused)


def _there_and_back(s, model, wanted):
    """Save `model` and fill a copy of `wanted` that holds zeros."""
    empty = s.model() if wanted is None else wanted
    with torch.no_grad():
        for tensor in empty.state_dict().values():
            tensor.zero_()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "stranger.safetensors")
        check(save(model, path, progress=False) == path.stat().st_size, "the size isn't that of the file")
        return load(path, model=empty, progress=False)


@operation("save and load", "every tensor bit for bit, shared ones shared")
def save_plain(s):
    loaded = _there_and_back(s, s.model(), None)
    same_state(loaded, s.network, "loaded")
    check(len(list(loaded.parameters())) == len(list(s.network.parameters())), "a tied parameter came apart")


@operation("save with codecs", "what the file gives is the baked network, bit for bit")
def save_attached(s):
    model = s.model()
    _, refused = fitting(model, Sparse(0.5) | Codebook(4))
    before = s.logits(model)
    baked = bake(copied(model))
    loaded = _there_and_back(s, model, copied(baked))
    same_state(loaded, baked, "loaded")
    same(s.logits(loaded), before, "loaded against attached", close=ALIKE)
    return _without(refused)


@operation("apply_masks", "w times mask in each matrix, all else as it was")
def masks_applied(s):
    model, wanted = s.model(), s.model()
    found = prunable_weights(model)
    masks = {name: half(w) for name, w in found.items()}
    masked = apply_masks(model, masks)
    for name, mask in masks.items():
        same(_value(masked, name), _value(wanted, name) * mask, f"{name} masked", close=0.0)
    same_state(model, wanted, "the input")
    sparse = s.logits(masked)
    check(bool(sparse.isfinite().all()) and not torch.equal(sparse, s.logits(model)), "the masks do nothing")


@operation("sensitivity_scan", "the loss with one matrix at half its weights, as by hand")
def scan(s):
    model = s.model()
    found = sensitivity_scan(model, lambda m: float(s.loss(m)), sparsities=[0.5], progress=False)
    same(torch.tensor(found["baseline"], dtype=torch.float64), F.cross_entropy(s.out, s.y), "the baseline")
    check(list(found["accuracy"]) == weights(model), "another list of matrices")
    for name, (value,) in found["accuracy"].items():
        by_hand = s.model()
        w = _value(by_hand, name)
        w.mul_(half(w))
        same(torch.tensor(value, dtype=torch.float64), s.loss(by_hand), f"the loss without half of {name}")
    same_state(model, s.network, "the input")
