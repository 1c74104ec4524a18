import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from mcomp import zoo
from mcomp.codecs import Sparse, attach
from mcomp.file import load, save
from mcomp.lowrank import break_even, cp_als, gram, low_rank, tucker2, whitened_low_rank
from mcomp.measure import count_parameters, macs_by_layer
from mcomp.structure import choose_ranks, factorize, input_grams, layer_matrix, unfactorized


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_a_linear_becomes_two_and_computes_the_nearest(seeded):
    layer, x = nn.Linear(30, 20), torch.randn(5, 30)
    small = factorize(nn.Sequential(layer), {"0": 6})[0]
    up, down = low_rank(layer.weight.detach(), 6)
    assert torch.allclose(small(x), x @ (up @ down).T + layer.bias, atol=1e-5)  # float32
    assert [tuple(p.shape) for p in small.parameters()] == [(6, 30), (20, 6), (20,)]


OPTIONS = [
    {}, {"stride": 2}, {"padding": 2}, {"padding": (1, 2), "stride": (2, 1)},
    {"dilation": (1, 2), "padding": 1}, {"padding": "same"},
    {"padding": (1, 1), "padding_mode": "circular"}, {"bias": False},
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(("rank", "conv"), [(24, "channel"), (30, "spatial"), ((8, 6), "spatial")])
def test_a_convolution_of_full_rank_computes_the_same(options, rank, conv):
    layer, x = nn.Conv2d(6, 8, (5, 4), **options), torch.randn(2, 6, 11, 12)
    rank = min(rank, *layer_matrix(layer, conv=conv).shape) if isinstance(rank, int) else rank
    small = factorize(nn.Sequential(layer), {"0": rank}, conv=conv, larger=True)
    assert small(x).shape == layer(x).shape
    assert torch.allclose(small(x), layer(x), atol=1e-5)  # float32


@pytest.mark.parametrize(
    ("rank", "conv", "shapes"),
    [
        (4, "channel", [(4, 6, 5, 3), (8, 4, 1, 1)]),
        (4, "spatial", [(4, 6, 5, 1), (8, 4, 1, 3)]),
        ((3, 2), "spatial", [(2, 6, 1, 1), (3, 2, 5, 3), (8, 3, 1, 1)]),
    ],
)
def test_a_convolution_of_low_rank_has_the_nearest_weight(rank, conv, shapes):
    layer = nn.Conv2d(6, 8, (5, 3))
    small = factorize(nn.Sequential(layer), {"0": rank}, conv=conv)[0]
    assert [tuple(p.weight.shape) for p in small] == shapes
    kernel = layer.weight.detach()
    # what the layers compute together: their answer to each unit impulse, flipped as a correlation has it
    impulse = torch.zeros(6, 6, 9, 5)
    impulse[range(6), range(6), 4, 2] = 1
    response = small(impulse) - layer.bias[:, None, None]  # (in, out, kh, kw)
    found = response.detach().flip(2, 3).transpose(0, 1)
    if isinstance(rank, tuple):
        up, core, down = tucker2(kernel, rank)
        nearest = torch.einsum("oa,abhw,bi->oihw", up, core, down)
    else:
        matrix = layer_matrix(layer, conv=conv)
        u, s, vt = torch.linalg.svd(matrix)
        s[rank:] = 0
        rest = (u[:, : len(s)] * s @ vt[: len(s)]) - matrix
        assert torch.linalg.norm(found - kernel) == pytest.approx(torch.linalg.norm(rest).item(), rel=1e-4)
        return
    assert torch.allclose(found, nearest, atol=1e-5)


def test_factorize_leaves_the_model_alone_and_keeps_the_rest():
    model = zoo.load("lenet5")
    before, text = copy.deepcopy(model.state_dict()), str(model)
    small = factorize(model, {"fc1": 20, "conv2": (15, 10)})
    assert str(model) == text
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert [name for name, _ in small.named_children()] == [name for name, _ in model.named_children()]
    assert torch.equal(small.fc2.weight, model.fc2.weight)
    assert small.fc2.weight.data_ptr() != model.fc2.weight.data_ptr()
    small.fc1.up.bias.data += 1
    assert torch.equal(before["fc1.bias"], model.fc1.bias)


def test_parameters_and_macs_are_what_the_formulas_say():
    model = zoo.build("lenet5")
    small = factorize(model, {"fc1": 20, "conv2": 30})
    assert count_parameters(small.fc1) == 20 * (800 + 500) + 500
    assert count_parameters(small.conv2) == 30 * (20 * 5 + 50 * 5) + 50
    x = torch.zeros(1, 1, 28, 28)
    macs = macs_by_layer(small, x)
    assert macs["conv2.down"] == 30 * 20 * 5 * 8 * 12  # 5 x 1 kernels on 12 x 12: 8 x 12 places
    assert macs["conv2.up"] == 50 * 30 * 5 * 8 * 8
    assert sum(macs.values()) < sum(macs_by_layer(model, x).values())


def test_a_factorized_network_trains_and_is_saved(tmp_path):
    small = factorize(zoo.load("lenet300"), {"fc1": 10, "fc2": 5})
    x, y = torch.randn(8, 1, 28, 28), torch.arange(8)
    nn.functional.cross_entropy(small(x), y).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in small.parameters())
    save(small, tmp_path / "small.safetensors")
    other = load(
        tmp_path / "small.safetensors", model=factorize(zoo.build("lenet300"), {"fc1": 10, "fc2": 5})
    )
    assert torch.equal(other(x), small.eval()(x))


