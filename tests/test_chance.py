"""A mask drawn from a seed says nothing about the initial weights of a network built from the same seed."""

import inspect

import numpy as np
import pytest
import torch

from mcomp import channels, prune, sparse_training, zoo
from mcomp.architectures import NAMES
from mcomp.chance import own_seed, own_stream

SHAPES = {"lenet300": (1, 784), "lenet5": (1, 1, 28, 28), "resnet": (1, 1, 28, 28)}


def matrices(model):
    return sparse_training.prunable_weights(model)


def half(model):
    """Masks that keep the first half of each weight, to be shuffled."""
    masks = {name: torch.zeros(w.numel(), dtype=torch.bool) for name, w in matrices(model).items()}
    for mask in masks.values():
        mask[: len(mask) // 2] = True
    return {name: mask.view(matrices(model)[name].shape) for name, mask in masks.items()}


def grown(model, seed):
    """What SET grows with."""
    callback = sparse_training.DropAndGrow(sparse_training.attach_masks(model), grow="random", seed=seed)
    return {name: torch.rand(w.shape, generator=callback.chance) for name, w in callback.originals.items()}


def drawn_anew(model, seed):
    everywhere = {name: torch.ones_like(w, dtype=torch.bool) for name, w in matrices(model).items()}
    return matrices(sparse_training.reinitialised(model, everywhere, seed=seed))


def channel_scores(model, seed):
    graph = channels.channel_graph(model, torch.zeros(SHAPES[type(model).__name__.lower()]))
    return channels.random_scores(graph, seed)


SEEDED = {
    "random_masks": lambda model, seed: sparse_training.random_masks(model, 0.5, seed=seed),
    "shuffled": lambda model, seed: sparse_training.shuffled(half(model), seed=seed),
    "reinitialised": drawn_anew,
    "DropAndGrow": grown,
    "random_score": lambda model, seed: {n: prune.random_score(w, seed) for n, w in matrices(model).items()},
    "random_scores": channel_scores,
}


def standard(arrays):
    """Each array flat with mean 0 and deviation 1, one behind the other; a constant one is left out."""
    flat = [np.asarray(x, dtype=np.float64).ravel() for x in arrays]
    return np.concatenate([(x - x.mean()) / x.std() for x in flat if x.size > 1 and x.std()])


def likeness(drawn, weights):
    """The largest correlation of `drawn` with a stretch of `weights`, wherever it begins, in sigmas."""
    n = len(drawn)
    size = 1 << (n + len(weights)).bit_length()
    product = np.fft.irfft(np.conj(np.fft.rfft(drawn, size)) * np.fft.rfft(weights, size), size)
    return abs(product).max() / np.sqrt(n)


def initial(model):
    """All parameters as they were drawn, biases too."""
    return [p.detach().numpy().copy() for p in model.parameters()]


@pytest.mark.parametrize("function", SEEDED)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 7])
def test_what_a_seed_draws_is_not_like_the_weights_of_that_seed(name, function, seed):
    torch.manual_seed(seed)
    model = zoo.build(name)
    weights = initial(model)
    drawn = standard(SEEDED[function](model, seed).values())
    # of half a million Gaussian likenesses the largest is about 5 sigmas; a replay has 100 and more
    assert likeness(drawn, standard(weights)) < 7
    assert likeness(drawn, standard([abs(w) for w in weights])) < 7


@pytest.mark.parametrize("name", NAMES)
def test_a_replayed_stream_would_be_seen(name):
    torch.manual_seed(3)
    weights, chance = initial(zoo.build(name)), torch.Generator().manual_seed(3)
    masks = [torch.rand(w.shape, generator=chance) < 0.5 for w in weights]
    assert likeness(standard(masks), standard(weights)) > 20


def test_every_public_function_with_a_seed_is_tried():
    rooms = (prune, sparse_training, channels)
    public = {name: getattr(room, name) for room in rooms for name in room.__all__}
    plain = {n: x for n, x in public.items() if inspect.isfunction(x) or inspect.isclass(x)}
    made = {n: x.__init__ if inspect.isclass(x) else x for n, x in plain.items()}
    assert {n for n, x in made.items() if "seed" in inspect.signature(x).parameters} == set(SEEDED)


def test_names_and_seeds_have_streams_of_their_own():
    firsts = {float(torch.rand(1, generator=own_stream(n, s))) for n in ("a", "b") for s in range(20)}
    assert len(firsts) == 40
    assert own_seed("a", 3) == own_seed("a", 3)
    assert 0 <= own_seed("a", 2**63 - 1) < 2**32


@pytest.mark.parametrize("seed", [-1, 1.5, 2**63])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(ValueError, match=r"seed is .*; allowed: an integer"):
        own_stream("a", seed)
