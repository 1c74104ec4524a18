"""LoRA against a few lines of numpy: nothing changes at the start, only A and B learn, merging is exact."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrizations, prune

from mcomp.codecs import NormalFloat, Uniform, attach, attached, bake
from mcomp.codecs.activations import calibrate
from mcomp.deploy import gguf
from mcomp.file import load, save
from mcomp.gpt import TinyGPT
from mcomp.language import fit_text
from mcomp.structure import lora, merge_lora
from mcomp.structure.lora import LoRALinear

quick = settings(derandomize=True, deadline=None, max_examples=15)
DOUBLE = NormalFloat() | Uniform(8, group=256, symmetric=False)


def small(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 5, bias=False)).double()


def moved(model, seed=1):
    """The model with updates that aren't zero, as training makes them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, LoRALinear):
                shape = module.up.weight.shape
                module.up.weight.copy_(torch.randn(shape, generator=generator, dtype=torch.float64))
    return model


def tokens(*shape):
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(2))


def test_at_the_start_nothing_has_changed():
    model = small()
    before = copy.deepcopy(model.state_dict())
    adapted = lora(model, ["0", "2"], rank=3)
    x = torch.randn(11, 9, dtype=torch.float64)
    assert torch.equal(adapted(x), model(x))
    assert adapted[0].down.weight.abs().min() > 0
    assert {*before} == {*model.state_dict()}
    assert all(torch.equal(x, model.state_dict()[name]) for name, x in before.items())
    assert all(p.requires_grad for p in model.parameters())


@quick
@given(seed=st.integers(0, 1000), rank=st.integers(1, 7), alpha=st.sampled_from([None, 0.5, 16]))
def test_it_computes_what_numpy_computes_and_merges_into_the_same(seed, rank, alpha):
    model = small(seed)
    adapted = moved(lora(model, ["0"], rank=rank, alpha=alpha), seed)
    x = np.random.default_rng(seed).normal(size=(4, 9))
    w, bias, last = (p.detach().numpy() for p in model.parameters())
    a, b = adapted[0].down.weight.detach().numpy(), adapted[0].up.weight.detach().numpy()
    hidden = x @ w.T + bias + (1.0 if alpha is None else alpha / rank) * (x @ a.T) @ b.T
    expected = np.maximum(hidden, 0) @ last.T
    found = adapted(torch.from_numpy(x)).detach().numpy()
    assert np.abs(found - expected).max() <= 1e-12 * np.abs(expected).max()
    merged = merge_lora(adapted)
    assert [type(m) for m in merged] == [nn.Linear, nn.ReLU, nn.Linear]
    assert (
        np.abs(merged(torch.from_numpy(x)).detach().numpy() - expected).max()
        <= 1e-12 * np.abs(expected).max()
    )
    assert np.linalg.matrix_rank((merged[0].weight - model[0].weight).detach().numpy()) == rank
    assert isinstance(adapted[0], LoRALinear)  # the input of merge_lora stays


