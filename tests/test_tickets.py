"""Rewinding and tickets: what is put back, where the learning rate stands, what is drawn anew."""

import copy
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch

from mcomp import zoo
from mcomp.chance import own_seed
from mcomp.prune import global_topk_masks, kept_count
from mcomp.sparse_training import apply_masks, prunable_weights
from mcomp.sparse_training.tickets import (
    Resume,
    Snapshot,
    Steady,
    find_tickets,
    reinitialised,
    shuffled,
    train_ticket,
)
from mcomp.train import Callback, fit, one_cycle

OPTIONS = {"batch_size": 20, "lr": 0.01, "progress": False}


def tiny(seed=0):
    torch.manual_seed(seed)
    return zoo.build("lenet300", hidden=(6, 5))


@pytest.fixture(scope="module")
def data():
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(200, 1, 28, 28, generator=chance)
    return SimpleNamespace(train=(x, (x[:, 0, 14].sum(1) > 0).long()))  # 10 steps an epoch


class Rates(Callback):
    def __init__(self):
        self.rates = []

    def after_step(self, run):
        self.rates.append(run.optimizer.param_groups[0]["lr"])


def rates(data, *callbacks, epochs):
    watch = Rates()
    fit(tiny(), data, epochs=epochs, callbacks=[*callbacks, watch], **OPTIONS)
    return watch.rates


def same(a, b):
    return all(torch.equal(x, b.state_dict()[name]) for name, x in a.state_dict().items())


def test_resume_runs_the_rest_of_the_schedule(data):
    whole = rates(data, epochs=4)
    assert whole == pytest.approx([0.01 * one_cycle(step, 40) for step in range(40)])
    assert rates(data, Resume(10), epochs=3) == pytest.approx(whole[10:])
    assert rates(data, Resume(0), epochs=4) == whole


def test_steady_leaves_a_factor_that_a_group_has(data):
    class Half(Callback):
        def before_step(self, run):
            if run.step == 0:
                run.optimizer.param_groups[0]["factor"] = 0.5

    assert rates(data, Half(), Steady(), epochs=1) == pytest.approx([0.005] * 10)


def test_steady_is_a_constant_rate(data):
    assert rates(data, Steady(), epochs=2) == pytest.approx([0.01] * 20)
    assert rates(data, Resume(10), Steady(), epochs=2) == pytest.approx([0.01] * 20)


@pytest.mark.parametrize("at", [0, 7, 19])
def test_snapshot_is_the_network_before_that_step(data, at):
    model, snapshot, seen = tiny(), Snapshot(at), []

    class Watch(Callback):
        def after_step(self, run):
            seen.append(copy.deepcopy(run.model.state_dict()))

    begin = copy.deepcopy(model.state_dict())
    fit(model, data, epochs=2, callbacks=[snapshot, Watch()], **OPTIONS)
    expected = begin if at == 0 else seen[at - 1]
    assert all(torch.equal(x, expected[name]) for name, x in snapshot.state.items())
    assert Snapshot(99).state is None


@pytest.mark.parametrize("rewind", [0, 1, 3])
@pytest.mark.parametrize("keep", ["start", "end"])
def test_find_tickets_is_the_loop_written_out(data, rewind, keep):
    """Train, prune the smallest, put back, train: with plain fit and torch alone."""
    options = {"sparsities": (0.5, 0.8), "epochs": 3, "rewind": rewind, "keep": keep, **OPTIONS}
    model, tickets = tiny(), list(find_tickets(tiny(), data, **options))
    snapshot, trained = Snapshot(10 * rewind), copy.deepcopy(model)
    fit(trained, data, epochs=3, callbacks=[snapshot], **OPTIONS)
    early = copy.deepcopy(model)
    early.load_state_dict(snapshot.state if rewind < 3 else trained.state_dict())
    for ticket in tickets:
        weights = prunable_weights(trained)
        k = kept_count(sum(w.numel() for w in weights.values()), ticket.sparsity)
        masks = global_topk_masks({name: abs(w) for name, w in weights.items()}, k)
        assert all(torch.equal(mask, ticket.masks[name]) for name, mask in masks.items())
        start = apply_masks(early if keep == "start" else trained, masks)
        assert same(start, ticket.start)
        trained = train_ticket(
            start, masks, data, epochs=3 - rewind, callbacks=[Resume(10 * rewind)], **OPTIONS
        )
        assert same(trained, ticket.trained)
        for name, w in prunable_weights(ticket.trained).items():
            assert not w[~masks[name]].any()
    assert same(model, tiny())


def test_the_masks_of_tickets_are_nested(data):
    tickets = list(find_tickets(tiny(), data, sparsities=(0.3, 0.6, 0.9), epochs=1, **OPTIONS))
    assert [ticket.sparsity for ticket in tickets] == [0.3, 0.6, 0.9]
    for wide, narrow in pairwise(tickets):
        assert all(not (narrow.masks[name] & ~wide.masks[name]).any() for name in wide.masks)


def test_reinitialised_has_the_masks_and_values_of_a_stream_of_its_own():
    masks = shuffled({n: torch.ones_like(w, dtype=torch.bool) for n, w in prunable_weights(tiny()).items()})
    masks = {name: mask & (torch.arange(mask.shape[1]) % 2 == 0) for name, mask in masks.items()}
    model, before = tiny(0), torch.random.get_rng_state()
    other = reinitialised(model, masks, seed=5)
    assert torch.equal(torch.random.get_rng_state(), before)
    fresh = tiny(own_seed("reinitialised", 5))
    assert same(other, apply_masks(fresh, masks))  # drawn as a network is, from another stream than tiny(5)
    assert same(model, tiny(0))


def test_shuffled_masks_have_the_same_counts_elsewhere():
    chance = torch.Generator().manual_seed(1)
    masks = {"a": torch.rand(20, 30, generator=chance) < 0.2, "b": torch.zeros(3, 3, dtype=torch.bool)}
    other = shuffled(masks, seed=2)
    assert {n: int(m.sum()) for n, m in other.items()} == {n: int(m.sum()) for n, m in masks.items()}
    assert not torch.equal(other["a"], masks["a"])
    assert torch.equal(other["a"], shuffled(masks, seed=2)["a"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keep": "middle"}, "keep is 'middle'; allowed: start, end"),
        ({"rewind": 3}, "rewind is 3; allowed: an integer from 0 to 2"),
        ({"rewind": -1}, "rewind is -1"),
        ({"epochs": 0}, "epochs is 0"),
        ({"sparsities": (1.5,)}, "sparsity is 1.5"),
    ],
)
def test_bad_arguments(data, change, message):
    options = {"sparsities": (0.5,), "epochs": 2} | change
    with pytest.raises(ValueError, match=message):
        list(find_tickets(tiny(), data, **options, **OPTIONS))


@pytest.mark.parametrize("make", [lambda: Snapshot(-1), lambda: Resume(1.5), lambda: shuffled({}, seed=-1)])
def test_bad_callbacks(make):
    with pytest.raises(ValueError, match=r"is .*; allowed: an integer"):
        make()
