"""Codecs on parameters: what a forward pass sees, what learns, when symbols are chosen anew, and baking."""

import copy
import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune

from mcomp.codecs import (
    Binary,
    Codebook,
    LowRank,
    MiniFloat,
    NMSparse,
    Plain,
    PowerOfTwo,
    Product,
    Sparse,
    Ternary,
    Uniform,
    decode,
    masked,
)  # fmt: skip
from mcomp.codecs.attachment import attach, attached, bake, codes
from mcomp.codecs.straight_through import Attached, StraightThrough

CODECS = [
    Plain(),
    Sparse(0.5),
    Sparse(1.0),
    Codebook(3),
    Sparse(0.5) | Codebook(3),
    Sparse(1.0) | Codebook(3),
    Codebook(8) | Codebook(3),
    Sparse(0.25) | Sparse(0.5) | Codebook(2),
]
every_codec = pytest.mark.parametrize("codec", CODECS, ids=str)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 6), nn.Linear(6, 4)
    )


@pytest.fixture
def layer():
    torch.manual_seed(1)
    return nn.Linear(5, 4)


def images(n=8, seed=2):
    return torch.randn(n, 1, 4, 4, generator=torch.Generator().manual_seed(seed))


def original(module, leaf="weight"):
    return module.parametrizations[leaf].original


def learn(model, steps=3, lr=0.1, optimizer=None):
    """A few steps of plain torch: nothing here knows of codecs."""
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=lr)
    model.train()
    for step in range(steps):
        optimizer.zero_grad()
        model(images(seed=step)).square().mean().backward()
        optimizer.step()


# What a forward pass sees


@every_codec
def test_the_weight_is_the_projection(layer, codec):
    w = layer.weight.detach().clone()
    attach(layer, {"weight": codec})
    assert torch.equal(layer.weight, codec.project(w))
    assert torch.equal(original(layer), w)
    layer.eval()
    assert torch.equal(layer.weight, codec.project(w))


def test_every_linear_and_convolution(model):
    plain = dict(copy.deepcopy(model).named_parameters())
    found = attach(model, {"*.weight": Sparse(0.5), "*.bias": Codebook(2)})
    assert list(found) == list(attached(model)) == list(plain)
    for name, parametrization in found.items():
        assert type(parametrization) is Attached
        path, leaf = name.split(".")
        expected = (Sparse(0.5) if leaf == "weight" else Codebook(2)).project(plain[name].detach())
        assert torch.equal(getattr(model[int(path)], leaf), expected)
    assert model(images()).shape == (8, 4)


def test_the_first_pattern_that_matches_holds(model):
    attach(model, {"4.*": Sparse(0.5), "[45].weight": Codebook(2)})
    assert {name: a.codec for name, a in attached(model).items()} == {
        "4.weight": Sparse(0.5), "4.bias": Sparse(0.5), "5.weight": Codebook(2),
    }  # fmt: skip


# What learns. The loss is sum(G * weight), so the gradient to the weight that the layer sees is G.


def gradients(layer, codec, **options):
    attach(layer, {"weight": codec}, **options)
    g = torch.arange(20.0).reshape(4, 5) - 9
    (layer.weight * g).sum().backward()
    return g, original(layer).grad


@pytest.mark.parametrize("codec", [Sparse(0.5), Sparse(0.5) | Codebook(3)], ids=str)
def test_the_masked_gradient_reaches_what_is_kept(layer, codec):
    g, found = gradients(layer, codec, gradient="masked")
    kept = Sparse(0.5).project(original(layer).detach()) != 0
    assert torch.equal(found, torch.where(kept, g, 0))


@pytest.mark.parametrize("codec", [Sparse(0.5), Sparse(0.5) | Codebook(3), Codebook(3)], ids=str)
def test_the_dense_gradient_reaches_all(layer, codec):
    g, found = gradients(layer, codec, gradient="dense")
    assert torch.equal(found, g)


def test_sparse_in_sparse_masks_what_both_drop(layer):
    g, found = gradients(layer, Sparse(0.4) | Sparse(0.5) | Codebook(2))
    kept = Sparse(0.7).project(original(layer).detach()) != 0
    assert torch.equal(found, torch.where(kept, g, 0))


