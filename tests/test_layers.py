"""Weight matrices by whatever name, and networks however they are called."""

from collections import UserDict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune, weight_norm
from torch.utils.flop_counter import FlopCounterMode

import mcomp
from mcomp import calling, zoo
from mcomp.codecs import Sparse, Uniform, attach, calibrate
from mcomp.codecs.activations import activations
from mcomp.layers import left_out, matrices
from mcomp.measure import layer_costs, report, unread
from mcomp.sparse_training import prunable_weights
from mcomp.sparse_training.probe import input_rms, outputs
from mcomp.train import evaluate, fit, predict
from mcomp.watch import watch


class Conv1D(nn.Module):
    """A Linear whose weight is stored as (in, out), as GPT-2 has it."""

    def __init__(self, nf, nx):
        super().__init__()
        self.nf, self.weight, self.bias = nf, nn.Parameter(torch.randn(nx, nf)), nn.Parameter(torch.zeros(nf))

    def forward(self, x):
        return x @ self.weight + self.bias


class Head(nn.Module):
    """Multiplies with a Parameter of its own; what is added to every row is no matrix."""

    def __init__(self):
        super().__init__()
        self.table, self.matrix = nn.Parameter(torch.zeros(1, 5, 8)), nn.Parameter(torch.randn(3, 8))

    def forward(self, x):
        return F.linear(x + self.table, self.matrix).mean(1)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x):
        q, k, v = self.qkv(x).view(len(x), -1, 3, 2, 4).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v)


class Named(nn.Module):
    """Called by keyword, answers with a dict."""

    def __init__(self):
        super().__init__()
        self.embed, self.fc = nn.Embedding(50, 8), nn.Linear(8, 4)

    def forward(self, *, tokens, mask, scale=1.0):
        x = (self.embed(tokens) * mask[..., None]).sum(1)
        return {"hidden": x, "logits": scale * self.fc(input=x)}


def inputs(n=6):
    chance = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 50, (n, 5), generator=chance)
    return {"tokens": tokens, "mask": torch.rand(n, 5, generator=chance), "scale": 2.0}


def axes(model):
    return {name: (m.out_axis, m.in_axis) for name, m in matrices(model).items()}


def test_every_kind_of_layer_has_its_matrices_with_their_axes():
    block = nn.TransformerEncoderLayer(8, 2, 16)
    assert axes(block) == dict.fromkeys(
        ("self_attn.in_proj_weight", "self_attn.out_proj.weight", "linear1.weight", "linear2.weight"), (0, 1)
    )
    assert list(axes(nn.GRU(3, 4, 2, bidirectional=True))) == [
        f"weight_{kind}_l{layer}{way}"
        for layer in (0, 1)
        for way in ("", "_reverse")
        for kind in ("ih", "hh")
    ]
    assert axes(nn.LSTMCell(3, 4)) == {"weight_ih": (0, 1), "weight_hh": (0, 1)}
    assert axes(Conv1D(6, 3)) == axes(nn.ConvTranspose2d(3, 6, 2)) == {"weight": (1, 0)}
    assert axes(nn.Embedding(9, 3)) == {"weight": (None, None)}
    assert axes(Head()) == {"matrix": (None, None)}
    assert axes(nn.MultiheadAttention(8, 2, kdim=4, vdim=6)) == dict.fromkeys(
        ("q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"), (0, 1)
    )


def test_norms_vectors_and_biases_are_no_matrices():
    model = nn.Sequential(
        nn.BatchNorm2d(3), nn.LayerNorm((4, 5)), nn.GroupNorm(1, 3), nn.PReLU(3), nn.RMSNorm(4)
    )
    model.scale = nn.Parameter(torch.ones(3, 1, 1))  # ConvNeXt's layer scale
    model.token = nn.Parameter(torch.ones(1, 1, 8))
    assert matrices(model) == {}


class NormLinear(nn.Module):
    """Called after what it does to its inputs: no norm."""

    def __init__(self):
        super().__init__()
        self.weight, self.u = nn.Parameter(torch.ones(4, 4)), nn.Parameter(torch.ones(4, 4))


class Foreign(nn.Module):
    """What stands in a module of one's own without being multiplied."""

    def __init__(self):
        super().__init__()
        self.pos_embed = nn.Parameter(torch.ones(5, 8))
        self.relative_position_bias_table = nn.Parameter(torch.ones(9, 4))
        self.gamma, self.beta = nn.Parameter(torch.ones(4, 6)), nn.Parameter(torch.ones(4, 6))
        self.whole = nn.Parameter(torch.ones(4, 6, dtype=torch.int8), requires_grad=False)
        self.token_mix = nn.Parameter(torch.ones(5, 7))


