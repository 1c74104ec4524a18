"""The plain form of a plan: JSON, and a network fresh from its class."""

import json

import pytest
import torch
from torch import nn

from mcomp import zoo
from mcomp.channels import Plan, channel_graph, remove_channels
from mcomp.kept import apply_kept


def build():
    return nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.PReLU(6), nn.Conv2d(6, 12, 3, groups=6), nn.Flatten(),
        nn.Linear(12 * 16, 3),
    )  # fmt: skip


def planned(model):
    return Plan(channel_graph(model, torch.zeros(1, 2, 8, 8)), {"0": [0, 4]})


def test_a_plan_goes_through_json_onto_a_network_from_its_class():
    model = build()
    model[0].weight.requires_grad_(False)
    plan = planned(model)
    held = json.loads(json.dumps(plan.to_dict()))
    fresh = apply_kept(build(), held)
    fresh.load_state_dict(remove_channels(model, plan).state_dict())
    x = torch.randn(2, 2, 8, 8)
    assert torch.equal(fresh(x), remove_channels(model, held)(x))
    assert str(fresh) == str(remove_channels(model, plan))
    assert not remove_channels(model, held)[0].weight.requires_grad


def test_one_row_for_axes_that_are_cut_alike():
    rows = planned(build()).to_dict()["axes"]
    assert [row["of"] for row in rows] == [6, 12, 192]
    assert rows[0]["tensors"][:3] == [["0.weight", 0], ["0.bias", 0], ["1.weight", 0]]
    assert rows[0]["kept"] == [1, 2, 3, 5]


def test_an_empty_plan_changes_nothing():
    model = zoo.build("resnet", widths=(4, 6, 8))
    plan = Plan(channel_graph(model, torch.zeros(1, 1, 8, 8)), {})
    assert plan.to_dict() == {"axes": []}
    ours = apply_kept(model, plan.to_dict()).state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in model.state_dict().items())


ROW = {"of": 4, "kept": [1], "tensors": [["weight", 0]]}


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        (None, "kept is 'NoneType'"),
        ({"axes": {}}, "kept is 'dict'"),
        ({"axes": [3]}, "a row of kept is 3"),
        ({"axes": [{"of": 4}]}, "a row of kept"),
        ({"axes": [ROW | {"tensors": "weight"}]}, "a tensor of kept is 'weight'"),
        ({"axes": [ROW | {"tensors": [["weight", "0"]]}]}, "a tensor of kept"),
        ({"axes": [ROW | {"tensors": [["weight", 2]]}]}, "axis 2 of weight is 'missing'"),
        ({"axes": [ROW | {"tensors": [["other", 0]]}]}, "axis 0 of other is 'missing'"),
        ({"axes": [ROW | {"of": 5}]}, "axis 0 of weight is 4; allowed: 5 long"),
        ({"axes": [ROW, ROW]}, "axis 0 of weight"),
        ({"axes": [ROW | {"kept": []}]}, r"what stays of weight is \[\]"),
        ({"axes": [ROW | {"kept": [4]}]}, "integers from 0 to 3"),
        ({"axes": [ROW | {"kept": [1.0]}]}, "integers from 0 to 3"),
        ({"axes": [ROW | {"kept": [1, 1]}]}, "different integers"),
    ],
)
def test_bad_input(kept, why):
    with pytest.raises(ValueError, match=why):
        apply_kept(nn.Linear(2, 4), kept)