@pytest.mark.parametrize("codec", [Codebook(3), Sparse(0.5) | Codebook(3)], ids=str)
def test_the_gradient_of_a_shared_value_is_the_sum_over_its_weights(layer, codec):
    """Han et al. 2015, arXiv:1510.00149, eq. 3."""
    g, _ = gradients(layer, codec)
    (values,) = attached(layer)["weight"].learned
    expected = [g[layer.weight == value].sum() for value in values]
    assert values.grad.tolist() == expected  # sums of small whole numbers: exact


@settings(derandomize=True, deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), sparsity=st.floats(0, 1))
def test_the_fast_path_of_sparse_is_the_general_one(seed, sparsity):
    torch.manual_seed(seed)
    layer, x = nn.Linear(6, 5), torch.randn(3, 6)
    fast, general = copy.deepcopy(layer), copy.deepcopy(layer)
    attach(fast, {"weight": Sparse(sparsity)})
    (found,) = attach(general, {"weight": Sparse(sparsity)}).values()

    def forward(w):
        return StraightThrough.apply(decode(found.code(w.detach())), w, found._keep)

    found.forward = forward
    for module in (fast, general):
        module(x).square().sum().backward()
    assert torch.equal(fast.weight, general.weight)
    assert torch.equal(original(fast).grad, original(general).grad)


def test_weights_that_are_zero_stay_zero_under_a_masked_gradient(model):
    attach(model, {"4.weight": Sparse(0.8)}, refresh="step")
    zero = model[4].weight == 0
    learn(model, steps=5)
    assert torch.equal(model[4].weight == 0, zero)


def test_weights_come_back_under_a_dense_gradient(model):
    attach(model, {"4.weight": Sparse(0.8)}, gradient="dense")
    zero = model[4].weight == 0
    learn(model, steps=20, lr=1.0)
    assert not torch.equal(model[4].weight == 0, zero)


def test_the_control_of_a_codebook_that_does_not_learn(layer):
    attach(layer, {"weight": Codebook(3)}, train_codebook=False, refresh="never")
    assert [name for name, _ in layer.named_parameters()] == ["bias", "parametrizations.weight.original"]
    before = layer.weight.detach().clone()
    layer(torch.ones(1, 5)).sum().backward()
    with torch.no_grad():
        original(layer).sub_(original(layer).grad)
    assert torch.equal(layer.weight, before)


# When symbols are chosen anew


def signature(module):
    (found,) = attached(module).values()
    return {name: x.tolist() for name, x in found._code.symbols.items()}


def turn(layer):
    """Move the weights so that every codec would choose differently."""
    with torch.no_grad():
        original(layer).copy_(original(layer).flatten().flip(0).reshape(4, 5))


@pytest.mark.parametrize("codec", [Sparse(0.5), Codebook(3)], ids=str)
def test_refresh_at_each_step(layer, codec):
    attach(layer, {"weight": codec}, refresh="step")
    before = signature(layer)
    turn(layer)
    assert signature(layer) == before
    layer.train()(torch.ones(1, 5))
    assert signature(layer) != before


@pytest.mark.parametrize("codec", [Sparse(0.5), Codebook(3)], ids=str)
def test_refresh_at_each_epoch(layer, codec):
    attach(layer, {"weight": codec}, refresh="epoch")
    layer.train()(torch.ones(1, 5))
    before = signature(layer)
    turn(layer)
    layer(torch.ones(1, 5))
    assert signature(layer) == before
    layer.eval()(torch.ones(1, 5))
    assert signature(layer) == before
    layer.train()
    assert signature(layer) == before
    layer(torch.ones(1, 5))
    after = signature(layer)
    assert after != before
    turn(layer)
    layer(torch.ones(1, 5))
    assert signature(layer) == after


@pytest.mark.parametrize("codec", [Sparse(0.5), Codebook(3)], ids=str)
def test_refresh_never(layer, codec):
    attach(layer, {"weight": codec}, refresh="never")
    before = signature(layer)
    turn(layer)
    layer.train()(torch.ones(1, 5))
    layer.train()(torch.ones(1, 5))
    assert signature(layer) == before


@pytest.mark.parametrize("refresh", ["step", "epoch", "never"])
def test_no_symbol_changes_in_evaluation(layer, refresh):
    attach(layer, {"weight": Sparse(0.5)}, refresh=refresh)
    layer.train()(torch.ones(1, 5))
    before = signature(layer)
    turn(layer)
    with torch.no_grad():
        layer.train()(torch.ones(1, 5))  # a look at the loss without gradients changes nothing either
    layer.eval()(torch.ones(1, 5))
    assert signature(layer) == before


