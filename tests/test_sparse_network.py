"""Masks on a network, against torch.nn.utils.prune."""

import copy

import pytest
import torch
from torch.nn.utils import prune as peer

from mcomp.prune import kept_count, topk_mask
from mcomp.sparse_training import apply_masks, prunable_weights


@pytest.fixture
def model():
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.Flatten(), torch.nn.Linear(12, 5)
    )


def half(model):
    weights = prunable_weights(model).items()
    return {name: topk_mask(abs(w), kept_count(w.numel(), 0.5)) for name, w in weights}


def test_prunable_are_the_weights_of_linear_and_convolutional_layers(model):
    weights = prunable_weights(model)
    assert list(weights) == ["0.weight", "3.weight"]
    assert all(weights[f"{i}.weight"].data_ptr() == model[i].weight.data_ptr() for i in (0, 3))
    assert not any(w.requires_grad for w in weights.values())


def test_masks_are_applied_as_torch_prune_applies_them(model):
    other, pruned = copy.deepcopy(model), apply_masks(model, half(model))
    for i in (0, 3):
        peer.l1_unstructured(other[i], "weight", amount=0.5)
        assert torch.equal(pruned[i].weight, other[i].weight)
        assert torch.equal(pruned[i].bias, other[i].bias)
    x = torch.randn(2, 1, 4, 4)
    assert torch.equal(pruned.eval()(x), other.eval()(x))


def test_the_model_given_is_not_changed_and_the_copy_can_learn(model):
    before = copy.deepcopy(model.state_dict())
    pruned = apply_masks(model, half(model))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.requires_grad for p in pruned.parameters())
    assert not {p.data_ptr() for p in pruned.parameters()} & {p.data_ptr() for p in model.parameters()}


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (
            {"9.weight": torch.ones(5, 12, dtype=torch.bool)},
            r"name is '9\.weight'; allowed: one of 0\.weight",
        ),
        ({"3.weight": torch.ones(12, dtype=torch.bool)}, r"of shape \(12,\)'; allowed: .*\(5, 12\)"),
        ({"3.weight": torch.ones(5, 12)}, r"float32 of shape .*allowed: torch\.bool"),
    ],
)
def test_masks_that_do_not_fit_are_refused(model, masks, message):
    with pytest.raises(ValueError, match=message):
        apply_masks(model, masks)