def test_what_is_left_out_is_named_with_the_reason():
    model = nn.ModuleDict({"own": Foreign(), "norm": nn.LayerNorm((4, 5)), "fc": NormLinear()})
    model["hf"], model["scale"] = Conv1D(6, 3), nn.BatchNorm2d(3)
    added, scale = "added or looked up, by its shape or name", "a scale or shift: both have one shape"
    assert left_out(model) == {
        "own.pos_embed": added, "own.relative_position_bias_table": added, "own.gamma": scale,
        "own.beta": scale, "own.whole": "of int8", "own.token_mix": added,
        "norm.weight": "of a norm", "norm.bias": "of a norm", "hf.bias": "a vector",
        "scale.weight": "of a norm", "scale.bias": "of a norm",
    }  # fmt: skip
    assert list(matrices(model)) == ["fc.weight", "fc.u", "hf.weight"]
    assert {*matrices(model), *left_out(model)} == {name for name, _ in model.named_parameters()}
    mine = {Foreign: ("token_mix", 1, 0)}  # what the name misjudges, a rule sets right
    assert matrices(model, rules=mine)["own.token_mix"].out_axis == 1


def test_a_class_goes_before_a_name():
    named = type("Conv1D", (nn.Conv1d,), {})  # not GPT-2's
    assert axes(named(2, 3, 1)) == {"weight": (0, 1)}


def test_a_lazy_layer_is_named():
    with pytest.raises(ValueError, match=r"1\.weight is 'without a shape'; allowed: .*run the network once"):
        matrices(nn.Sequential(nn.ReLU(), nn.LazyLinear(3)))


def test_a_tied_parameter_counts_once_and_a_frozen_one_says_so():
    model = nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 50, bias=False), nn.Linear(50, 2))
    model[1].weight, model[2].weight.requires_grad = model[0].weight, False
    found = matrices(model)
    assert list(found) == ["0.weight", "2.weight"]
    assert found["0.weight"].tied == ("1.weight",)
    assert [m.trainable for m in found.values()] == [True, False]


def test_a_weight_that_something_makes_has_its_plain_name_and_value():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    weight_norm(model[0])
    parametrizations.weight_norm(model[1])
    prune.l1_unstructured(model[2], "weight", amount=0.5)
    attach(model, {"3.weight": Sparse(0.5)})
    found = matrices(model)
    made = ["weight_norm", "parametrize", "prune", "parametrize"]
    assert {n: m.made_by for n, m in found.items()} == {f"{i}.weight": how for i, how in enumerate(made)}
    for name, matrix in found.items():
        assert torch.equal(matrix.value, model.get_submodule(name[0]).weight)


def test_rules_of_the_users_own_come_first():
    class Pointwise(Conv1D):
        pass

    assert axes(Pointwise(6, 3)) == {"weight": (1, 0)}
    assert {m.out_axis for m in matrices(Pointwise(6, 3), rules={Pointwise: ("weight", 0, 1)}).values()} == {
        0
    }
    with pytest.raises(ValueError, match=r"rules\['Conv1D'\] is \(0, 1\); allowed: \(pattern"):
        matrices(Conv1D(6, 3), rules={"Conv1D": (0, 1)})


def test_the_zoo_s_matrices_are_what_pruning_is_about():
    for name in zoo.NAMES:
        model = zoo.build(name)
        plain = [n for n, p in model.named_parameters() if n.endswith("weight") and p.ndim > 1]
        assert list(mcomp.matrices(model)) == list(prunable_weights(model)) == plain


@pytest.mark.parametrize(
    ("model", "x", "missing"),
    [
        (nn.LSTM(4, 6, 2, bidirectional=True), torch.zeros(7, 3, 4), 0),
        (nn.GRU(4, 6), torch.zeros(7, 3, 4), 0),
        (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), torch.zeros(3, 5, 8), 0),
        (Attention(), torch.zeros(3, 5, 8), 0),
        (Head(), torch.zeros(2, 5, 8), 0),
        (nn.ConvTranspose2d(4, 6, 3, 2, groups=2), torch.zeros(2, 4, 5, 5), 0),
        (nn.Sequential(Conv1D(6, 3)), torch.zeros(2, 5, 3), 0),
        (nn.Bilinear(3, 4, 5), (torch.zeros(2, 3), torch.zeros(2, 4)), 2 * 5 * 3 * 4),  # the peer skips it
    ],
)
def test_macs_are_half_of_what_torch_counts(model, x, missing):
    model.eval()
    ours = sum(cost.macs for cost in layer_costs(model, x))
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # fused layers would hide their products from the peer
    try:
        math = nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH)
        plain = torch.backends.mkldnn.flags(enabled=False)
        with torch.no_grad(), math, plain, FlopCounterMode(display=False) as peer:
            calling.invoke(model, x)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    assert 2 * (ours - missing) == peer.get_total_flops()
    assert ours


