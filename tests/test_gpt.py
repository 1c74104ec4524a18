"""TinyGPT against plain loops in numpy, and what its parts promise."""

import math

import numpy as np
import pytest
import torch

from mcomp import zoo
from mcomp.file import load, save
from mcomp.gpt import TinyGPT, rotary, untied

CONFIG = {"dim": 8, "layers": 2, "heads": 2, "hidden": 12}


def small(**config):
    torch.manual_seed(0)
    model = TinyGPT(**{**CONFIG, **config}).double()
    with torch.no_grad():
        for p in model.parameters():  # gains away from 1, weights that do something
            p.add_(0.3 * torch.randn_like(p))
    return model.eval()


def text(*shape, seed=0):
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def by_loops(model, tokens):
    """The whole network for one row of bytes, position by position, head by head."""
    w = {name: p.detach().numpy() for name, p in model.named_parameters(remove_duplicate=False)}
    heads, kv_heads = model.config["heads"], model.config["kv_heads"]
    size = model.config["dim"] // heads

    def norm(x, gain):
        return x / math.sqrt((x**2).mean() + 1e-6) * gain

    def turned(v, position):
        out = np.empty_like(v)
        for i in range(size // 2):
            turn = complex(v[i], v[i + size // 2]) * np.exp(1j * position * 10_000 ** (-i / (size // 2)))
            out[i], out[i + size // 2] = turn.real, turn.imag
        return out

    stream = [w["embed.weight"][t].copy() for t in tokens]
    for i in range(model.config["layers"]):
        at = f"layers.{i}."
        h = [norm(x, w[at + "attention_norm.weight"]) for x in stream]
        q, k, v = ([w[f"{at}attention.{n}_proj.weight"] @ x for x in h] for n in "qkv")
        mixed = [np.zeros(heads * size) for _ in stream]
        for head in range(heads):
            mine, theirs = (slice(n * size, (n + 1) * size) for n in (head, head * kv_heads // heads))
            for t in range(len(stream)):
                scores = [
                    turned(q[t][mine], t) @ turned(k[s][theirs], s) / math.sqrt(size) for s in range(t + 1)
                ]
                chances = np.exp(scores) / np.exp(scores).sum()
                mixed[t][mine] = sum(c * v[s][theirs] for s, c in enumerate(chances))
        stream = [x + w[at + "attention.o_proj.weight"] @ y for x, y in zip(stream, mixed, strict=True)]
        for t, x in enumerate(stream):
            g = norm(x, w[at + "mlp_norm.weight"])
            gate, up = (w[f"{at}mlp.{n}_proj.weight"] @ g for n in ("gate", "up"))
            stream[t] = x + w[at + "mlp.down_proj.weight"] @ (gate / (1 + np.exp(-gate)) * up)
    return np.array([w["head.weight"] @ norm(x, w["norm.weight"]) for x in stream])


@pytest.mark.parametrize(
    "config", [{}, {"kv_heads": 1}, {"heads": 4, "kv_heads": 2}, {"tied": False}], ids=str
)
def test_the_network_is_its_loops(config):
    model, tokens = small(**config), text(2, 7)
    with torch.no_grad():
        found = model(tokens)
    for row, wanted in zip(found, tokens.tolist(), strict=True):
        np.testing.assert_allclose(row.numpy(), by_loops(model, wanted), rtol=1e-9, atol=1e-9)


def test_no_byte_sees_a_later_one():
    model, tokens = small(), text(1, 9)
    changed = tokens.clone()
    changed[0, 5] ^= 1
    with torch.no_grad():
        a, b = model(tokens), model(changed)
    assert torch.equal(a[:, :5], b[:, :5])
    assert not torch.equal(a[:, 5], b[:, 5])


def test_turns_keep_lengths_and_see_only_distances():
    q, k = torch.randn(2, 1, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    scores = [(rotary(q, start=m) * rotary(k, start=n)).sum() for m, n in ((3, 1), (103, 101), (2, 0))]
    assert torch.allclose(torch.stack(scores), scores[0].expand(3))
    assert torch.allclose(rotary(q, start=50).norm(), q.norm())
    assert torch.equal(rotary(q), q)
    both = torch.cat([q, q])
    assert torch.equal(rotary(both, start=7)[1:], rotary(q, start=8))


def test_shared_keys_are_copies_of_them():
    shared, whole = small(kv_heads=1), small()
    with torch.no_grad():
        for name, p in whole.named_parameters():
            theirs = shared.get_parameter(name)
            p.copy_(theirs.repeat(2, 1) if theirs.shape != p.shape else theirs)
        tokens = text(2, 6)
        assert torch.allclose(shared(tokens), whole(tokens))


def test_tied_and_untied():
    model = small()
    apart = untied(model)
    assert model.head.weight is model.embed.weight
    assert apart.head.weight is not apart.embed.weight
    assert zoo.architecture(apart) == ("tinygpt", {**CONFIG, "kv_heads": 2, "tied": False})
    with torch.no_grad():
        assert torch.equal(model(text(1, 5)), apart(text(1, 5)))
        apart.head.weight.zero_()
    assert bool((model.head.weight != 0).any())


@pytest.mark.parametrize("tied", [True, False])
def test_a_file_opens_by_name(tmp_path, tied):
    model = small(tied=tied).float()
    save(model, tmp_path / "gpt.safetensors")
    again = load(tmp_path / "gpt.safetensors")
    assert (again.head.weight is again.embed.weight) == tied
    with torch.no_grad():
        assert torch.equal(again(text(2, 6)), model(text(2, 6)))


def test_a_new_network_knows_nothing():
    torch.manual_seed(0)
    logits = zoo.build("tinygpt")(text(2, 100))
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), text(200, seed=1).long())
    assert 5.4 < float(loss) < 5.8  # ln 256 is 5.55


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"dim": 0}, "dim is 0"),
        ({"dim": 6, "heads": 2}, r"dim, heads, kv_heads is \(6, 2, 2\)"),
        ({"dim": 12, "heads": 3, "kv_heads": 2}, r"dim, heads, kv_heads is \(12, 3, 2\)"),
        ({"kv_heads": 5}, "kv_heads is 5; allowed: an integer from 1 to 4"),
        ({"layers": 2.0}, "layers is 2.0"),
        ({"hidden": 10**9}, "hidden is 1000000000"),
        ({"tied": 1}, "tied is 1; allowed: True or False"),
    ],
)
def test_bad_sizes(config, said):
    with pytest.raises(ValueError, match=said):
        TinyGPT(**config)