def test_a_model_that_is_one_layer_and_training_mode():
    assert [m.training for m in factorize(nn.Linear(9, 9).eval(), {"": 2}).modules()] == [False] * 3
    small = factorize(nn.Sequential(nn.Linear(9, 9)), {"0": 2})
    assert all(m.training for m in small.modules())


@pytest.mark.parametrize("rank", [10, 12])
def test_break_even_is_refused(rank):
    model = nn.Sequential(nn.Linear(30, 15))
    assert break_even(30, 15) == 10
    with pytest.raises(ValueError, match=rf"ranks\['0'\] is {rank}; .* below break-even: .* of 450"):
        factorize(model, {"0": rank})
    assert count_parameters(factorize(model, {"0": rank}, larger=True)) == rank * 45 + 15
    assert count_parameters(factorize(model, {"0": 9})) == 9 * 45 + 15


def shared():
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, layer)


def with_codec():
    model = nn.Sequential(nn.Linear(9, 9))
    attach(model, {"0.weight": Sparse(0.5)})
    return model


@pytest.mark.parametrize(
    ("model", "ranks", "options"),
    [
        (shared, {"0": 1}, {}),
        (with_codec, {"0": 1}, {}),
        (lambda: nn.Sequential(nn.ReLU()), {"0": 1}, {}),
        (lambda: nn.Sequential(nn.Linear(9, 9)), {"1": 1}, {}),
        (lambda: nn.Sequential(nn.Linear(9, 9)), {"0": 0}, {}),
        (lambda: nn.Sequential(nn.Linear(9, 9)), {"0": 10}, {"larger": True}),
        (lambda: nn.Sequential(nn.Linear(9, 9)), {"0": (1, 1)}, {}),
        (lambda: nn.Sequential(nn.Linear(9, 9)), {"0": 1}, {"grams": {"0": torch.eye(8)}}),
        (lambda: nn.Sequential(nn.Linear(9, 9)), [1], {}),
        (lambda: nn.Sequential(nn.Conv2d(4, 4, 3, groups=2)), {"0": 1}, {}),
        (lambda: nn.Sequential(nn.Conv2d(4, 4, 3)), {"0": 1}, {"conv": "depth"}),
        (lambda: nn.Sequential(nn.Conv2d(4, 4, 3)), {"0": (5, 1)}, {}),
        (lambda: nn.Sequential(nn.Conv2d(4, 4, 3)), {"0": 1}, {"grams": {"0": torch.eye(36)}}),
    ],
)
def test_bad_arguments(model, ranks, options):
    with pytest.raises(ValueError, match="allowed: "):
        factorize(model(), ranks, **options)


# ---------------------------------------------------------------- networks as people bring them


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(20, 9), nn.Linear(9, 20)
        self.head.weight = self.embedding.weight

    def forward(self, x):
        return self.head(self.embedding(x))