@pytest.mark.parametrize(
    "codec", [Codebook(3), Sparse(0.5) | Codebook(3), Codebook(6) | Codebook(3)], ids=str
)
def test_an_optimiser_made_before_an_assignment_still_moves_the_shared_values(model, codec):
    attach(model, {"4.weight": codec}, refresh="step")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    found = attached(model)["4.weight"]
    (parameter,) = found.learned
    before = parameter.detach().clone()
    learn(model, steps=4, optimizer=optimizer)
    assert found.learned[0] is parameter
    assert (parameter != before).all()
    assert set(model[4].weight.detach().unique().tolist()) <= {0.0, *parameter.tolist()}


def test_an_assignment_sorts_shared_values_and_takes_the_nearest(layer):
    attach(layer, {"weight": Codebook(3)}, refresh="step")
    (values,) = attached(layer)["weight"].learned
    with torch.no_grad():
        values.copy_(torch.tensor([0.3, -0.2, 0.0]))
    layer.train()(torch.ones(1, 5))
    assert values.tolist() == torch.tensor([-0.2, 0.0, 0.3]).tolist()
    w = original(layer).detach()
    nearest = (w[..., None] - values.detach()).abs().argmin(-1)
    assert torch.equal(layer.eval().weight, values[nearest])


def test_a_mask_chosen_elsewhere(layer):
    found = attach(layer, {"weight": Sparse(0.0)}, refresh="never")["weight"]
    mask = torch.arange(20).reshape(4, 5) % 3 == 0
    found.set_code(masked(original(layer).detach(), mask))
    assert torch.equal(layer.weight != 0, mask)
    layer.weight.sum().backward()
    assert torch.equal(original(layer).grad, mask.float())


@pytest.mark.parametrize(
    "code",
    [
        Codebook(2).encode(torch.ones(4, 5)),
        (Sparse(0.5) | Codebook(2)).encode(torch.ones(4, 5)),
        Sparse(0.5).encode(torch.ones(5, 4)),
    ],
    ids=["kind", "chain", "shape"],
)
def test_a_code_of_another_form_is_refused(layer, code):
    found = attach(layer, {"weight": Sparse(0.5)})["weight"]
    with pytest.raises(ValueError, match=r"the form of the code is .*; allowed: \('sparse', \(4, 5\)\)"):
        found.set_code(code)


# Copies and moves


@every_codec
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("train_codebook", [True, False])
def test_other_dtypes_go_along(layer, codec, dtype, train_codebook):
    attach(layer, {"weight": codec}, train_codebook=train_codebook)
    layer.to(dtype)
    assert layer.weight.dtype == decode(codes(layer)["weight"]).dtype == dtype
    layer.weight.sum().backward()
    assert original(layer).grad.dtype == dtype
    layer.train().weight.sum().backward()  # symbols chosen anew


def test_to_float64_changes_no_value(model):
    attach(model, {"*.weight": Sparse(0.5), "*.bias": Codebook(2)})
    before = model.eval()(images())
    # rounding of float32 sums of a dozen numbers
    assert torch.allclose(model.double()(images().double()).float(), before, atol=1e-5)
    assert attached(model)["4.weight"]._keep.dtype == torch.float64


def test_a_copy_is_independent(model):
    attach(model, {"*.weight": Sparse(0.5) | Codebook(2)})
    twin = copy.deepcopy(model)
    before = {name: x.clone() for name, x in model.eval().state_dict().items()}
    answer = model(images())
    learn(twin)
    assert torch.equal(model(images()), answer)
    assert all(torch.equal(before[name], x) for name, x in model.state_dict().items())
    assert not torch.equal(twin.eval()(images()), answer)


def test_baking_or_attaching_a_copy_leaves_the_first_alone(model):
    attach(model, {"4.weight": Sparse(0.5)})
    answer = model.eval()(images())
    more, plain = copy.deepcopy(model), bake(copy.deepcopy(model))
    attach(more, {"4.bias": Codebook(2)})
    assert len(more[4].bias.unique()) == 2
    assert torch.equal(model(images()), answer)
    assert torch.equal(plain(images()), answer)
    bake(more)
    bake(model)
    assert torch.equal(model(images()), answer)
    assert type(model[4]) is type(more[4]) is type(plain[4]) is nn.Linear


