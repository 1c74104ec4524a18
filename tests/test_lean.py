"""The network in numpy against the one in torch: any split, any roll back, the texts that it writes."""

from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_gpt import small
from torch import nn

from mcomp.transformers import Cache, Lean, generate, keep_layers, plain_product, speculate

quick = settings(derandomize=True, deadline=None, max_examples=25)
SHAPES = [{}, {"kv_heads": 1}, {"heads": 4, "kv_heads": 2}, {"tied": False}]
close = {"rtol": 1e-10, "atol": 1e-10}  # float64; kernels add up in another order


MODELS = [small(**config) for config in SHAPES]
LEANS = [Lean(model, positions=64) for model in MODELS]


def whole(model, text):
    return model(torch.tensor([text]))[0].numpy()


texts = st.lists(st.lists(st.integers(0, 255), min_size=1, max_size=5), min_size=1, max_size=5)


@quick
@given(which=st.integers(0, 3), pieces=texts)
def test_any_split_is_the_whole_pass(which, pieces):
    lean = LEANS[which].fresh()
    found = np.concatenate([lean.read(piece) for piece in pieces])
    np.testing.assert_allclose(found, whole(MODELS[which], [*chain(*pieces)]), **close)
    assert (lean.length, LEANS[which].length) == (len(found), 0)


@quick
@given(which=st.integers(0, 3), pieces=texts, kept=st.integers(0, 9))
def test_what_is_rolled_back_was_never_read(which, pieces, kept):
    lean, (*old, new) = LEANS[which].fresh(), pieces
    read = [*chain(*old)]
    for piece in old:
        lean.read(piece)
    lean.keep(kept := min(kept, len(read)))
    wanted = whole(MODELS[which], read[:kept] + new)[kept:]
    np.testing.assert_allclose(lean.read(new), wanted, **close)


OPTIONS = [{"temperature": 0}, {"seed": 3}, {"temperature": 0.5, "top_k": 4}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_texts_are_those_of_the_network(options):
    """Float64 on both sides: a draw would have to lie within 1e-10 of an end to fall differently."""
    for model, lean in zip(MODELS, LEANS, strict=True):
        assert generate(lean, b"def f(", n=20, **options) == generate(model, b"def f(", n=20, **options)


@pytest.mark.parametrize("options", [{"temperature": 0}, {"seed": 3, "gamma": 2}], ids=str)
def test_speculation_is_that_of_the_networks(options):
    wanted = speculate(MODELS[0], MODELS[1], prompt=b"ab", n=20, **options)
    pairs = [(LEANS[0], LEANS[1]), (LEANS[0], MODELS[1]), (MODELS[0], LEANS[1])]
    assert [speculate(*pair, prompt=b"ab", n=20, **options) for pair in pairs] == [wanted] * 3
    itself = speculate(LEANS[0], LEANS[0], prompt=b"ab", n=15, gamma=4)
    assert itself.gains == (5, 5, 5)  # two caches, though it is one object


def test_weights_are_copied_and_the_network_stays():
    model = small()
    before = {name: p.clone() for name, p in model.named_parameters()}
    lean = Lean(model, positions=8)
    first = lean.read([1, 2])
    lean.keep(0)
    for name, p in model.named_parameters():
        assert torch.equal(p, before[name])
        p.zero_()
    np.testing.assert_allclose(lean.read([1, 2]), first, **close)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_in_few_bits_it_computes_in_float32(dtype):
    model = small().to(dtype)
    found = Lean(model).read(list(b"import os"))
    assert found.dtype == np.float32
    # float32 sums of 16 products: relative 1e-6 each, through two layers
    np.testing.assert_allclose(found, whole(model.float(), list(b"import os")), rtol=1e-3, atol=1e-4)


def test_large_gates_warn_of_nothing():
    model = small().float()
    model.layers[0].mlp.gate_proj.weight.mul_(1e4)
    with np.errstate(all="raise", under="ignore"):
        found = Lean(model).read([1, 2, 3])
    assert np.isfinite(found).all()


def test_products_of_ones_own():
    asked = []

    def product(w):
        asked.append(w.shape)
        return plain_product(2 * w)

    model, doubled = small(layers=1), small(layers=1)
    for name, p in doubled.named_parameters():
        if name.endswith("_proj.weight"):
            p.mul_(2)
    doubled.config["tied"] = False
    doubled.head.weight = nn.Parameter(2 * doubled.head.weight, requires_grad=False)
    found = Lean(model, product=product).read([1, 2])
    np.testing.assert_allclose(found, whole(doubled, [1, 2]), **close)
    assert asked == [(48, 16), (16, 16), (24, 16), (16, 12), (256, 16)]


@quick
@given(kept=st.lists(st.integers(0, 3), min_size=1, unique=True).map(sorted))
def test_kept_layers_are_those_of_a_loop(kept):
    model = small(layers=4)
    shallow = keep_layers(model, kept)
    x = torch.tensor([[1, 2, 3]])
    h = model.embed(x)
    for i in kept:
        h = model.layers[i](h)
    torch.testing.assert_close(shallow(x), model.head(model.norm(h)), **close)
    assert (shallow.config["layers"], len(model.layers)) == (len(kept), 4)
    assert shallow.head.weight is shallow.embed.weight is not model.embed.weight


def biased(model):
    model.layers[0].mlp.up_proj = nn.Linear(16, 12).double()
    return model


def hooked(model):
    model.layers[1].attention.q_proj.register_forward_hook(lambda *a: None)
    return model


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Lean(nn.Linear(1, 1)), "model is 'Linear'; allowed: a TinyGPT"),
        (lambda: Lean(biased(small())), "layers.0.mlp.up_proj.*it has a bias"),
        (lambda: Lean(hooked(small())), "layers.1.attention.q_proj.*hooks"),
        (lambda: Lean(small(), positions=0), "positions is 0"),
        (lambda: Lean(small(), positions=2).read([1, 2, 3]), "positions is 3; allowed: at most 2"),
        (lambda: LEANS[0].read([]), "new is "),
        (lambda: LEANS[0].read([256]), r"new is \[256\]"),
        (lambda: LEANS[0].fresh().keep(1), "n is 1"),
        (lambda: generate(LEANS[0], b"x", n=1, cache=Cache(MODELS[0])), "cache is 'Cache'"),
        (lambda: keep_layers(small(), ()), "kept is"),
        (lambda: keep_layers(small(), (1, 0)), r"kept is \[1, 0\]"),
        (lambda: keep_layers(small(), (0, 2)), "integers from 0 to 1"),
        (lambda: keep_layers(nn.Linear(1, 1), (0,)), "model is 'Linear'"),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(ValueError, match=said):
        call()
