"""Carry out a candidate: each method changes the network, then the network learns before the next comes."""

import copy
import functools

import torch

from mcomp import channels, distill, zoo
from mcomp.arrays import check_int
from mcomp.codecs import Codebook
from mcomp.codecs.attachment import attach, bake
from mcomp.layers import matrices
from mcomp.pipeline import half_codebooks
from mcomp.prune.masks import sparsity
from mcomp.search.candidate import knob
from mcomp.search.ramp import Ramp
from mcomp.structure import choose_ranks, factorize
from mcomp.train import cross_entropy, fit, predict

__all__ = ["carry_out", "split_epochs"]

BIAS_VALUES = 8
HEAT = 3.0  # the temperature of a teacher's answers


def carry_out(model, candidate, data, *, epochs, seed=0, watch=None, hidden=True):
    """A compressed copy of `model`: the candidate's methods in their order, training after each.

    The weights that learn below zeros and shared values go on from stage to stage. Without that (`hidden`
    false) who prunes what shares six values finds six sizes only, and ties are decided by position: in
    experiments/20_orders.py that costs accuracy.

    What a later method destroys is gone: the factors of a pruned matrix are dense, but for inputs that
    nobody read, and share no values.

    Parameters
    ----------
    model : torch.nn.Module
        A trained classifier. Not changed.
    candidate : Candidate
    data : object with `.train`, an (x, y) pair of tensors
    epochs : int
        Of all stages together; `split_epochs` shares them out.
    seed : int
        Of the order of the images.
    watch : callable, optional
        ``watch(method, network)`` sees the plain network after the training of each stage.
    hidden : bool
        Whether a stage goes on from the float weights that learned, or from what was made of them.

    Returns
    -------
    small : torch.nn.Module
        Plain, in evaluation mode.

    Raises
    ------
    ValueError
        If a method doesn't fit the network, or training diverges.
    """
    small, shared, floats, loss = copy.deepcopy(model), set(), {}, cross_entropy
    for method, n in zip(candidate.order, split_epochs(epochs, len(candidate.order)), strict=True):
        if method == "distil":
            loss = distill.teaching(_answers(model, candidate.teacher, data), data, T=HEAT)
        small, shared = _changed(small, method, candidate, data.train[0][:1], shared)
        floats = floats if hidden and method not in ("narrow", "factorize") else {}
        ramp = _attached(small, candidate, shared, floats, prunes=method == "prune")
        fit(small, data, epochs=n, lr=candidate.lr, loss=loss, callbacks=[ramp], seed=seed, progress=False)
        ramp.put(1.0)
        half_codebooks(small)
        floats = ramp.originals()
        small = bake(small)
        if watch is not None:
            watch(method, small)
    return small


def split_epochs(epochs, stages):
    """So many epochs for each stage; what is left over goes to the last ones.

    Examples
    --------
    >>> split_epochs(8, 3)
    [2, 3, 3]
    """
    whole, rest = divmod(check_int("epochs", epochs, 0), max(stages, 1))
    return [whole + (i >= stages - rest) for i in range(stages)]


def _answers(model, teacher, data):
    """The teacher's logits of all training images; those of a network of the zoo are made once."""
    return predict(model, data.train[0]) if teacher == "self" else _zoo_answers(teacher, Same(data))


class Same:
    """A data set that equals another if it is the very same object."""

    def __init__(self, data):
        self.data = data

    def __hash__(self):
        return id(self.data)

    def __eq__(self, other):
        return self.data is other.data


@functools.lru_cache(maxsize=1)
def _zoo_answers(teacher, same):
    return predict(zoo.load(teacher), same.data.train[0])


def _changed(small, method, candidate, x, shared):
    """What one method makes of the network before it learns, and the names of what shares values then."""
    if method == "narrow":
        return _narrow(small, candidate.width, x), shared
    if method == "factorize":
        total = sum(m.value.numel() for m in matrices(small).values())
        small = factorize(small, choose_ranks(small, int(candidate.rank * total)))
        return small, shared & dict(small.named_parameters()).keys()
    if method == "quantize":
        return small, {name for name, _ in small.named_parameters() if knob(candidate.values, name)}
    return small, shared


def _attached(small, candidate, shared, floats, *, prunes):
    """Codecs on the network, in place: zeros stay, values stay shared. The callback that prunes it.

    `floats` are the weights that learned below the codecs before; what is zero now stays zero.
    """
    before = {name: sparsity(m.value) for name, m in matrices(small).items()}
    after = {name: max(part, _wanted(candidate, name, small)) for name, part in before.items() if prunes}
    after = after or before
    with torch.no_grad():
        for name, w in floats.items():
            small.get_parameter(name).copy_(w * (small.get_parameter(name) != 0))
    books = {name: _book(name, small.get_parameter(name), candidate.values, before) for name in shared}
    ramp = Ramp(small, books, before, after)
    rules = ramp.rules(0.0)
    if rules:
        attach(small, rules, refresh="step" if books else "epoch")  # shared values follow the weights
    return ramp


def _wanted(candidate, name, small):
    """The sparsity that a candidate gives to a weight; one entry stays in any case."""
    return min(knob(candidate.sparsity, name) or 0.0, 1 - 1 / small.get_parameter(name).numel())


def _book(name, p, values, weights):
    return Codebook(knob(values, name) if name in weights else min(BIAS_VALUES, p.numel()))


def _narrow(model, width, x):
    """Without the hidden units of least norm, all layers' compared relative to their own mean."""
    graph = channels.channel_graph(model, x)
    scores = channels.relative(channels.l2_scores(model, graph))
    return channels.remove_channels(
        model, channels.plan_channels(graph, scores, ratio=1.0 - width, scope="global")
    )
