"""Looking into a network: every call is seen, nothing is changed, and rows are those of the convolution."""

import pytest
import torch
from torch import nn

from mcomp import zoo
from mcomp.watch import input_grams, input_rows, watch


def images(n=7):
    return torch.randn(n, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_inputs_and_outputs_are_those_of_running_layer_by_layer(batch_size):
    model, x = zoo.build("lenet300", hidden=(12, 8)).train(), images()
    seen = {"inputs": {}, "outputs": {}}
    for kind, kept in seen.items():

        def look(name, layer, a, kept=kept):
            kept.setdefault(name, []).append(a.clone())

        watch(model, x, look, names=["fc1", "fc3"], outputs=kind == "outputs", batch_size=batch_size)
    assert model.training
    flat = x.flatten(1)
    hidden = torch.relu(model.fc2(torch.relu(model.fc1(flat))))
    assert torch.equal(torch.cat(seen["inputs"]["fc1"]), flat)
    assert torch.allclose(torch.cat(seen["inputs"]["fc3"]), hidden, atol=1e-6)  # other batches, other sums
    assert torch.allclose(torch.cat(seen["outputs"]["fc3"]), model(x), atol=1e-6)
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in model.modules())


def test_hooks_are_gone_after_an_error_too():
    model = zoo.build("lenet300", hidden=(12, 8))

    def look(name, layer, a):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        watch(model, images(), look, names=["fc1"])
    assert not any(layer._forward_pre_hooks for layer in model.modules())


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"dilation": 2}])
def test_rows_times_the_weight_are_the_convolution(options):
    layer, x = nn.Conv2d(3, 5, 3, bias=False, **options).double(), torch.randn(4, 3, 9, 8).double()
    y = layer(x)
    rows = input_rows(layer, x)
    found = rows @ layer.weight.flatten(1).T  # (rows, out)
    assert torch.allclose(found.reshape(4, *y.shape[2:], 5).movedim(-1, 1), y)


def test_grams_are_means_over_all_batches():
    layer, x = nn.Linear(6, 2), torch.randn(11, 5, 6)
    rows = x.reshape(-1, 6).double()
    for batch_size in (2, 11):
        found = input_grams(layer, x, names=[""], batch_size=batch_size)[""]
        assert torch.allclose(found, rows.T @ rows / len(rows))
    assert input_grams(layer, x, names=[""], dtype=torch.float32)[""].dtype == torch.float32


def test_bad_input():
    model = zoo.build("lenet300", hidden=(12, 8))
    with pytest.raises(ValueError, match="name is 'fc9'; allowed: one of flatten, fc1"):
        watch(model, images(), print, names=["fc9"])
    with pytest.raises(ValueError, match=r"x is \(0, 1, 28, 28\)"):
        watch(model, images(0), print, names=["fc1"])
    with pytest.raises(ValueError, match="batch_size is 0"):
        watch(model, images(), print, names=["fc1"], batch_size=0)
    for layer in (nn.Conv2d(2, 2, 3, groups=2), nn.Conv2d(2, 2, 3, padding="same"), nn.Bilinear(1, 1, 1)):
        with pytest.raises(ValueError, match="the layer is"):
            input_rows(layer, torch.zeros(1, 2, 5, 5))