# Baking


@every_codec
@pytest.mark.parametrize("refresh", ["step", "never"])
def test_baking_changes_no_bit(model, codec, refresh):
    keys, kinds = list(model.state_dict()), [type(m) for m in model.modules()]
    parameters = dict(model.named_parameters())
    attach(model, {"*.weight": codec, "4.bias": Codebook(2)}, refresh=refresh)
    learn(model)
    before = model.eval()(images())
    weight, described = model[4].weight.detach().clone(), codes(model)
    assert bake(model) is model
    assert torch.equal(model(images()), before)
    assert torch.equal(model[4].weight, weight)
    assert list(model.state_dict()) == keys
    assert [type(m) for m in model.modules()] == kinds
    assert attached(model) == {}
    for name, code in described.items():
        assert torch.equal(decode(code), model.get_parameter(name))
    assert all(model.get_parameter(name) is p and p.requires_grad for name, p in parameters.items())


@pytest.mark.parametrize("parts", [["b"], ["c", "a"], ["b", "a"], ["a", "b", "c"]])
def test_parameters_keep_their_order(parts):
    module = nn.ParameterDict({name: nn.Parameter(torch.randn(4)) for name in "abcd"})
    optimizer = torch.optim.SGD(module.parameters())
    for part in parts:
        attach(module, {part: Sparse(0.5)})
    bake(module)
    assert list(module.state_dict()) == ["a", "b", "c", "d"]
    assert all(p is q for p, q in zip(module.parameters(), optimizer.param_groups[0]["params"], strict=True))


def test_codes_are_constants(model):
    attach(model, {"4.weight": Sparse(0.5) | Codebook(2), "4.bias": Codebook(2)})
    for code in codes(model).values():
        assert not decode(code).requires_grad


def test_baking_a_plain_network_is_nothing(model):
    before = copy.deepcopy(model.state_dict())
    bake(model)
    assert all(torch.equal(before[name], x) for name, x in model.state_dict().items())


def test_a_baked_network_can_be_attached_again_and_pickled(model):
    attach(model, {"4.weight": Sparse(0.5)})
    bake(model)
    torch.save(model, io.BytesIO())
    attach(model, {"4.weight": Codebook(2)})
    assert len(model[4].weight.unique()) == 2


# Bad input


def test_attaching_twice_is_refused(model):
    attach(model, {"4.weight": Sparse(0.5)})
    before = list(model.state_dict())
    with pytest.raises(
        ValueError, match=r"'4.weight'; allowed: one that matches a parameter without codec: 0"
    ):
        attach(model, {"4.weight": Sparse(0.9)})
    assert list(model.state_dict()) == before
    attach(model, {"*.weight": Sparse(0.9)})  # those that are still free
    assert attached(model)["4.weight"].codec == Sparse(0.5)
    assert attached(model)["5.weight"].codec == Sparse(0.9)


@pytest.mark.parametrize(
    ("rules", "options", "complaint"),
    [
        (
            {"fc.weight": Sparse(0.5)},
            {},
            "'fc.weight'; allowed: one that matches a parameter .*: 0.weight, 0.b",
        ),
        ({"*.weight": Sparse(0.5), "6.*": Sparse(0.5)}, {}, "a pattern of rules is '6.*'"),
        ({"*.weight": 0.9}, {}, r"rules\['\*.weight'\] is 0.9; allowed: a codec such as Sparse"),
        ({}, {}, "rules is {}; allowed: a dict"),
        (Sparse(0.5), {}, r"rules is Sparse\(sparsity=0.5\); allowed: a dict"),
        ({4: Sparse(0.5)}, {}, "rules is {4: "),
        (
            {"*.weight": Sparse(0.5)},
            {"refresh": "always"},
            "refresh is 'always'; allowed: one of step, epoch",
        ),
        (
            {"*.weight": Sparse(0.5)},
            {"gradient": "none"},
            "gradient is 'none'; allowed: one of masked, dense",
        ),
    ],
)
def test_bad_arguments_change_nothing(model, rules, options, complaint):
    before = list(model.state_dict())
    with pytest.raises(ValueError, match=complaint):
        attach(model, rules, **options)
    assert list(model.state_dict()) == before


