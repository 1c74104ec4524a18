"""The callbacks on small networks: what they promise about the masks, against plain loops of torch."""

import copy
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from torch.nn.utils import prune as torch_prune

from mcomp import zoo
from mcomp.codecs import Codebook, Sparse, attach, attached, bake
from mcomp.prune import cosine_fraction, erdos_renyi_counts, iterative_sparsity, kept_count
from mcomp.sparse_training import (
    Controller,
    DropAndGrow,
    DynamicSurgery,
    Masking,
    Scheduled,
    attach_masks,
    prunable_weights,
    random_masks,
)
from mcomp.train import Callback, fit


def tiny(seed=0):
    torch.manual_seed(seed)
    return zoo.build("lenet300", hidden=(6, 5))


@pytest.fixture(scope="module")
def data():
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(400, 1, 28, 28, generator=chance)
    return SimpleNamespace(train=(x, (x[:, 0, 14].sum(1) > 0).long() + 3 * (x[:, 0, 3, 3] > 0).long()))


OPTIONS = {"epochs": 4, "batch_size": 20, "lr": 0.01, "progress": False}  # 80 steps
NAMES = ("fc1.weight", "fc2.weight", "fc3.weight")


class Watch(Callback):
    """The masks and the effective weights after each step."""

    def __init__(self, masking):
        self.masking, self.masks, self.seen = masking, [], []

    def after_step(self, run):
        self.masks.append(joined(self.masking.masks))
        self.seen.append(joined(self.masking.effective()))


def joined(tensors):
    return torch.cat([x.flatten() for x in tensors.values()]).clone()


def run(callback, model, data, **options):
    watch = Watch(callback)
    fit(model, data, callbacks=[callback, watch], **(OPTIONS | options))
    return watch


# attach_masks, random_masks, Masking


def test_hold_trains_as_the_pruning_of_torch_does(data):
    """torch.nn.utils.prune keeps w * mask as well: the same steps, the same weights."""
    ours, theirs, masks = tiny(), tiny(), random_masks(tiny(), 0.6)
    attach_masks(ours, masks)
    for name, mask in masks.items():
        torch_prune.custom_from_mask(theirs.get_submodule(name[:3]), "weight", mask)
    for model in (ours, theirs):
        fit(model, data, **OPTIONS)
    bake(ours)
    for name, mask in masks.items():
        layer, w = theirs.get_submodule(name[:3]), ours.get_parameter(name).detach()
        assert torch.equal(w, layer.weight_orig.detach() * layer.weight_mask)
        assert not w[~mask].any()
        assert w[mask].all()


def test_hold_keeps_a_zero_that_the_mask_keeps(data):
    model = tiny()
    model.fc2.weight.data.zero_()
    attach_masks(model, {"fc2.weight": torch.ones(5, 6, dtype=torch.bool)})
    fit(model, data, **OPTIONS)
    assert bake(model).fc2.weight.count_nonzero() > 10


def test_hold_without_masks_is_the_whole_network(data):
    plain, held = tiny(), attach_masks(tiny())
    for model in (plain, held):
        fit(model, data, **OPTIONS)
    for p, q in zip(plain.parameters(), bake(held).parameters(), strict=True):
        assert torch.equal(p, q)


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 1.0])
def test_random_masks_have_the_counts_of_erdos_renyi(sparsity):
    model = tiny()
    masks = random_masks(model, sparsity, seed=3)
    shapes = {name: tuple(w.shape) for name, w in prunable_weights(model).items()}
    total = sum(w.numel() for w in prunable_weights(model).values())
    assert {n: int(m.sum()) for n, m in masks.items()} == erdos_renyi_counts(
        shapes, kept_count(total, sparsity)
    )
    assert torch.equal(joined(masks), joined(random_masks(model, sparsity, seed=3)))
    if sparsity == 0.5:
        assert not torch.equal(joined(masks), joined(random_masks(model, sparsity, seed=4)))


def test_a_masking_knows_the_masks_that_are_there():
    masks = random_masks(tiny(), 0.7)
    masking = Masking(attach_masks(tiny(), masks))
    assert torch.equal(joined(masking.masks), joined(masks))
    assert masking.sparsity() == pytest.approx(0.7, abs=1e-3)  # a whole number of 4,784 weights
    assert torch.equal(joined(masking.effective()) != 0, joined(masks))