class Pieces(nn.Module):
    """Without gradients in `inference_mode` torch hands over layers that it takes apart elsewhere."""

    def __init__(self):
        super().__init__()
        self.fc, self.rnn, self.conv = nn.Linear(4, 3), nn.LSTM(3, 2), nn.Conv1d(2, 2, 1)

    def forward(self, x):
        y, _ = self.rnn(self.fc(x))
        return torch.einsum("ijk,ilk->ijl", y, y).sum() + self.conv(y.transpose(1, 2)).sum()

    inside = torch.inference_mode()(forward)


def test_inference_mode_hides_no_product():
    model, x = Pieces(), torch.zeros(3, 2, 4)
    with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as peer:
        model(x)
    plain = layer_costs(model, x)
    model.forward = model.inside
    found = layer_costs(model, x)
    assert [(cost.name, cost.macs) for cost in found] == [(cost.name, cost.macs) for cost in plain]
    assert 2 * sum(cost.macs for cost in found) == peer.get_total_flops() > 0


class Summed(nn.Module):
    def forward(self, a, b):
        return torch.addbmm(torch.zeros(3, 5), a, b)


def test_products_of_a_batch_added_up():
    (row,) = layer_costs(Summed(), (torch.zeros(2, 3, 4), torch.zeros(2, 4, 5)))
    assert row.macs == 2 * 3 * 4 * 5


def test_the_product_of_two_activations_is_charged_to_the_module_that_makes_it():
    rows = {cost.name: cost for cost in layer_costs(Attention(), torch.zeros(1, 5, 8))}
    assert rows["qkv"].macs == 5 * 8 * 24
    assert (rows["(the model)"].macs, rows["(the model)"].parameters) == (2 * 2 * 5 * 5 * 4, 0)


def test_what_nothing_reads_is_named():
    block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    assert unread(block, torch.zeros(1, 5, 8)) == []  # attention reads its out_proj, without calling it
    block.spare = nn.Linear(2, 2)
    assert unread(block, torch.zeros(1, 5, 8)) == ["spare.weight", "spare.bias"]
    rows = dict(report(block, x=torch.zeros(1, 5, 8), batches=()).rows())
    assert rows["not read by any operation"] == "spare.weight, spare.bias"


def test_a_network_is_called_by_keyword_everywhere():
    torch.manual_seed(0)
    model, x, y = Named(), inputs(), torch.arange(6) % 4
    logits = model(**x)["logits"].detach()
    assert torch.allclose(predict(model, x, batch_size=4), logits)  # a batch sums in another order
    assert evaluate(model, (x, y)) == float((logits.argmax(1) == y).float().mean())
    assert predict(model, x, output="hidden").shape == (6, 8)
    seen = []
    watch(model, x, lambda name, layer, a: seen.append(tuple(a.shape)), names=["fc"], batch_size=4)
    assert seen == [(4, 8), (2, 8)]
    assert report(model, (x, y), batches=(3,), progress=False).latencies[0].batch == 3

    class Data:
        train = (x, y)

    before = model.fc.weight.detach().clone()
    fit(model, Data, epochs=1, lr=1e-2, batch_size=4, progress=False)
    assert not torch.equal(model.fc.weight, before)


def test_what_a_tokenizer_returns_is_a_dict_of_keywords():
    model, x = Named(), inputs()
    assert torch.equal(predict(model, UserDict(x), batch_size=4), predict(model, x, batch_size=4))
    assert calling.count(UserDict(x)) == len(x["mask"])
    copy = calling.copied(UserDict(x))
    copy["mask"].zero_()
    assert x["mask"].any()
    y = torch.ones(3)
    assert calling.pick(UserDict(logits=y, hidden=y + 1)) is y
    assert calling.pick(UserDict(out=y, loss=None)) is y
    with pytest.raises(ValueError, match="UserDict with a, b"):
        calling.pick(UserDict(a=y, b=y))