def test_a_bad_weight_changes_nothing(model):
    with torch.no_grad():
        model[5].weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match="holds 1 NaN"):
        attach(model, {"*.weight": Sparse(0.5)})
    assert attached(model) == {}


def test_a_shared_parameter_is_refused():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    with pytest.raises(ValueError, match=r"'0\.weight'; allowed: one in one place; it is 0\.weight, 1\."):
        attach(model, {"*.weight": Sparse(0.5)})


def test_a_name_with_brackets_is_that_name():
    module = nn.ParameterDict({name: nn.Parameter(torch.randn(4)) for name in ("a[0]", "a0")})
    attach(module, {"a[0]": Sparse(0.5)})
    assert list(attached(module)) == ["a[0]"]
    attach(module, {"*": Codebook(2)})
    assert attached(module)["a0"].codec == Codebook(2)


# What a state dict holds


EVERY = [
    *CODECS[1:], NMSparse(1, 5), Uniform(3), Uniform(3, axis=0, symmetric=False), Uniform(3, group=4),
    Binary(), Ternary(0), PowerOfTwo(3), MiniFloat(2, 1, block=5), LowRank(2), Product(3, 2),
    LowRank(2) | Uniform(8),
]  # fmt: skip


@pytest.mark.parametrize("codec", EVERY, ids=str)
@pytest.mark.parametrize("refresh", ["step", "epoch", "never"])
def test_a_state_dict_loaded_again_is_the_same_network(codec, refresh):
    networks = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        networks.append(nn.Linear(5, 4).double())
        attach(networks[-1], {"weight": codec}, refresh=refresh)
    one, two = networks
    optimizer = torch.optim.SGD(one.parameters(), lr=0.1)
    one.train()(torch.ones(1, 5, dtype=torch.float64)).sum().backward()
    optimizer.step()
    two.load_state_dict(one.state_dict())  # strict
    x = torch.randn(4, 5, dtype=torch.float64)
    assert torch.equal(one.eval()(x), two.eval()(x))
    assert torch.equal(bake(one).weight, bake(two).weight)


def test_a_state_dict_without_the_code_is_refused_and_another_dtype_follows(layer):
    attach(layer, {"weight": Sparse(0.5) | Codebook(3)}, refresh="never")
    state = layer.state_dict()
    twin = copy.deepcopy(layer).double()
    twin.load_state_dict(state)
    assert twin.weight.dtype == attached(twin)["weight"]._keep.dtype == torch.float64
    assert torch.equal(twin.weight.float(), layer.weight)
    key = "parametrizations.weight.0._extra_state"
    del state[key]
    with pytest.raises(RuntimeError, match=r"Missing key.*_extra_state"):
        layer.load_state_dict(state)
    other = nn.Linear(5, 4)
    attach(other, {"weight": Uniform(3)})
    with pytest.raises(ValueError, match=r"^weight: the form of the code"):
        attached(other)["weight"].set_extra_state(layer.state_dict()[key])


# Layers as people bring them


def test_an_error_names_the_parameter(layer):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 4))
    with pytest.raises(ValueError, match=r"^0\.weight: .*3.*allowed: "):
        attach(model, {"*.weight": NMSparse(2, 4)})
    assert attached(model) == {}
    attach(layer, {"weight": Sparse(0.5)})
    with torch.no_grad():
        original(layer)[0, 0] = torch.inf
    with pytest.raises(ValueError, match=r"^weight: w holds 1 NaN"):
        layer.train()(torch.ones(1, 5))
    with pytest.raises(ValueError, match="not initialised"):
        attach(nn.LazyLinear(3), {"weight": Sparse(0.5)})


def test_what_is_frozen_stays_frozen():
    for codec in (Codebook(3), Sparse(0.5) | Codebook(3), Uniform(3)):
        layer = nn.Linear(5, 4).requires_grad_(False)
        attach(layer, {"weight": codec})
        assert not any(p.requires_grad for p in layer.parameters())
        layer.train()(torch.ones(1, 5))
        assert not any(p.requires_grad for p in layer.parameters())
        assert not any(p.requires_grad for p in bake(layer).parameters())


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
@pytest.mark.parametrize(
    "spoil",
    [
        nn.utils.weight_norm, nn.utils.spectral_norm, nn.utils.parametrizations.weight_norm,
        nn.utils.parametrizations.orthogonal, lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
        lambda layer: prune.random_unstructured(prune.l1_unstructured(layer, "weight", 2), "weight", 2),
    ],
)  # fmt: skip
def test_a_weight_that_something_else_makes_is_refused_by_name(spoil):
    model = nn.Sequential(nn.Linear(4, 4), spoil(nn.Linear(4, 4)))
    for pattern in ("*.weight", "1.weight"):
        with pytest.raises(ValueError, match=r"is '1\.weight, made by .*; allowed: a parameter"):
            attach(model, {pattern: Sparse(0.5)})
    attach(model, {"0.weight": Sparse(0.5), "1.bias": Codebook(2)})
    assert list(attached(model)) == ["0.weight", "1.bias"]