@pytest.mark.parametrize(
    "model",
    [
        tiny(),
        (lambda m: attach(m, {"fc1.weight": Codebook(4)}, refresh="never") and m)(tiny()),
        (lambda m: attach(m, {"fc1.weight": Sparse(0.5)}) and m)(tiny()),
    ],
    ids=["nothing attached", "a codebook", "refreshed each step"],
)
@pytest.mark.parametrize(
    "make",
    [
        lambda m: Scheduled(m, 0.5),
        lambda m: DynamicSurgery(m, 0.5),
        DropAndGrow,
        lambda m: Controller(m, len, floor=0.5, start=0.1),
    ],
)
def test_a_network_without_held_masks_is_refused(make, model):
    with pytest.raises(ValueError, match=r"codecs is .*; allowed: attached .* attach_masks\(model\)"):
        make(model)


# Scheduled


@pytest.mark.parametrize("options", [{}, {"schedule": iterative_sparsity, "rounds": 3}, {"ramp": 0.5}])
def test_scheduled_prunes_the_smallest_and_never_lets_one_back(data, options):
    model = attach_masks(tiny())
    pruning = Scheduled(model, 0.8, **options)
    watch = run(pruning, model, data)
    assert all(not (later & ~earlier).any() for earlier, later in pairwise(watch.masks))
    assert int(watch.masks[-1].sum()) == kept_count(len(watch.masks[-1]), 0.8)
    assert all(entry["back"] == 0 for entry in pruning.log)
    assert sum(entry["gone"] for entry in pruning.log) == len(watch.masks[-1]) - int(watch.masks[-1].sum())
    assert [e["sparsity"] for e in pruning.log] == sorted(e["sparsity"] for e in pruning.log)
    end = options.get("ramp", 1.0) * 80
    for entry in pruning.log[:-1]:
        schedule = options.get("schedule") or pruning.schedule
        extra = {"rounds": 3} if "rounds" in options else {}
        expected = schedule(entry["step"], start=0, end=end, final=0.8, **extra)
        assert entry["sparsity"] == pytest.approx(expected, abs=1e-3)  # a whole number of 4,784 weights


def test_one_round_is_pruning_at_once(data):
    model, whole = attach_masks(tiny()), tiny()
    pruning = Scheduled(model, 0.8, schedule=iterative_sparsity, rounds=1)
    watch = run(pruning, model, data)
    pairs = [(whole.get_submodule(name[:3]), "weight") for name in NAMES]
    amount = len(watch.masks[0]) - kept_count(len(watch.masks[0]), 0.8)
    torch_prune.global_unstructured(pairs, torch_prune.L1Unstructured, amount=amount)
    expected = torch.cat([layer.weight_mask.flatten() for layer, _ in pairs]).bool()
    assert all(torch.equal(mask, expected) for mask in watch.masks)
    assert [entry["gone"] for entry in pruning.log if entry["gone"]] == [amount]


def test_a_floor_keeps_a_layer_of_small_weights(data):
    """One threshold for all would empty it; without a floor nothing changes."""
    models = [attach_masks(tiny()) for _ in range(2)]
    for model in models:
        with torch.no_grad():
            model.fc3.parametrizations.weight.original.mul_(1e-4)
    bare, floored = (Scheduled(m, 0.9, least=part) for m, part in zip(models, (0.0, 0.2), strict=True))
    bare.finish()
    floored.finish()
    assert not bare.masks["fc3.weight"].any()
    assert bare.held == []
    assert floored.held == ["fc3.weight"]
    assert int(floored.masks["fc3.weight"].sum()) == 1  # a fifth of a tenth of 50
    assert floored.sparsity() == pytest.approx(bare.sparsity(), abs=1e-12)  # as many in all


def test_another_score():
    """The largest stay of what the score says: here the smallest weights."""
    model = attach_masks(tiny())
    pruning = Scheduled(model, 0.5, score=lambda w: -w.abs())
    pruning.finish()
    w, mask = joined(prunable_weights(tiny())).abs(), joined(pruning.masks)
    assert w[mask].max() <= w[~mask].min()


# DynamicSurgery


def test_surgery_brings_weights_back(data):
    model = attach_masks(tiny())
    surgery = DynamicSurgery(model, 0.8, margin=0.05)
    watch = run(surgery, model, data, lr=0.03)
    assert sum(entry["back"] for entry in surgery.log) > 0
    assert int(watch.masks[-1].sum()) == kept_count(len(watch.masks[-1]), 0.8)
    still = watch.masks[int(0.75 * 80) + 1 :]
    assert all(torch.equal(mask, still[0]) for mask in still)  # after `until` the masks rest


