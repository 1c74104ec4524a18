"""Networks fine-tuned from one, averaged where that helps: Wortsman et al. 2022 (arXiv:2203.05482).

Derived in chapters/14_one_network_from_several.ipynb.
"""

from typing import NamedTuple

import torch
from torch.func import functional_call
from torch.nn import functional

from mcomp import calling, plain
from mcomp.arrays import bad_value, check_int, check_real
from mcomp.merge.means import average, same_shape

__all__ = ["LearnedSoup", "Soup", "greedy_soup", "learned_soup"]

PER = ("network", "layer")


class Soup(NamedTuple):
    """What `greedy_soup` cooks: the averaged network, which ones are in it, and its score after each try."""

    model: torch.nn.Module
    members: tuple
    scores: tuple


def greedy_soup(models, score):
    """Average the best with whatever doesn't make it worse: the greedy soup of arXiv:2203.05482, recipe 1.

    Parameters
    ----------
    models : sequence of torch.nn.Module
        Of one shape, usually fine-tuned from one network.
    score : callable
        ``score(model) -> float`` on *validation* data, higher is better: it is asked once for each network
        and once for each soup. A batch norm is recalibrated in there, if at all.

    Returns
    -------
    soup : Soup
        `members` are places in `models`, the best one first; at equal scores the earlier comes first.

    Examples
    --------
    >>> models = [torch.nn.Linear(1, 1) for _ in range(3)]
    >>> for model, w in zip(models, (1.0, 4.0, -1.0)):
    ...     _ = torch.nn.init.constant_(model.weight, w)
    >>> soup = greedy_soup(models, lambda model: -abs(model.weight.item()))
    >>> soup.members, soup.model.weight.item()
    ((0, 2), 0.0)
    """
    models = list(models)
    same_shape(models)
    alone = [float(score(model)) for model in models]
    order = sorted(range(len(models)), key=lambda i: -alone[i])
    members, best, scores = [order[0]], alone[order[0]], [alone[order[0]]]
    for i in order[1:]:
        tried = float(score(average([models[j] for j in (*members, i)])))
        if tried >= best:
            members, best = [*members, i], tried
        scores.append(best)
    return Soup(average([models[j] for j in members]), tuple(members), tuple(scores))


class LearnedSoup(NamedTuple):
    """What `learned_soup` cooks: the averaged network, the weights of each layer's mean, the losses."""

    model: torch.nn.Module
    weights: dict
    losses: tuple


def learned_soup(models, pair, *, per="network", epochs=5, lr=0.05, batch_size=256, output=None, seed=0):
    """A weighted mean of `models` whose weights are learned: appendix I of arXiv:2203.05482.

    The weights are a softmax, so none is negative and they add up to 1; they start alike. The logits of the
    mean times a learned factor, its inverse temperature, go into a cross-entropy, which AdamW lowers. A batch
    norm's statistics are averaged by the same weights, and teach them nothing. The defaults of `epochs` and
    `lr` are those that the authors' program recommends.

    Parameters
    ----------
    models : sequence of torch.nn.Module
        Of one shape, usually fine-tuned from one network. Not changed; all their weights are held at once.
    pair : (x, y)
        *Validation* inputs, as in `mcomp.calling`, and labels int (n,).
    per : "network" or "layer"
        One set of weights, or one for each layer: for all tensors that stand in one module.
    epochs, batch_size, seed : int; lr : float
    output : what picks the logits, see `mcomp.calling.pick`

    Returns
    -------
    soup : LearnedSoup
        `weights` maps a layer's name ("" for the network) to a float64 tensor (models,), `losses` has the
        mean of the loss in each epoch. The factor of the logits isn't in the network: it moves no answer.

    Raises
    ------
    ValueError
        As `average`, or if `per` or a number is out of range, or x and y don't fit.

    Examples
    --------
    >>> zero, good = torch.nn.Linear(1, 2, bias=False), torch.nn.Linear(1, 2, bias=False)
    >>> for model, w in ((zero, [[0.0], [0.0]]), (good, [[-1.0], [1.0]])):
    ...     _ = model.load_state_dict({"weight": torch.tensor(w)})
    >>> soup = learned_soup([zero, good], (torch.tensor([[1.0], [-1.0]]), torch.tensor([1, 0])), epochs=20)
    >>> bool(soup.weights[""][1] > 0.5)
    True
    """
    stacks, (x, y) = _stacks(models), _checked(pair, per)
    epochs, batch_size = check_int("epochs", epochs, 1), check_int("batch_size", batch_size, 1)
    layers = {name: name.rpartition(".")[0] if per == "layer" else "" for name in stacks}
    raw = {layer: torch.zeros(len(models), requires_grad=True) for layer in layers.values()}
    factor, net = torch.zeros((), requires_grad=True), plain.copied(models[0]).eval()  # log of the factor
    optimizer = torch.optim.AdamW([*raw.values(), factor], lr=check_real("lr", lr, 0.0), weight_decay=0.0)
    fixed = [name for name, _ in net.named_buffers() if name in stacks]
    order, losses = torch.Generator().manual_seed(check_int("seed", seed, 0)), []
    for _ in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(y), generator=order).split(batch_size):
            mean = {name: _mean(stack, raw[layers[name]].softmax(0)) for name, stack in stacks.items()}
            mean |= {name: mean[name].detach() for name in fixed}
            args, kwargs = calling.arguments(calling.take(x, rows))
            logits = calling.pick(functional_call(net, mean, args, kwargs), output)
            loss = functional.cross_entropy(factor.exp() * logits, y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(rows)
        losses.append(total / len(y))
    weights = {layer: one.detach().double().softmax(0) for layer, one in raw.items()}
    mean = {name: _mean(stack.double(), weights[layers[name]]) for name, stack in stacks.items()}
    return LearnedSoup(_filled(net, mean).train(models[0].training), weights, tuple(losses))


def _filled(net, tensors):
    """`net` with these tensors in place of its own."""
    with torch.no_grad():
        for name, tensor in [*net.named_parameters(), *net.named_buffers()]:
            if name in tensors:
                tensor.copy_(tensors[name])
    return net


def _stacks(models):
    """Every float tensor of the networks by name, a tied one once: (models, ...)."""
    states = same_shape(models)
    names = [name for name, _ in [*models[0].named_parameters(), *models[0].named_buffers()]]
    return {
        name: torch.stack([state[name].detach() for state in states])
        for name in names
        if name in states[0] and states[0][name].is_floating_point()
    }


def _mean(stack, weights):
    return torch.tensordot(weights.to(stack), stack, 1)


def _checked(pair, per):
    if per not in PER:
        raise bad_value("per", per, " or ".join(map(repr, PER)))
    x, y = pair
    if y.ndim != 1 or len(y) != calling.count(x):
        raise bad_value("the shape of y", tuple(y.shape), f"({calling.count(x)},), a label for each input")
    return x, y