def test_what_stands_behind_a_codec_is_not_baked_away(layer):
    attach(layer, {"weight": Sparse(0.5)})
    nn.utils.parametrizations.orthogonal(layer, "weight")
    with pytest.raises(ValueError, match="weight, then _Orthogonal"):
        bake(layer)


FOREIGN = {
    "lstm": (lambda: nn.LSTM(5, 4, 2), "weight*", lambda m, x: m(x)[0]),
    "gru": (lambda: nn.GRU(5, 4, bidirectional=True), "weight*", lambda m, x: m(x)[0]),
    "attention": (lambda: nn.MultiheadAttention(5, 1), "*weight", lambda m, x: m(x, x, x)[0]),
    "encoder": (
        lambda: nn.TransformerEncoderLayer(5, 1, 7, dropout=0.0), "*[rj][o12j]*weight", lambda m, x: m(x)
    ),
    "embedding": (lambda: nn.Embedding(3, 5), "weight", lambda m, x: m(torch.arange(3))),
    "transposed": (lambda: nn.ConvTranspose1d(2, 4, 3, groups=2), "weight", lambda m, x: m(x)),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_a_codec_reaches_every_kind_of_layer(name):
    make, pattern, call = FOREIGN[name]
    torch.manual_seed(0)
    model, x = make().double().eval(), torch.randn(3, 2, 5, dtype=torch.float64)
    expected = copy.deepcopy(model)
    found = attach(model, {pattern: Uniform(2)})
    assert found
    for n in found:
        p = expected.get_parameter(n)
        p.data.copy_(Uniform(2).project(p.detach()))
    with torch.no_grad():
        y, wanted = call(model, x), call(expected, x)
    torch.testing.assert_close(y, wanted, rtol=1e-12, atol=1e-12)  # the same operations in float64
    call(model.train(), x).square().sum().backward()
    assert all(p.grad is not None for n, p in model.named_parameters() if n.endswith("original"))
    plain = bake(copy.deepcopy(model)).eval()  # a copy after a pass with gradients
    torch.testing.assert_close(call(plain, x).detach(), wanted, rtol=1e-12, atol=1e-12)
    assert [type(m) for m in plain.modules()] == [type(m) for m in expected.modules()]
    for p in plain.parameters():
        p.data.mul_(2)
    assert not torch.allclose(call(plain, x), wanted)  # the plain parameters are those that count


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    "codec", [Uniform(8), Uniform(4, axis=0), Uniform(8, symmetric=False), MiniFloat(4, 3)]
)
def test_the_largest_numbers_of_half_precision_stay_finite(dtype, codec):
    w = torch.randn(16, 16, generator=torch.Generator().manual_seed(0)).double()
    w = (w / w.abs().max() * torch.finfo(dtype).max).to(dtype)
    found = codec.project(w)
    assert found.dtype == dtype
    assert bool(found.isfinite().all())
    wide = codec.project(w.float())
    errors = [torch.linalg.norm((x.double() - w.double()) / w.double().abs().max()) for x in (found, wide)]
    assert errors[0] < 1.1 * errors[1]  # a scale of eight to eleven bits moves a few weights to a neighbour


def test_attaching_searches_for_a_code_once(monkeypatch):
    """An SVD or a k-means of a large matrix takes seconds."""
    calls, encode = [], LowRank.encode
    monkeypatch.setattr(
        LowRank, "encode", lambda self, w, **start: calls.append(1) or encode(self, w, **start)
    )
    layer = torch.nn.Linear(6, 4)
    attach(layer, {"weight": LowRank(2)})
    assert len(calls) == 1
    layer.weight.sum()  # in training, where each forward pass chooses anew
    assert len(calls) == 2
