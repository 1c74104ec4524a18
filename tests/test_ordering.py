"""Channels in a shorter order: the same function in float64, a planted order, bytes counted by the coder."""

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn

import mcomp
from mcomp.coding.positions import encode_mask
from mcomp.measure import largest_difference
from mcomp.merge import symmetries
from mcomp.merge.ordering import ORDERS, drop_dead_ends, mask_bytes, orders_of, shortest_order
from mcomp.prune.masks import topk_mask


def sparse(model, sparsity=0.8, seed=0):
    """`model` with random weights, the smallest set to zero."""
    rng = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        p.data.copy_(torch.randn(p.shape, generator=rng))
        if p.ndim > 1:
            p.data *= topk_mask(p.data.abs(), round(p.numel() * (1 - sparsity)))
    return model.eval()


def mlp():
    return nn.Sequential(nn.Linear(30, 40), nn.ReLU(), nn.Linear(40, 20), nn.ReLU(), nn.Linear(20, 5))


NETWORKS = {
    "mlp": (mlp, (4, 30)),
    "convolutions": (
        lambda: nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU(),
                              nn.Flatten(), nn.Linear(8 * 4, 3)),
        (4, 1, 6, 6),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_the_function_stays_and_the_masks_code_no_longer(name):
    make, shape = NETWORKS[name]
    model, x = sparse(make()), torch.randn(*shape, generator=torch.Generator().manual_seed(1))
    before = copy.deepcopy(model.state_dict())
    small, rows = shortest_order(model, x)
    assert largest_difference(model, small, x) < 1e-9  # in float64
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    assert sum(mask_bytes(small).values()) <= sum(mask_bytes(model).values())
    assert all(set(row) == {"group", "as it is", *ORDERS} for row in rows)
    assert sorted(int(p.count_nonzero()) for p in small.parameters()) == sorted(
        int(p.count_nonzero()) for p in model.parameters()
    )


def test_bytes_are_those_of_the_coder():
    model = sparse(mlp())
    masks = {n: p.detach().numpy() != 0 for n, p in model.named_parameters() if p.ndim > 1}
    assert mask_bytes(model) == {n: len(encode_mask(m)) for n, m in masks.items()}
    assert [*mask_bytes(model, {"2.weight"})] == ["2.weight"]


def test_orders_are_what_they_say():
    model = sparse(mlp())
    graph = symmetries(model, torch.ones(2, 30))
    kept = {n: (p != 0).numpy() for n, p in model.named_parameters()}
    for group, made, read in (("0", "0.weight", "2.weight"), ("2", "2.weight", "4.weight")):
        orders = orders_of(model, graph, group)
        assert all(sorted(order) == [*range(len(order))] for order in orders.values())
        assert (np.diff(kept[made].sum(1)[orders["by inputs"]]) <= 0).all()
        assert (np.diff(kept[read].sum(0)[orders["by outputs"]]) <= 0).all()
        both = np.hstack([kept[made], kept[read].T]).astype(int)
        order = orders["like to like"].tolist()
        for i in range(1, len(order)):  # slowly: the best of those that are left
            last = both[order[i - 1]]
            likeness = [2 * int((last & row).sum()) - int((row & ~last & 1).sum()) for row in both]
            assert likeness[order[i]] == max(likeness[j] for j in order[i:])


def test_a_planted_order_comes_back_and_saves_bytes():
    """Twenty channels see the left half of the inputs, twenty the right; shuffled, the code can't know."""
    rng = np.random.default_rng(0)
    half = np.arange(40) % 2 == 0
    mask = np.where(half[:, None], np.arange(60) < 30, np.arange(60) >= 30) & (rng.random((40, 60)) < 0.7)
    model = nn.Sequential(nn.Linear(60, 40), nn.ReLU(), nn.Linear(40, 3))
    model[0].weight.data *= torch.from_numpy(mask)
    small, rows = shortest_order(model, torch.randn(4, 60))
    kinds = (small[0].weight[:, :30] != 0).any(1).tolist()
    assert sum(a != b for a, b in itertools.pairwise(kinds)) == 1  # one border
    assert rows[0]["like to like"] < rows[0]["as it is"]  # 252 and 259 bytes


def test_dead_ends_go_and_what_made_only_them():
    model = sparse(mlp(), 0.5)
    model[4].weight.data[:, 3] = 0  # nobody reads channel 3 of the second layer
    model[2].weight.data[:, 7] = 0
    model[2].weight.data[3, 7] = 1.0  # channel 7 of the first is read by that one alone
    model[2].weight.data[5, 9] = 1.0  # channel 9 has another reader
    x = torch.randn(8, 30)
    small, dropped = drop_dead_ends(model, x)
    assert largest_difference(model, small, x) < 1e-9
    assert not small[2].weight[3].any()
    assert not small[0].weight[7].any()
    assert small[0].bias[7] == small[2].bias[3] == 0
    assert small[0].weight[9].equal(model[0].weight[9])
    count = lambda m: sum(int(p.count_nonzero()) for p in m.parameters())  # noqa: E731
    assert dropped == count(model) - count(small) > 0
    assert drop_dead_ends(small, x)[1] == 0


def test_a_file_gets_no_larger_and_loads_again(tmp_path):
    model, x = sparse(mlp(), 0.9), torch.randn(2, 30)
    model, _ = drop_dead_ends(model, x)
    small, _ = shortest_order(model, x)
    assert mcomp.save(small, tmp_path / "b") <= mcomp.save(model, tmp_path / "a") + 8  # values move too
    assert torch.equal(mcomp.load(tmp_path / "b", model=model)(x), small(x))
