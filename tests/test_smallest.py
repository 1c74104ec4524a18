"""What the recipe `smallest` adds to a compression: a price on bits, and tidying that changes no answer."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from mcomp.coding.entropy import entropy
from mcomp.measure import largest_difference
from mcomp.merge.ordering import drop_dead_ends, mask_bytes
from mcomp.pipeline import compress, estimate
from mcomp.recipes import load_recipe
from mcomp.train import fit

QUICK = {
    "batch_size": 40,
    "prune": {"sparsity": 0.7, "epochs": 4},
    "share": {"values": 8, "epochs": 6, "lr": 0.003},
}


@pytest.fixture(scope="module")
def data():
    """Three heaps of points in twenty dimensions."""
    rng = torch.Generator().manual_seed(0)
    y = torch.arange(600) % 3
    x = torch.randn(3, 20, generator=rng)[y] + torch.randn(600, 20, generator=rng)
    pairs = {"train": slice(0, 400), "validation": slice(400, 500), "test": slice(500, 600)}
    return SimpleNamespace(**{name: (x[part], y[part]) for name, part in pairs.items()})


@pytest.fixture(scope="module")
def model(data):
    torch.manual_seed(0)
    small = nn.Sequential(nn.Linear(20, 24), nn.ReLU(), nn.Linear(24, 10), nn.ReLU(), nn.Linear(10, 3))
    fit(small, data, epochs=5, batch_size=40, progress=False)
    return small


def bits(model):
    """Of the values of all weights that are kept, under the entropy of each layer's own counts."""
    kept = [p.detach()[p.detach() != 0] for p in model.parameters() if p.ndim > 1]
    return sum(len(w) * entropy(np.unique(w, return_counts=True)[1]) for w in kept)


def test_a_price_on_bits_makes_the_values_shorter(model, data):
    free = compress(model, QUICK, data, progress=False).model
    priced = compress(model, QUICK | {"share": QUICK["share"] | {"rate": 1e-3}}, data, progress=False).model
    assert bits(priced) < 0.95 * bits(free)


def test_tidying_changes_no_answer_and_saves_bytes(model, data):
    plain = compress(model, QUICK, data, progress=False).model
    result = compress(model, QUICK | {"tidy": True}, data, progress=False)
    x = data.test[0][:50]
    assert result.notes == ()
    assert largest_difference(plain, result.model, x) < 1e-9  # in float64
    assert sum(mask_bytes(result.model).values()) <= sum(mask_bytes(plain).values())
    assert drop_dead_ends(result.model, x)[1] == 0
    assert estimate(model, QUICK | {"tidy": True}, data) > 0


class Turned(nn.Module):
    """Its answer depends on the data in a way that no trace can follow."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(20, 4), nn.ReLU(), nn.Linear(4, 3))

    def forward(self, x):
        return self.inner(x if float(x.sum()) > 0 else x + 0.0)


def test_what_cannot_be_followed_is_left_as_it_is_and_said(data):
    torch.manual_seed(0)
    few = {"prune": {"epochs": 0}, "share": {"epochs": 0}, "tidy": True}
    result = compress(Turned(), few, data, progress=False)
    plain = compress(result.original, few | {"tidy": False}, data, progress=False).model
    changed = mask_bytes(result.model) != mask_bytes(plain)
    assert changed or any("tidy" in note for note in result.notes)
    assert largest_difference(plain, result.model, data.test[0][:50]) < 1e-9


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"tidy": "yes"}, "tidy is 'yes'; allowed: true or false"),
        ({"share": {"rate": -1}}, "share.rate is -1"),
    ],
)
def test_bad_recipes(recipe, said):
    with pytest.raises(ValueError, match=said):
        load_recipe(recipe)