def test_an_output_that_is_no_tensor_is_named():
    with pytest.raises(ValueError, match="the output of the layer 0 is 'tuple'; allowed: a tensor"):
        outputs(nn.Sequential(nn.LSTM(4, 3)), torch.zeros(5, 2, 4), names=["0"])


def test_what_picks_no_tensor_is_refused_with_what_there_is():
    answers = {"a": torch.ones(1), "b": torch.ones(2)}
    assert torch.equal(calling.pick(answers, "b"), torch.ones(2))
    assert torch.equal(calling.pick((torch.ones(3), None)), torch.ones(3))
    for answer, output, words in [
        (answers, None, "dict with a, b"), (answers, "c", "dict with a, b"),
        ((torch.ones(1), torch.ones(1)), None, "a tuple of Tensor, Tensor"), (None, None, "NoneType"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=f"output is .*; allowed: what picks a tensor from {words}"):
            calling.pick(answer, output)
    for x in (torch.zeros(0, 3), {}, (1.0,), torch.tensor(1.0), "x"):
        with pytest.raises(ValueError, match="with a row for each example"):
            calling.count(x)


def test_inputs_by_keyword_are_quantized_and_tables_are_no_features():
    model, x = Named(), inputs()
    assert list(input_rms(nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 4)), torch.zeros(4, 6).long())) == [
        "1.weight"
    ]
    made = attach(model, {"fc.input": Uniform(8)})
    calibrate(model, x)
    scale = float(made["fc.input"].scale)
    hidden = model(**x)["hidden"]
    assert scale == pytest.approx(float(hidden.abs().max()) / 127, rel=1e-5)  # symmetric: the largest is 127
    assert not torch.equal(model(**x)["logits"], 2.0 * F.linear(hidden, model.fc.weight, model.fc.bias))


def test_a_layer_that_never_runs_as_a_module_is_named():
    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    attach(model, {"*.input": Uniform(8, symmetric=False)})
    with pytest.raises(ValueError, match=r"never passed its quantizer is 'self_attn\.out_proj\.input'"):
        calibrate(model, torch.randn(4, 5, 8))


def test_outputs_that_are_no_tensors_are_named():
    model = nn.Sequential(nn.LSTM(4, 3))
    attach(model, {"0.output": Uniform(8)})
    with pytest.raises(ValueError, match=r"what never passed its quantizer is '0\.output'"):
        calibrate(model, torch.randn(5, 2, 4))


def test_a_quantizer_is_no_element_of_a_list():
    model = nn.Module()
    model.blocks, model.named = (
        nn.ModuleList(nn.Linear(4, 4) for _ in range(3)),
        nn.ModuleDict({"a": nn.ReLU()}),
    )
    assert set(attach(model, {"*.output": Uniform(8)})) == {
        *(f"blocks.{i}.output" for i in range(3)),
        "named.a.output",
    }
    assert (len(model.blocks), len(model.named)) == (3, 1)


def test_matrices_that_multiply_something_else_are_refused_by_name():
    with pytest.raises(ValueError, match="'weight_ih_l0, weight_hh_l0'"):
        input_rms(nn.LSTM(4, 3), torch.zeros(5, 2, 4))


def test_half_precision_is_observed_in_float32():
    model = nn.Sequential(nn.Identity())
    attach(model, {"0.output": Uniform(8)})
    calibrate(model, torch.full((2, 3), 6e4, dtype=torch.float16))
    y = model(torch.full((1, 3), 6e4, dtype=torch.float16))
    assert bool(y.isfinite().all())
    assert y.float().max() <= 6e4  # the grid doesn't reach past what was seen, so nothing overflows


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    low=st.floats(-65504, 0, width=16), high=st.floats(0, 65504, width=16),
    bits=st.integers(2, 8), symmetric=st.booleans(), first=st.booleans(),
)  # fmt: skip
def test_a_network_made_half_keeps_its_range(low, high, bits, symmetric, first):
    """Before or after it was calibrated: a scale of float16 overflows at one end and is zero at the other."""
    model = nn.Sequential(nn.Identity())
    attach(model, {"0.output": Uniform(bits, symmetric=symmetric)})
    x = torch.tensor([[low, high]])
    if first:
        calibrate(model.half(), x.half())
    else:
        calibrate(model, x).half()
    y, step = model(x.half()).float(), float(activations(model)["0.output"].scale)
    assert bool(y.isfinite().all())
    # half a step by rounding, as much by the zero point's; a float16 has 11 bits, or steps of 2**-24
    assert float((y - x).abs().max()) <= 1.001 * step + float(x.abs().max()) * 2**-11 + 2**-24