def test_the_seed_decides_and_a_has_the_size_that_is_told():
    model = nn.Sequential(nn.Linear(400, 300))
    a, again, other = (lora(model, ["0"], rank=64, seed=seed)[0].down.weight for seed in (3, 3, 4))
    assert torch.equal(a, again)
    assert not torch.equal(a, other)
    assert a.std().item() == pytest.approx(400**-0.5, rel=0.03)  # 25,600 draws: 0.4 % of deviation
    before = torch.get_rng_state()
    lora(model, ["0"], rank=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_only_the_updates_learn():
    model = TinyGPT(dim=32, layers=2, heads=2, hidden=48)
    names = [f"layers.{i}.attention.{c}_proj" for i in range(2) for c in "qv"]
    adapted = lora(model, names, rank=4, alpha=8)
    free = [name for name, p in adapted.named_parameters() if p.requires_grad]
    assert free == [f"{name}.{part}.weight" for name in names for part in ("down", "up")]
    files = {"a.py": torch.arange(40, 120, dtype=torch.uint8).repeat(4)}
    before = {name: p.detach().clone() for name, p in adapted.named_parameters()}
    fit_text(adapted, files, steps=4, lr=1e-2, batch_size=2, context=16, progress=False)
    changed = [name for name, p in adapted.named_parameters() if not torch.equal(p, before[name])]
    assert changed == free
    x = tokens(2, 12)
    merged = merge_lora(adapted.double())
    with torch.no_grad():
        expected = adapted(x)
        assert (expected - model.double()(x)).abs().max() > 1e-4
        assert (merged(x) - expected).abs().max() < 1e-12 * expected.abs().max()


def test_the_gradients_are_those_of_the_paper():
    """Of L = sum(y·g): dB = s·g^T (x A^T), dA = s·B^T g^T x; A has none at the start, where B is 0."""
    adapted = lora(small(), ["0"], rank=2, alpha=6)
    x, g = (torch.randn(4, n, dtype=torch.float64) for n in (9, 7))
    (adapted[0](x) * g).sum().backward()
    assert adapted[0].down.weight.grad.abs().max() == 0
    assert torch.allclose(adapted[0].up.weight.grad, 3 * g.T @ (x @ adapted[0].down.weight.T))
    moved(adapted).zero_grad()
    (adapted[0](x) * g).sum().backward()
    assert torch.allclose(adapted[0].down.weight.grad, 3 * adapted[0].up.weight.T @ g.T @ x)


@pytest.mark.parametrize("codec", [DOUBLE, Uniform(4, axis=0)], ids=["nf4", "uniform"])
@pytest.mark.parametrize("refresh", ["step", "epoch", "never"])
def test_over_a_quantized_weight(codec, refresh):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 12), nn.ReLU(), nn.Linear(12, 6))
    attach(model, {"*.weight": codec}, refresh=refresh)
    x = torch.randn(5, 20)
    adapted = lora(model, ["0", "2"], rank=3).train()
    held = adapted[0].base.weight.detach().clone()
    assert torch.equal(held, model[0].weight)
    assert torch.equal(adapted(x), model.eval()(x))
    optimizer = torch.optim.Adam([p for p in adapted.parameters() if p.requires_grad], lr=0.05)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = (adapted(x) - 1).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert torch.equal(adapted[0].base.weight, held)  # the code stayed
    assert [*attached(adapted)] == ["0.base.weight", "2.base.weight"]
    assert all(p.grad is None for name, p in adapted.named_parameters() if "original" in name)
    model.train()(x).sum().backward()  # the input still learns
    assert model[0].parametrizations.weight.original.grad.abs().max() > 0


def test_a_quantized_weight_is_not_merged():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 12), nn.ReLU(), nn.Linear(12, 6))
    attach(model, {"2.weight": Uniform(4)})
    adapted = moved(lora(model, ["0", "2"], rank=3)).eval()
    with pytest.raises(ValueError, match=r"'2: its weight is made by Attached'; allowed: .*leave its grid"):
        merge_lora(adapted)
    x = torch.randn(5, 20)
    merged = merge_lora(bake(copy.deepcopy(adapted)))
    assert torch.allclose(merged(x), adapted(x), atol=1e-5)  # float32
    assert len(torch.unique(merged[2].weight)) > 15 >= len(torch.unique(adapted[2].base.weight))


def tied(model):
    model[2].weight = model[0].weight


def normed(model):
    parametrizations.weight_norm(model[2])


def masked(model):
    prune.l1_unstructured(model[2], "weight", 0.5)


def hooked(model):
    model[2].register_forward_hook(lambda module, x, y: y)


CHANGES = {tied: "2; its weight is shared", normed: "2; its weight is made by _WeightNorm",
           masked: "2.weight", hooked: "2; it has hooks"}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_layer_that_is_not_plain_is_named(change):
    model = nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5))
    change(model)
    with pytest.raises(ValueError, match=CHANGES[change]):
        lora(model, ["2"], rank=2)