class Reads(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(9, 9)

    def forward(self, x):
        return self.fc(x) @ self.fc.weight


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def hooked():
    layer = nn.Linear(9, 9)
    layer.register_forward_pre_hook(lambda module, inputs: None)
    return nn.Sequential(layer)


REFUSED = {
    "tied": (Tied, "head", "its weight is shared: embedding.weight, head.weight"),
    "read": (Reads, "fc", "its weight is read elsewhere"),
    "subclass": (lambda: nn.Sequential(Doubled(9, 9)), "0", "its class Doubled has a forward of its own"),
    "hooks": (hooked, "0", "it has hooks"),
    "normed": (
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(9, 9))), "0", "_WeightNorm"
    ),
    "pruned": (
        lambda: nn.Sequential(prune.l1_unstructured(nn.Linear(9, 9), "weight", 3)), "0", "hook L1Unstructured"
    ),
    "codec": (with_codec, "0", "made by Attached"),
    "module twice": (shared, "0", "its weight is shared: 0.weight, 1.weight"),
    "attention": (lambda: nn.MultiheadAttention(8, 2), "out_proj", "part of a MultiheadAttention"),
    "encoder": (lambda: nn.TransformerEncoderLayer(8, 2, 16), "linear1", "part of a TransformerEncoderLayer"),
    "groups": (lambda: nn.Sequential(nn.Conv2d(4, 4, 3, groups=2)), "0", "it has 2 groups"),
    "1d": (lambda: nn.Sequential(nn.Conv1d(4, 4, 3)), "0", "it is a Conv1d"),
    "3d": (lambda: nn.Sequential(nn.Conv3d(4, 4, 3)), "0", "it is a Conv3d"),
    "transposed": (lambda: nn.Sequential(nn.ConvTranspose2d(4, 4, 3)), "0", "it is a ConvTranspose2d"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_named_and_never_proposed(case):
    make, name, reason = REFUSED[case]
    model = make()
    with pytest.raises(ValueError, match=f"{name}; .*{reason}"):
        factorize(model, {name: 1})
    assert reason in unfactorized(model)[name]
    with pytest.raises(ValueError, match=f"one with a layer that can be factorized.*{reason}"):
        choose_ranks(model, 10_000)


def test_what_one_proposes_the_other_accepts():
    model = nn.Sequential(nn.Conv2d(3, 64, 3), nn.Conv2d(64, 64, 5, groups=64), nn.Conv2d(64, 128, 1))
    kernel = torch.randn(5)  # smooth depthwise filters, as trained ones are
    model[1].weight.data = torch.randn(64, 1, 1, 1) * torch.outer(kernel, kernel)
    ranks = choose_ranks(model, 6000)
    assert "1" not in ranks
    small = factorize(model, ranks)
    weights = sum(p.numel() for p in small.parameters() if p.ndim > 1)
    assert 5500 < weights <= 6000  # the depthwise layer's 1,600 are part of the budget
    assert list(input_grams(model, torch.randn(2, 3, 9, 9), conv="channel")) == ["0", "2"]
    with pytest.raises(ValueError, match="at least 1,"):
        choose_ranks(model, 1500)


def test_frozen_half_and_inherited_layers():
    frozen = factorize(nn.Sequential(nn.Linear(16, 16)).requires_grad_(False), {"0": 2})
    assert not any(p.requires_grad for p in frozen.parameters())
    part = nn.Sequential(nn.Conv2d(8, 8, 3))
    part[0].bias.requires_grad_(False)
    assert [p.requires_grad for p in factorize(part, {"0": (2, 2)}).parameters()] == [True, True, True, False]
    for dtype in (torch.float16, torch.bfloat16):
        half = factorize(
            nn.Sequential(nn.Linear(16, 16), nn.Conv2d(8, 8, 3)).to(dtype), {"0": 2, "1": (2, 2)}
        )
        assert {p.dtype for p in half.parameters()} == {dtype}

    class OwnInit(nn.Linear):
        pass

    model = nn.Sequential(OwnInit(6, 6), nn.Linear(6, 6)).double()
    with torch.no_grad():
        model[1].weight.zero_()
    full, x = factorize(model, {"0": 6}, larger=True), torch.randn(3, 6).double()
    assert torch.allclose(full(x), model(x), rtol=1e-10, atol=1e-12)  # float64
    assert choose_ranks(model, 60)["1"] == 1
    model[0].weight.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"^0: its weight holds 1 NaN"):
        choose_ranks(model, 60)
    with pytest.raises(ValueError, match=r"layer is .*Conv1d"):
        layer_matrix(nn.Conv1d(2, 2, 3))


# ---------------------------------------------------------------- the network as matrices


