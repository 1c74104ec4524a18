"""Means of networks: against torch's AveragedModel, closed forms, and what can't be averaged is refused."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import mcomp
from mcomp import train
from mcomp.codecs import Uniform, attach
from mcomp.merge import RunningAverage, average, decay_of, greedy_soup, half_life


def net(seed, width=4):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Flatten(), nn.Linear(width, 3)
    )


def data(seed=0, n=64):
    rng = torch.Generator().manual_seed(seed)
    pair = torch.randn(n, 1, 3, 3, generator=rng), torch.randint(3, (n,), generator=rng)
    return SimpleNamespace(train=pair)


class Noted(train.Callback):
    """A copy of the network after every step, and after every epoch."""

    def __init__(self):
        self.steps, self.epochs = [], []

    def after_step(self, run):
        self.steps.append(copy.deepcopy(run.model))

    def after_epoch(self, run):
        self.epochs.append(copy.deepcopy(run.model))


def apart(a, b):
    """The floating tensors in which two networks differ by more than float32 sums in another order do."""
    pairs = zip(a.state_dict().items(), b.state_dict().values(), strict=True)
    floats = [(n, p, q) for (n, p), q in pairs if p.is_floating_point()]
    return [n for n, p, q in floats if not torch.allclose(p, q, rtol=1e-5, atol=1e-6)]


@pytest.mark.parametrize("weights", [None, [0.5, 0.25, 0.25], [2.0, -0.5, -0.5]])
def test_an_average_is_the_weighted_sum_of_every_tensor(weights):
    models = [net(seed) for seed in range(3)]
    models[1][1].num_batches_tracked += 7
    before = [copy.deepcopy(model.state_dict()) for model in models]
    mean = average(models, weights)
    for name, tensor in mean.state_dict().items():
        parts = [state[name] for state in before]
        if tensor.is_floating_point():
            by_hand = sum(w * p.double() for w, p in zip(weights or [1 / 3] * 3, parts, strict=True))
            assert torch.equal(tensor, by_hand.float()), name
        else:
            assert torch.equal(tensor, parts[0]), "an integer buffer is that of the first"
    for model, state in zip(models, before, strict=True):
        assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())


def test_an_average_keeps_what_is_tied():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
            self.head.weight = self.embed.weight

    mean = average([Tied(), Tied()])
    assert mean.head.weight is mean.embed.weight
    untied = Tied()
    untied.head.weight = nn.Parameter(untied.head.weight.detach().clone())
    with pytest.raises(ValueError, match=r"network 1 is .*shares.*embed\.weight"):
        average([Tied(), untied])


@pytest.mark.parametrize(
    ("models", "weights", "named"),
    [
        ([], None, "number of networks is 0"),
        ([net(0), net(1, 5)], None, r"0\.weight of network 1"),
        ([net(0), nn.Linear(2, 2)], None, r"network 1 is .*0\.bias stands alone"),
        ([net(0), net(1).double()], None, r"0\.weight of network 1 is .*float64"),
        ([net(0), net(1)], [0.5, 0.6], "weights is"),
        ([net(0), net(1)], [1.0], "weights is"),
        ([net(0), net(1)], [float("nan"), 1.0], "a weight is nan"),
    ],
)
def test_what_can_t_be_averaged_is_refused_by_name(models, weights, named):
    with pytest.raises(ValueError, match=named):
        average(models, weights)


def test_a_weight_that_a_codec_makes_is_refused():
    coded = net(0)
    attach(coded, {"4.weight": Uniform(4)})
    with pytest.raises(ValueError, match=r"4, whose weight .* makes.*bake"):
        average([coded, copy.deepcopy(coded)])


def test_the_plain_running_mean_is_that_of_torch():
    model = net(0)
    noted, swa = Noted(), RunningAverage(model, start=1)
    train.fit(model, data(), epochs=4, batch_size=16, callbacks=[noted, swa], progress=False)
    peer = AveragedModel(noted.epochs[1], use_buffers=True)
    for model in noted.epochs[1:]:
        peer.update_parameters(model)
    assert swa.looks == 3
    assert apart(swa.network, peer.module) == []


def test_the_exponential_mean_is_that_of_torch_once_its_start_is_forgotten():
    model = net(0)
    noted, ema = Noted(), RunningAverage(model, decay=0.5, every="step")
    train.fit(model, data(), epochs=10, batch_size=16, callbacks=[noted, ema], progress=False)
    peer = AveragedModel(noted.steps[0], multi_avg_fn=get_ema_multi_avg_fn(0.5), use_buffers=True)
    for model in noted.steps:
        peer.update_parameters(model)
    assert len(noted.steps) == ema.looks == 40  # 0.5 ** 40 of the start is left in torch's
    assert apart(ema.network, peer.module) == []


@pytest.mark.parametrize("looks", [1, 2, 5])
def test_the_exponential_mean_weighs_by_powers_of_the_decay_with_the_sum_1(looks):
    model, models, decay = net(99), [net(seed) for seed in range(looks)], 0.9
    ema = RunningAverage(model, decay=decay)
    for epoch, other in enumerate(models):
        model.load_state_dict(other.state_dict())
        ema.after_epoch(SimpleNamespace(epoch=epoch))
    powers = [decay ** (looks - 1 - i) for i in range(looks)]
    assert apart(ema.network, average(models, [p / sum(powers) for p in powers])) == []


def test_a_half_life_is_where_a_weight_has_halved():
    assert [round(0.98 ** half_life(0.98), 12), round(decay_of(half_life(0.7)), 12)] == [0.5, 0.7]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: RunningAverage(net(0), decay=1.0), "decay is 1.0"),
        (lambda: RunningAverage(net(0), every="batch"), "every is 'batch'"),
        (lambda: RunningAverage(net(0), start=-1), "start is -1"),
        (lambda: RunningAverage(net(0).half()), r"the dtype of 0\.weight"),
        (lambda: half_life(0), "decay is 0"),
        (lambda: decay_of(0), "half_life is 0"),
    ],
)
def test_bad_averages_are_refused(call, named):
    with pytest.raises(ValueError, match=named):
        call()


@settings(max_examples=25, derandomize=True, deadline=None)
@given(st.lists(st.integers(-8, 8), min_size=1, max_size=6), st.integers(-8, 8))
def test_a_greedy_soup_is_the_loop_of_the_paper(numbers, target):
    models = [nn.Linear(1, 1, bias=False).double() for _ in numbers]
    for model, number in zip(models, numbers, strict=True):
        nn.init.constant_(model.weight, number)
    kept, best = [], -np.inf
    for i in sorted(range(len(numbers)), key=lambda i: (abs(numbers[i] - target), i)):
        tried = -abs(np.mean([numbers[j] for j in [*kept, i]]) - target)
        if tried >= best - 1e-12:  # a mean of three integers isn't exact
            kept, best = [*kept, i], tried
    soup = greedy_soup(models, lambda model: round(-abs(model.weight.item() - target), 9))
    assert soup.members == tuple(kept)
    assert soup.scores[-1] == pytest.approx(best, abs=1e-8)


def test_a_mean_of_networks_trained_apart_needs_its_batch_norm_anew():
    """What an average of statistics is not: the statistics of the average."""
    from mcomp.channels import recalibrate

    models = [net(seed) for seed in range(2)]
    for seed, model in enumerate(models):
        train.fit(model, data(seed), epochs=3, batch_size=16, progress=False)
    mean = average(models)
    x = data(5, 512).train[0]
    anew = recalibrate(mean, x, batch_size=512)
    seen = mean[0](x)
    assert torch.allclose(anew[1].running_mean, seen.mean((0, 2, 3)), atol=1e-5)
    assert not torch.allclose(mean[1].running_var, seen.var((0, 2, 3)), rtol=0.05)


def test_the_zoo_averages_with_itself_to_itself():
    model = mcomp.zoo.load("resnet", 0)
    mean = average([model, model, model])
    assert all(torch.equal(p, q) for p, q in zip(mean.parameters(), model.parameters(), strict=True))