def test_the_tied_head_of_a_gpt_is_refused_and_an_attention_that_reads_its_weight():
    with pytest.raises(ValueError, match="head; its weight is shared: embed"):
        lora(TinyGPT(dim=8, layers=1, heads=2, hidden=12), ["head"], rank=2)
    with pytest.raises(ValueError, match=r"attention\.out_proj; it is part of a MultiheadAttention"):
        lora(nn.ModuleDict({"attention": nn.MultiheadAttention(8, 2)}), ["attention.out_proj"], rank=2)


BAD = {
    "the name of a layer is 'fc'": {"names": ["fc"]},
    "the name of a layer is '1'; allowed: a Linear: 0, 2": {"names": ["1"]},
    "names is '0'": {"names": "0"},
    r"names is \[\]": {"names": []},
    "each name once": {"names": ["0", "0"]},
    "the rank of 0 is 0": {"rank": 0},
    "the rank of 2 is 6; allowed: an integer from 1 to 5": {"names": ["0", "2"], "rank": 6},
    "the rank of 0 is 2.0": {"rank": 2.0},
    "alpha is 0": {"alpha": 0},
    "alpha is nan": {"alpha": float("nan")},
    "seed is -1": {"seed": -1},
}


@pytest.mark.parametrize("told", BAD)
def test_bad_arguments(told):
    options = {"names": ["0"], "rank": 2} | BAD[told]
    with pytest.raises(ValueError, match=told):
        lora(small(), options.pop("names"), **options)


def test_a_model_without_updates_is_not_merged():
    with pytest.raises(ValueError, match="Sequential'; allowed: one with layers that lora made"):
        merge_lora(small())
    layer = moved(lora(small(), ["0"], rank=2)[0])
    x = torch.randn(3, 9, dtype=torch.float64)
    assert torch.allclose(merge_lora(layer)(x), layer(x), rtol=0, atol=1e-12)  # the model is the layer


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    model = small().to(dtype)
    adapted = moved(lora(model, ["0"], rank=2))
    assert {p.dtype for p in adapted.parameters()} == {dtype}
    w, layer = model[0].weight.double(), adapted[0]
    exact = w + layer.up.weight.double() @ layer.down.weight.double()
    assert (merge_lora(adapted)[0].weight - exact).abs().max() <= torch.finfo(dtype).eps * exact.abs().max()


def test_files(tmp_path):
    """A network with updates opens from one like it, a merged one as the network that it is."""
    model = TinyGPT(dim=32, layers=1, heads=2, hidden=64)
    adapted = moved(lora(model, ["layers.0.mlp.up_proj"], rank=2)).eval()
    save(adapted, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="model="):
        load(tmp_path / "a.safetensors")
    again = load(tmp_path / "a.safetensors", model=lora(model, ["layers.0.mlp.up_proj"], rank=2, seed=9))
    x, merged = tokens(2, 9), merge_lora(adapted)
    with torch.no_grad():
        assert torch.equal(again(x), adapted(x))
    save(merged, tmp_path / "b.safetensors")
    with torch.no_grad():
        assert torch.equal(load(tmp_path / "b.safetensors")(x), merged(x))
    with pytest.raises(ValueError, match=r"layer layers\.0\.mlp\.up_proj"):
        gguf.export(adapted, tmp_path / "net.gguf")
    assert gguf.export(merged, tmp_path / "net.gguf").exists()


def test_activations_on_a_grid_come_after_the_updates():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(20, 12)), torch.randn(40, 20)
    adapted = lora(model, ["0"], rank=3)
    with torch.no_grad():
        adapted[0].up.weight.normal_()
    rules = {"0.input": Uniform(8, symmetric=False)}
    attach(model, rules)
    with pytest.raises(ValueError, match="0; it has hooks"):
        lora(model, ["0"], rank=3)
    attach(adapted, {f"0.base{pattern[1:]}": codec for pattern, codec in rules.items()})
    for network in (model, adapted):
        calibrate(network.eval(), x)
    update = adapted[0].scale * adapted[0].up(adapted[0].down(x))  # reads what W0's grid rounds, unrounded
    assert torch.allclose(adapted(x), model(x) + update, atol=1e-5)  # float32
