"""Operations that need the gradient of the loss: slopes, curvatures, what a channel is worth."""

import torch
from torch.nn import functional as F

from mcomp.channels import channel_graph, taylor_scores
from mcomp.sparse_training.probe import fisher_diagonal, gradients, hessian_diagonal
from mcomp.strangers.right import Refused, check, operation, same
from mcomp.strangers.with_codecs import weights


def _slopes(s, model, names, loss):
    leaves = {name: model.get_parameter(name) for name in names}
    found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    return {
        n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(leaves.items(), found, strict=True)
    }


@operation("gradients", "those of autograd")
def slopes(s):
    found, model = gradients(s.model(), (s.x, s.y), **s.call), s.model().requires_grad_()
    check({*found} == {*weights(s.network)}, "not all matrices")
    for name, g in _slopes(s, model, found, s.loss(model)).items():
        same(found[name], g, f"the gradient of {name}")


@operation("fisher_diagonal", "the mean of squared gradients, an example at a time")
def fisher(s):
    found = fisher_diagonal(s.model(), (s.x, s.y), **s.call)
    model, wanted = s.model().requires_grad_(), {}
    for i in range(len(s.y)):
        loss = F.cross_entropy(s.logits(model, s.rows(i, i + 1)), s.y[i : i + 1])
        for name, g in _slopes(s, model, found, loss).items():
            wanted[name] = wanted.get(name, 0) + g.square() / len(s.y)
    for name in found:
        same(found[name], wanted[name], f"the Fisher of {name}")


@operation("hessian_diagonal", "Gauss and Newton's by Jacobians, an example at a time")
def curvature(s):
    found = hessian_diagonal(s.model(), s.x, **s.call)
    model, wanted = s.model().requires_grad_(), {}
    for i in range(len(s.y)):
        z = s.logits(model, s.rows(i, i + 1))[0]  # (classes, ...)
        z = z.reshape(len(z), -1).T  # a row for each place that has a label
        p = z.softmax(1).detach()
        rows = [[_slopes_of(s, model, found, entry) for entry in place] for place in z]
        for name in found:
            jacobian = torch.stack([torch.stack([entry[name] for entry in place]) for place in rows])
            mean = torch.einsum("pc,pc...->p...", p, jacobian)
            square = torch.einsum("pc,pc...->p...", p, jacobian.square())
            total = (square - mean.square()).mean(0) / len(s.y)
            wanted[name] = wanted.get(name, 0) + total
    for name in found:
        same(found[name], wanted[name], f"the curvature of {name}")


def _slopes_of(s, model, names, entry):
    leaves = [model.get_parameter(name) for name in names]
    found = torch.autograd.grad(entry, leaves, retain_graph=True, allow_unused=True)
    return {n: torch.zeros_like(p) if g is None else g for n, p, g in zip(names, leaves, found, strict=True)}


@operation("taylor_scores", "the first-order change of the loss, by autograd at a gate of one")
def taylor(s):
    model = s.model()
    graph = channel_graph(model, s.x)
    if not graph.groups:
        raise Refused(str(graph))
    found = taylor_scores(model, graph, (s.x, s.y), **s.call)
    twin = s.model().requires_grad_()
    slopes = _slopes(s, twin, dict(twin.named_parameters()), s.loss(twin))
    for group, scores in found.items():
        wanted = _first_order(graph, group, twin, slopes)
        same(torch.as_tensor(scores), wanted, f"the scores of {group}")


def _first_order(graph, group, model, slopes):
    """|sum of w times gradient| over the norm's entries behind the layers, or their own where none is."""
    units = graph.groups[group].units
    total = torch.zeros(len(units), dtype=torch.float64)
    norms = [f for f in graph.layers.values() if f.kind == "scale" and len(graph.shapes[f.weight]) == 1]
    keys = [(n, 0) for f in norms for n in (f.weight, f.bias) if n and (n, 0) in graph.slots]
    behind = {int(u) for key in keys for u in graph.slots[key]}
    for f in graph.layers.values():
        own = f.kind == "maker" and not behind & {int(u) for u in graph.slots[f.weight, f.made]}
        keys += [(f.weight, f.made), *([(f.bias, 0)] if f.bias else [])] if own else []
    for name, axis in keys:
        change = (model.get_parameter(name) * slopes[name]).detach().movedim(axis, 0)
        change = change.reshape(len(change), -1).sum(1)
        for i, u in enumerate(units):
            total[i] += change[torch.as_tensor(graph.slots[name, axis] == u)].sum()
    return total.abs()