def test_surgery_lets_what_is_out_learn_from_the_gradient_of_the_masked_network(data):
    """Guo et al. 2016, eq. 2, with plain gradient descent written out."""
    model = attach_masks(tiny())
    surgery = DynamicSurgery(model, 0.5)
    surgery.finish()
    x, y = (part[:50] for part in data.train)
    hidden = {n: w.detach().clone() for n, w in surgery.originals.items()}
    torch.nn.functional.cross_entropy(model(x), y).backward()
    plain = copy.deepcopy(tiny())
    for name, w in hidden.items():
        plain.get_parameter(name).data.copy_(w * surgery.masks[name])
    torch.nn.functional.cross_entropy(plain(x), y).backward()
    for name, w in surgery.originals.items():
        assert torch.allclose(w.grad, plain.get_parameter(name).grad, atol=1e-7)  # float32, gradients < 1
        assert w.grad[~surgery.masks[name]].any()


def test_surgery_without_margin_is_the_largest_hidden_weights():
    model = attach_masks(tiny())
    surgery = DynamicSurgery(model, 0.5, margin=0.0)
    surgery.finish()
    w, mask = joined(surgery.originals).detach().abs(), joined(surgery.masks)
    assert w[mask].min() >= w[~mask].max()
    for p in surgery.originals.values():  # what was out grows, what was in shrinks
        p.data.copy_(1 / (p.detach().abs() + 0.1))
    surgery.prune(0.5)
    assert (joined(surgery.masks) & mask).sum() < 10


# DropAndGrow


@pytest.mark.parametrize("grow", ["gradient", "random"])
def test_every_layer_keeps_its_count_while_the_masks_move(data, grow):
    masks = random_masks(tiny(), 0.8)
    model = attach_masks(tiny(), masks)
    moving = DropAndGrow(model, grow=grow, every=10)
    run(moving, model, data)
    assert {n: int(m.sum()) for n, m in moving.masks.items()} == {n: int(m.sum()) for n, m in masks.items()}
    assert [entry["step"] for entry in moving.log] == [10, 20, 30, 40, 50]
    assert all(entry["gone"] == entry["back"] for entry in moving.log)
    assert moving.log[0]["back"] > moving.log[-1]["back"] > 0
    for entry in moving.log:  # what has gone may have come back at once, so at most so many
        fraction = cosine_fraction(entry["step"], end=60, alpha=0.3)
        assert entry["gone"] <= sum(round(fraction * int(m.sum())) for m in masks.values())
    w = joined(prunable_weights(bake(model)))
    assert not w[~joined(moving.masks)].any()


def test_one_move_of_rigl_is_what_the_paper_says(data):
    """The smallest that are in go, of the rest the largest gradients come, from zero and without memory."""
    model = attach_masks(tiny(), random_masks(tiny(), 0.8))
    moving, seen = DropAndGrow(model, every=10, until=1.0), {}

    class Check(Callback):
        def before_step(self, run):
            if run.step == 10:
                seen["masks"] = dict(moving.masks)
                seen["plain"] = bake(copy.deepcopy(model))

        def after_step(self, run):
            if run.step == 10:
                seen["grad"] = {n: w.grad.clone() for n, w in moving.originals.items()}
                seen["after"] = {n: w.detach().clone() for n, w in moving.originals.items()}
                seen["moments"] = {
                    n: run.optimizer.state[w]["exp_avg"].clone() for n, w in moving.originals.items()
                }

    rate = cosine_fraction(10, end=80, alpha=0.3)
    snapshot = Snapshots(moving)
    fit(model, data, callbacks=[snapshot, moving, Check()], **(OPTIONS | {"epochs": 1, "lr": 0.01}))
    for name in NAMES:
        before, after, w = seen["masks"][name], snapshot.masks[10][name], snapshot.moved[10][name]
        k = round(cosine_fraction(10, end=20, alpha=0.3) * int(before.sum()))
        size = torch.where(before, w.abs(), torch.inf).flatten()
        gone = torch.zeros(size.numel(), dtype=torch.bool)
        gone[size.argsort()[:k]] = True
        stays = before.flatten() & ~gone
        gradient = torch.where(stays, -1.0, seen["grad"][name].abs().flatten())
        stays[gradient.argsort(descending=True)[:k]] = True
        assert torch.equal(after.flatten(), stays)
        new = after & ~before
        assert not seen["after"][name][new].any()
        assert not seen["after"][name][~after].any()
        assert not seen["moments"][name][new].any()
    assert rate > 0


class Snapshots(Callback):
    """The hidden weights after the optimiser's step, before the callback moves the masks; the masks after."""

    def __init__(self, moving):
        self.moving, self.moved, self.masks = moving, {}, {}

    def before_step(self, run):
        self.masks[run.step - 1] = dict(self.moving.masks)

    def after_step(self, run):
        self.moved[run.step] = {n: w.detach().clone() for n, w in self.moving.originals.items()}