def test_layer_matrix_holds_every_weight_once():
    layer = nn.Conv2d(3, 4, (5, 2))
    for conv, shape in (("channel", (4, 30)), ("spatial", (8, 15))):
        matrix = layer_matrix(layer, conv=conv)
        assert tuple(matrix.shape) == shape
        assert torch.equal(matrix.flatten().sort().values, layer.weight.detach().flatten().sort().values)


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"dilation": 2}])
def test_input_grams_are_those_of_the_rows_that_a_layer_sees(options):
    model = nn.Sequential(nn.Conv2d(2, 3, 3, **options), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4))
    x = torch.randn(12, 2, 8, 8)
    model(x)
    mode, grams = model.training, input_grams(model, x, conv="channel", batch_size=5)
    assert model.training == mode
    assert not any(m._forward_pre_hooks for m in model.modules())
    hidden = model[:3](x).detach()
    assert torch.allclose(grams["3"], gram(hidden), rtol=1e-5, atol=1e-7)  # x passes in float32
    # a convolution's outputs have the energy tr(w gram wᵀ) on average, whatever w is
    w = model[0].weight.detach().flatten(1).double()
    outputs = (model[0](x) - model[0].bias[:, None, None]).detach()
    energy = outputs.double().square().sum(1).mean()
    assert torch.trace(w @ grams["0"] @ w.T) == pytest.approx(energy.item(), rel=1e-5)
    assert list(input_grams(model, x)) == ["3"]


def test_activation_aware_factors_are_nearer_in_their_outputs():
    model = zoo.load("lenet300")
    x = torch.rand(300, 1, 28, 28)
    grams = input_grams(model, x)
    outputs = [factorize(model, {"fc1": 10}, grams=g).fc1(x.flatten(1)) for g in (grams, None)]
    truth = model.fc1(x.flatten(1))
    aware, plain = (torch.linalg.norm(y - truth).item() for y in outputs)
    assert aware < plain
    up, down = whitened_low_rank(model.fc1.weight.detach(), 10, gram=grams["fc1"])
    assert aware == pytest.approx(
        torch.linalg.norm((model.fc1.weight - up @ down) @ x.flatten(1).T).item(), rel=1e-3
    )


def test_input_grams_refuses_what_it_cannot_unfold():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding="same"))
    with pytest.raises(ValueError, match="padding"):
        input_grams(model, torch.zeros(1, 1, 5, 5), conv="channel")


@pytest.mark.parametrize("conv", ["spatial", "channel"])
@pytest.mark.parametrize("budget", [20_000, 53_000, 150_000, 431_000])
def test_choose_ranks_keeps_the_budget(budget, conv):
    model = zoo.load("lenet5")
    ranks = choose_ranks(model, budget, conv=conv)
    small = factorize(model, ranks, conv=conv)  # refuses a layer that would grow
    weights = count_parameters(small) - 580
    assert weights <= budget
    assert weights > 0.9 * min(budget, 430_500) - 1300  # the next rank of fc1 costs 1300


def test_choose_ranks_with_little_or_nothing_to_share():
    assert choose_ranks(nn.Sequential(nn.Linear(1, 5), nn.Linear(5, 1)), 10) == {}
    with pytest.raises(ValueError, match="at least"):
        choose_ranks(zoo.load("lenet5"), 100)
    with pytest.raises(ValueError, match="conv is"):
        choose_ranks(zoo.load("lenet5"), 100_000, conv="other")


def test_choose_ranks_follows_the_grams():
    model = nn.Sequential(nn.Linear(40, 40, bias=False), nn.Linear(40, 40, bias=False))
    narrow = torch.diag(torch.tensor([1.0] * 4 + [1e-6] * 36)).double()  # four inputs are all there is
    plain = choose_ranks(model, 1600)
    aware = choose_ranks(model, 1600, grams={"0": narrow})
    assert aware["0"] < plain["0"]
    assert aware["1"] > plain["1"]


def test_a_convolution_by_cp_is_four_layers():
    """Lebedev et al. 2015: in -> r, kh x 1 and 1 x kw within each of the r, r -> out."""
    layer, x = nn.Conv2d(3, 4, 3), torch.randn(2, 3, 8, 8)
    factors, errors = cp_als(layer.weight.detach(), 25, sweeps=400, tolerance=0.0)
    assert errors[-1] < 0.05
    out, inputs, rows, columns = (f.float() for f in factors)
    y = nn.functional.conv2d(x, inputs.T[:, :, None, None])
    y = nn.functional.conv2d(y, rows.T[:, None, :, None], groups=25)
    y = nn.functional.conv2d(y, columns.T[:, None, None, :], groups=25)
    y = nn.functional.conv2d(y, out[:, :, None, None], layer.bias)
    assert torch.linalg.norm(y - layer(x)) < 0.2 * torch.linalg.norm(layer(x))
