import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from mcomp.plain import as_weight, by_output, channels, check_plain, made_by, naming, not_plain, places


class OwnForward(nn.Conv2d):
    def forward(self, x):
        return 2 * super().forward(x)


class OwnInit(nn.Linear):
    def __init__(self, n):
        super().__init__(n, n)


def tied():
    model = nn.ModuleList([nn.Linear(3, 3), nn.Embedding(3, 3)])
    model[1].weight = model[0].weight
    return model


def hooked():
    layer = nn.Linear(3, 3)
    layer.register_forward_hook(lambda module, inputs, out: out + 1)
    return layer


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: nn.Linear(3, 3), None),
        (lambda: OwnInit(3), None),
        (lambda: nn.ConvTranspose1d(3, 3, 1), None),
        (lambda: nn.LayerNorm(3), "it is a LayerNorm"),
        (lambda: OwnForward(1, 1, 1), "its class OwnForward has a forward of its own"),
        (lambda: parametrizations.weight_norm(nn.Linear(3, 3)), "its weight is made by _WeightNorm"),
        (lambda: nn.utils.weight_norm(nn.Linear(3, 3)), "its weight is made by the hook WeightNorm"),
        (lambda: nn.utils.spectral_norm(nn.Linear(3, 3)), "its weight is made by the hook SpectralNorm"),
        (lambda: prune.l1_unstructured(nn.Linear(3, 3), "bias", 1), "its bias is made by the hook L1Unstr"),
        (hooked, "it has hooks"),
        (lambda: tied()[0], None),
    ],
)
def test_what_is_not_plain_and_why(make, reason):
    model = nn.Sequential(make())
    found = not_plain(model, "0")
    assert found is None if reason is None else found.startswith(reason)
    if reason:
        with pytest.raises(ValueError, match=r"the layer is .*0"):
            check_plain(model, "0")


def test_sharing_is_seen_by_parameter():
    assert not_plain(tied(), "0") == "its weight is shared: 0.weight, 1.weight"
    layer = nn.Linear(2, 2)
    assert places(nn.Sequential(layer, layer), layer.bias) == ["0.bias", "1.bias"]


@pytest.mark.parametrize("groups", [1, 2])
def test_rows_of_a_transposed_weight_are_its_output_channels(groups):
    layer = nn.ConvTranspose1d(4, 6, 3, groups=groups, bias=False).double()
    rows = by_output(layer, layer.weight.detach())
    assert rows.shape[0] == channels(layer) == 6
    assert torch.equal(as_weight(layer, rows), layer.weight)
    x = torch.randn(2, 4, 5, dtype=torch.float64)
    before = layer(x)
    with torch.no_grad():
        rows = rows.clone()
        rows[4] *= 3
        layer.weight.copy_(as_weight(layer, rows))
    factor = torch.tensor([1.0, 1, 1, 1, 3, 1])[:, None]
    assert torch.allclose(layer(x), before * factor, rtol=1e-12)  # the same products in float64


def test_naming():
    with pytest.raises(ValueError, match=r"^fc1: bits is 0"), naming("fc1"):
        raise ValueError("bits is 0")
    assert made_by(nn.Linear(1, 1, bias=False), "bias") is None