def test_weights_that_are_out_do_not_move_between_the_moves(data):
    """And a weight that is out has no gradient in any step but that of a move."""
    model = attach_masks(tiny(), random_masks(tiny(), 0.8))
    moving = DropAndGrow(model, every=7)
    watch = run(moving, model, data)
    hidden = joined(moving.originals).detach()
    assert not hidden[~watch.masks[-1]][joined(random_masks(tiny(), 0.8))[~watch.masks[-1]]].any()
    assert all(weight.gradient == "masked" for weight in moving.weights.values())
    assert all(
        torch.equal(seen != 0, mask) or moving.log for seen, mask in zip(watch.seen, watch.masks, strict=True)
    )


def test_random_growth_depends_on_the_seed_only(data):
    def final(seed):
        model = attach_masks(tiny(), random_masks(tiny(), 0.8))
        moving = DropAndGrow(model, grow="random", every=10, seed=seed)
        run(moving, model, data, epochs=1)
        return joined(moving.masks)

    assert torch.equal(final(1), final(1))
    assert not torch.equal(final(1), final(2))


# Controller


def test_the_controller_ends_with_the_last_good_network(data):
    model = attach_masks(tiny())
    verdicts, states = iter([0.9, 0.9, 0.5, 0.9, 0.4, 0.3]), []

    def accuracy(network):
        states.append(copy.deepcopy(network.state_dict()))
        return next(verdicts)

    controller = Controller(model, accuracy, floor=0.8, start=0.01, factor=4.0)
    fit(model, data, callbacks=[controller], **(OPTIONS | {"epochs": 6}))
    tried = [entry["threshold"] for entry in controller.log]
    assert tried == pytest.approx([0.01, 0.04, 0.16, 0.08, 0.16, 0.08 * 2**0.5])
    assert [entry["holds"] for entry in controller.log] == [True, True, False, True, False, False]
    for name, value in model.state_dict().items():
        assert torch.equal(value, states[3][name]), name  # the last that held
    assert controller.sparsity() == controller.log[3]["sparsity"]
    w = joined(prunable_weights(bake(model)))
    assert int((w == 0).sum()) == int((~joined(controller.masks)).sum())


def test_a_controller_whose_first_step_is_too_much_gives_back_what_it_got(data):
    model = attach_masks(tiny())
    controller = Controller(model, lambda network: 0.0, floor=0.8, start=0.1)
    fit(model, data, callbacks=[controller], **OPTIONS)
    for p, q in zip(bake(model).parameters(), tiny().parameters(), strict=True):
        assert torch.equal(p, q)
    thresholds = [entry["threshold"] for entry in controller.log]
    assert thresholds == sorted(thresholds, reverse=True)


def test_the_threshold_is_a_threshold_on_size():
    model = attach_masks(tiny())
    controller = Controller(model, lambda network: 1.0, floor=0.5, start=0.02)
    controller.before_step(SimpleNamespace(step=0))
    assert torch.equal(joined(controller.masks), joined(prunable_weights(tiny())).abs() > 0.02)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m: Scheduled(m, 1.2), "final is 1.2"),
        (lambda m: Scheduled(m, 0.9, ramp=0.0), "ramp is 0.0"),
        (lambda m: Scheduled(m, 0.9, schedule=iterative_sparsity, rounds=0), "rounds is 0"),
        (lambda m: DynamicSurgery(m, 0.9, margin=1.0), "margin is 1.0"),
        (lambda m: DynamicSurgery(m, 0.9, ramp=0.6, until=0.5), "until is 0.5; allowed: .* 0.6"),
        (lambda m: DropAndGrow(m, grow="hope"), "grow is 'hope'; allowed: gradient, random"),
        (lambda m: DropAndGrow(m, every=0), "every is 0"),
        (lambda m: DropAndGrow(m, alpha=1.1), "alpha is 1.1"),
        (lambda m: DropAndGrow(m, until=0), "until is 0"),
        (lambda m: DropAndGrow(m, seed=-1), "seed is -1"),
        (lambda m: Controller(m, len, floor=0.8, start=0.0), "start is 0.0"),
        (lambda m: Controller(m, len, floor=float("nan"), start=0.1), "floor is nan"),
        (lambda m: Controller(m, len, floor=0.8, start=0.1, factor=1.0), "factor is 1.0"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make(attach_masks(tiny()))


def test_hold_refuses_masks_that_do_not_fit():
    with pytest.raises(ValueError, match="mask is"):
        attach_masks(tiny(), {"fc1.weight": torch.ones(2, dtype=torch.bool)})
    with pytest.raises(ValueError, match="mask is"):
        attach_masks(tiny(), {"fc1.weight": torch.ones(6, 784)})
    model = tiny()
    assert not attached(model)
