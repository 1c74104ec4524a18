"""Operations on several networks of one shape: averaged, renumbered, side by side, cut and put together."""

import torch

from mcomp import merge, multitask
from mcomp.strangers.right import Refused, check, operation, same, same_state


def _shaken(s):
    """The network with other numbers in every parameter that floats."""
    model = s.model()
    with torch.no_grad():
        for p in model.parameters():
            if p.is_floating_point():
                p.add_(0.01 * torch.randn_like(p))
    return model


@operation("average", "every number is the mean of those of two networks; ties and flags stay")
def averaged(s):
    model, other = s.model(), _shaken(s)
    mean = merge.average([model, other])
    pairs = zip(
        mean.state_dict().items(), model.state_dict().values(), other.state_dict().values(), strict=True
    )
    for (name, found), a, b in pairs:
        same(found, (a + b) / 2 if a.is_floating_point() else a, name)
    same(s.logits(merge.average([model, model])), s.out, "of two alike")
    same_state(merge.average([model, model]), s.network, "of two alike")
    same_state(model, s.network, "the input")


@operation("renumber channels", "the same function with every group in another order")
def renumbered(s):
    model = s.model()
    graph = merge.symmetries(model, s.x, output=s.pick)
    if not graph.groups:
        raise Refused(repr(graph))
    turned = merge.permute(model, graph, merge.random_orders(graph, seed=1))
    same(s.logits(turned), s.out, "in another order")
    moved = zip(turned.parameters(), model.parameters(), strict=True)
    check(any(not torch.equal(p, q) for p, q in moved), "nothing moved")
    same_state(model, s.network, "the input")
    return "; ".join(f"{name} stays: {why}" for name, why in graph.refused.items())


@operation("side by side", "the mean of the logits of two networks, by one network of the same class")
def side_by_side(s):
    model, other = s.model(), _shaken(s)
    wide = merge.side_by_side([model, other], s.x, output=s.pick)
    same(s.logits(wide), (s.out + s.logits(other)) / 2, "side by side")
    check(type(wide) is type(model), "another class")
    same_state(model, s.network, "the input")


@operation(
    "cut and stitch", "the network cut behind a module and stitched to itself by nothing, at six modules"
)
def stitched(s):
    model, done, reasons = s.model(), 0, []
    for name in [n for n, _ in model.named_modules() if n]:
        try:
            whole = merge.stitch(model, model, torch.nn.Identity(), at=(name, name))
        except ValueError as error:
            reasons.append(str(error))
            continue
        same(s.logits(whole), s.out, name)
        done += 1
        if done == 6:
            break
    same_state(model, s.network, "the input")
    if not done:
        raise Refused(_first(reasons, model))


@operation(
    "branch", "two tasks behind a shared trunk: the old head with its old last layer is the old network"
)
def branched(s):
    model, reasons = s.model(), []
    for name in [n for n, _ in model.named_modules() if n]:
        try:
            shared = multitask.branch(model, name, {"old": s.out.shape[-1], "new": 2})
        except ValueError as error:
            reasons.append(str(error))
            continue
        head = shared.heads["old"]
        with torch.no_grad():
            for (leaf, p), q in zip(head.named_parameters(), _behind(model, name).parameters(), strict=True):
                check(p.shape == q.shape, f"{leaf} of the head behind {name}")
                p.copy_(q)
        same(s.logits(shared.task("old")), s.out, f"branched at {name}")
        same_state(model, s.network, "the input")
        return None
    raise Refused(_first(reasons, model))


def _first(reasons, model):
    return reasons[0] if reasons else f"{type(model).__name__} has no modules to cut at"


def _behind(model, name):
    return merge.halves(model, name)[1]
