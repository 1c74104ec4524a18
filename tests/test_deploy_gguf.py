"""GGUF: the bytes of ggml's own package, llama's rotary positions by hand, files that lie are refused."""

import struct
import sys

import gguf
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import mcomp
from mcomp import cli, deploy
from mcomp.codecs import Uniform, attach
from mcomp.deploy.gguf import export, from_q4_0, from_q8_0, loaded, q4_0, q8_0, read, run
from mcomp.deploy.gguf_file import KINDS, parsed, written
from mcomp.gpt import TinyGPT

quick = settings(derandomize=True, deadline=None, max_examples=30)
TYPES = {kind: gguf.GGMLQuantizationType(number) for kind, (number, _, _) in KINDS.items()}
MAKE = {"q8_0": (q8_0, from_q8_0), "q4_0": (q4_0, from_q4_0)}
BITS = {"f32": 32, "f16": 16, "q8_0": 8.5, "q4_0": 4.5}


def small(**config):
    torch.manual_seed(0)
    model = TinyGPT(**({"dim": 64, "layers": 2, "heads": 4, "hidden": 96, "kv_heads": 2} | config))
    with torch.no_grad():
        for p in model.parameters():  # gains away from 1, attention that looks somewhere
            p.add_(0.1 * torch.randn_like(p))
    return model.eval()


def text(*shape):
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(1))


def adversarial():
    """Rows of one block each: what a rounding can get wrong."""
    rng = np.random.default_rng(0)
    rows = [np.zeros(32), np.full(32, -1.0), np.arange(32) - 15.5, np.where(np.arange(32) % 2, 1.0, -1.0)]
    rows += [
        np.r_[127.0, np.arange(31) - 15.5],
        np.r_[-127.0, np.arange(31) + 0.5],
        np.r_[8.0, -8.0, [0.5] * 30],
    ]
    rows += [np.r_[-8.0, np.arange(31) - 15.5], np.r_[np.zeros(31), -3.0], np.r_[np.zeros(31), 1e-7]]
    near = np.nextafter(np.float32(0.5), np.float32(0))  # plus a half it is 1 in float32
    rows += [np.r_[127.0, near, -near, np.zeros(29)], np.r_[-8.0, near, -near, np.zeros(29)]]
    sizes = (
        1e-9,
        3e-8,
        6e-8,
        1e-6,
        1e-5,
        1e-4,
        1.0,
        1e4,
        5e5,
    )  # float16: 6e-8 the least, below 6e-5 subnormal
    rows += [size * rng.normal(size=32) for size in sizes for _ in range(20)]
    return np.array(rows, np.float32)


@pytest.mark.parametrize("kind", MAKE)
def test_the_bytes_are_those_of_ggml_s_package(kind):
    make, back = MAKE[kind]
    w = adversarial()
    if kind == "q4_0":
        w = w[np.abs(w).max(1) < 65504 * 8]
    data = make(w)
    assert np.array_equal(data, gguf.quants.quantize(w, TYPES[kind]))
    assert np.array_equal(back(data), gguf.quants.dequantize(data, TYPES[kind]))
    assert data.shape[1] * 8 == BITS[kind] * 32


@pytest.mark.parametrize("kind", MAKE)
@quick
@given(seed=st.integers(0, 10**6), size=st.sampled_from([1e-6, 0.02, 1.0, 300.0]), rows=st.integers(1, 4))
def test_random_weights_byte_for_byte_and_within_a_step(kind, seed, size, rows):
    make, back = MAKE[kind]
    rng = np.random.default_rng(seed)
    w = (size * rng.standard_t(3, size=(2, rows, 64))).astype(np.float32)
    data, y = make(w), back(make(w))
    assert np.array_equal(
        data.reshape(2 * rows, -1), gguf.quants.quantize(w.reshape(2 * rows, 64), TYPES[kind])
    )
    peak = np.abs(w.reshape(-1, 32)).max(1, keepdims=True)
    step = peak / (127 if kind == "q8_0" else 8)
    # half a step; a whole one for what lies opposite to the largest in Q4_0; the scale's own rounding
    allowed = step * (0.5 if kind == "q8_0" else 1.0) + peak * 2**-11 + 127 * 2**-25
    assert (np.abs(y - w).reshape(-1, 32) <= 1.0001 * allowed).all()


@pytest.mark.parametrize("kind", MAKE)
def test_a_block_too_small_for_a_scale_becomes_zeros(kind):
    make, back = MAKE[kind]
    w = np.full((3, 32), 1e-44, np.float32)  # 1 / d is infinite in float32
    w[1, ::2] = 0
    assert (back(make(w)) == 0).all()


def test_tensors_of_other_dtypes_and_strides():
    w = torch.randn(4, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = q8_0(w.float().numpy())
    assert np.array_equal(q8_0(w), expected)
    assert np.array_equal(q8_0(w.T.contiguous().T), expected)
    assert np.array_equal(from_q4_0(q4_0(w.bfloat16())), from_q4_0(q4_0(w.bfloat16().float())))


BAD = [np.zeros(31), np.zeros((2, 33)), np.array([]), np.full(32, np.nan), np.zeros(32, int), np.float32(1)]


@pytest.mark.parametrize("w", [*BAD, np.full(32, 1e30)], ids=lambda w: f"{w.dtype}{w.shape}")
def test_bad_blocks(w):
    for make, back in MAKE.values():
        for refuses, x in ((make, w), (back, np.zeros(31, np.uint8)), (back, np.zeros(34 * 18))):
            with pytest.raises(ValueError, match=r"allowed|is empty"):
                refuses(x)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tied", [True, False])
def test_ggml_s_reader_finds_the_same(kind, tied, tmp_path):
    model = small(tied=tied)
    path = export(model, tmp_path / "net.gguf", kind=kind)
    theirs, ours = gguf.GGUFReader(path), read(path)
    assert [t.name for t in theirs.tensors] == [*ours]
    assert ("output.weight" in ours) is not tied
    for t in theirs.tensors:
        assert t.tensor_type == (TYPES["f32"] if "norm" in t.name else TYPES[kind])
        assert t.data_offset % 32 == 0
        values = gguf.quants.dequantize(t.data, t.tensor_type).reshape(ours[t.name].shape)
        assert np.array_equal(values, ours[t.name])
    said = {name: field.contents() for name, field in theirs.fields.items()}
    assert said["llama.rope.dimension_count"] == 16
    assert said["tokenizer.ggml.merges"] == []
    names = [name for name in said if not name.startswith("GGUF.")]
    assert [said[name] for name in names] == [*parsed(path.read_bytes())[0].values()]
    counted = sum(p.numel() for p in model.parameters() if p.ndim == 2) * BITS[kind] / 8
    assert counted < path.stat().st_size < counted + 10_000  # the names of 256 tokens take 4,000


def test_the_names_are_those_that_ggml_knows(tmp_path):
    known = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    names = read(export(small(tied=False), tmp_path / "net.gguf"))
    assert {name.removesuffix(".weight") for name in names} <= set(known.mapping)
    groups = [vars(getattr(gguf.Keys, name)) for name in ("General", "LLM", "Attention", "Rope", "Tokenizer")]
    keys = {value for group in groups for value in group.values() if isinstance(value, str)}
    told = parsed((tmp_path / "net.gguf").read_bytes())[0]
    assert {key.replace("llama.", "{arch}.") for key in told} <= keys


def test_the_tokens_are_the_bytes():
    from mcomp.deploy.gguf_llama import byte_names

    names = byte_names()
    assert len(set(names)) == 256
    assert "".join(names[b] for b in b"a \n") == "aĠĊ"  # as GPT-2's vocabulary has them


def by_llama(tensors, tokens, *, heads, kv_heads):
    """llama's network in float64, from the names of the file: pairs (2i, 2i + 1) are turned."""
    w = {name.removesuffix(".weight"): torch.from_numpy(x).double() for name, x in tensors.items()}
    n = len(tokens)

    def norm(x, gain):
        return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * gain

    def turned(x):  # (positions, heads, size)
        pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
        angle = torch.arange(n)[:, None] * 10_000.0 ** (
            -torch.arange(pairs.shape[-1]).double() / pairs.shape[-1]
        )
        return torch.view_as_real(pairs * torch.exp(1j * angle)[:, None]).flatten(-2)

    x = w["token_embd"][tokens]
    for i in range(sum(name.endswith("attn_q") for name in w)):
        at = f"blk.{i}."
        h = norm(x, w[at + "attn_norm"])
        q, k, v = (h @ w[f"{at}attn_{c}"].T for c in "qkv")
        q, k, v = q.unflatten(1, (heads, -1)), k.unflatten(1, (kv_heads, -1)), v.unflatten(1, (kv_heads, -1))
        k, v = (z.repeat_interleave(heads // kv_heads, 1) for z in (turned(k), v))
        scores = torch.einsum("ihd,jhd->hij", turned(q), k) / q.shape[-1] ** 0.5
        scores = scores.masked_fill(torch.ones(n, n).triu(1).bool(), -torch.inf)
        x = x + torch.einsum("hij,jhd->ihd", scores.softmax(-1), v).flatten(1) @ w[at + "attn_output"].T
        h = norm(x, w[at + "ffn_norm"])
        x = (
            x
            + (nn.functional.silu(h @ w[at + "ffn_gate"].T) * (h @ w[at + "ffn_up"].T)) @ w[at + "ffn_down"].T
        )
    return norm(x, w["output_norm"]) @ w.get("output", w["token_embd"]).T


@pytest.mark.parametrize("config", [{}, {"kv_heads": 4, "tied": False}, {"heads": 2, "kv_heads": 1}])
def test_llama_s_interleaved_rotary_computes_our_function(config, tmp_path):
    model, tokens = small(**config), text(1, 20)
    path = export(model, tmp_path / "net.gguf", kind="f32")
    sizes = {name: model.config[name] for name in ("heads", "kv_heads")}
    with torch.no_grad():
        expected = model.double()(tokens)[0]
    found = by_llama(read(path), tokens[0], **sizes)
    assert (found - expected).abs().max() < 1e-9 * expected.abs().max()
    swapped = read(path) | {"blk.0.attn_q.weight": read(path)["blk.0.attn_k.weight"].repeat(
        sizes["heads"] // sizes["kv_heads"], 0)}  # fmt: skip
    assert (by_llama(swapped, tokens[0], **sizes) - expected).abs().max() > 1e-3  # attention matters here


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_opens_as_a_network(kind, tmp_path):
    model, tokens = small(), text(3, 20)
    path = export(model, tmp_path / "net.gguf", kind=kind)
    again = loaded(path)
    assert again.config == model.config
    assert again.head.weight is again.embed.weight
    make, back = MAKE.get(kind, (lambda w: w, lambda w: w))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim == 2:
                p.copy_(torch.as_tensor(back(make(p.half().float() if kind == "f16" else p))))
            assert torch.equal(again.get_parameter(name), p), name
        assert torch.equal(run(path, tokens), model(tokens))


def test_a_weight_with_a_codec_is_written_as_it_is_read(tmp_path):
    model = small()
    attach(model, {"layers.*.mlp.*.weight": Uniform(3, axis=0)})
    path = export(model, tmp_path / "net.gguf", kind="f32")
    assert np.array_equal(
        read(path)["blk.1.ffn_up.weight"], model.layers[1].mlp.up_proj.weight.detach().numpy()
    )


def no_bias(model):
    model.layers[1].mlp.up_proj.bias = nn.Parameter(torch.zeros(96))


def other_class(model):
    model.layers[0].attention.o_proj = nn.Sequential(nn.Linear(64, 4), nn.Linear(4, 64))


def fewer(model):
    model.layers[0].mlp.down_proj = nn.Linear(32, 64, bias=False)


def hooked(model):
    model.layers[1].attention.v_proj.register_forward_hook(lambda module, x, y: 2 * y)


def other_eps(model):
    model.norm.eps = 1e-5


def not_a_number(model):
    model.embed.weight.data[3, 4] = torch.nan


def too_large(model):
    model.layers[1].mlp.gate_proj.weight.data[3, 4] = 1e7


CHANGES = {no_bias: "layers.1.mlp.up_proj", other_class: "layers.0.attention.o_proj", other_eps: "norm",
           fewer: "layers.0.mlp.down_proj", hooked: "layers.1.attention.v_proj", not_a_number: "embed",
           too_large: "layers.1.mlp.gate_proj"}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_layer_that_llama_has_not_is_named(change, tmp_path):
    for kind in ("f16", "q8_0", "q4_0"):
        model = small()
        change(model)
        with pytest.raises(ValueError, match=f"^layer {CHANGES[change]}: .*"):
            export(model, tmp_path / "net.gguf", kind=kind)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("config", "name"),
    [({"hidden": 80}, "layers.0.mlp.down_proj"), ({"dim": 48}, "embed")],
)
def test_a_width_that_32_does_not_divide(config, name, tmp_path):
    model = small(**config)
    for kind in MAKE:
        with pytest.raises(ValueError, match=f"^layer {name}: .*32 divides"):
            export(model, tmp_path / "net.gguf", kind=kind)
    assert export(model, tmp_path / "net.gguf", kind="f16").exists()


@pytest.mark.parametrize(
    "change", [{"kind": "q5_0"}, {"path": "net.onnx"}, {"model": nn.Linear(32, 32)}, {"calibration": 1}]
)
def test_bad_arguments(change, tmp_path):
    options = {"model": small(), "path": "net.gguf", "kind": "q8_0"} | change
    with pytest.raises(ValueError, match="allowed: "):
        export(options.pop("model"), tmp_path / options.pop("path"), **options)


def test_values_that_no_file_holds():
    for value in (-1, 2**32, [1, "a"], [[1]], 1.5j):
        with pytest.raises(ValueError, match=r"^a\.b is .*allowed"):
            b"".join(written({"a.b": value}, {}))
    with pytest.raises(ValueError, match="a row of w"):
        b"".join(written({}, {"w": ("q8_0", np.zeros((2, 33), np.uint8))}))


def test_a_file_of_ggml_s_writer_with_values_of_every_type(tmp_path):
    path = tmp_path / "theirs.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    values = {"uint8": 3, "int8": -3, "uint16": 9, "int16": -9, "uint32": 7, "int32": -7, "uint64": 2**40}
    values |= {
        "int64": -(2**40),
        "float32": 0.5,
        "float64": 0.1,
        "bool": True,
        "string": "é",
        "array": [1, 2],
    }
    for name, value in values.items():
        getattr(writer, f"add_{name}")(f"a.{name}", value)
    w = np.arange(6, dtype=np.float16).reshape(2, 3)
    writer.add_tensor("w", w)
    writer.add_tensor("v", q4_0(adversarial()[:8]), raw_dtype=TYPES["q4_0"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    told, _ = parsed(path.read_bytes())
    assert {name: told[f"a.{name}"] for name in values} == values
    found = read(path)
    assert np.array_equal(found["w"], w.astype(np.float32))
    assert np.array_equal(found["v"], from_q4_0(q4_0(adversarial()[:8])))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A small file, its bytes, and where its tensors begin."""
    model = small(dim=32, layers=1, heads=1, hidden=32, kv_heads=1)
    path = export(model, tmp_path_factory.mktemp("gguf") / "net.gguf", kind="q4_0")
    return path.read_bytes(), gguf.GGUFReader(path).data_offset


def refused(folder, data):
    path = folder / "bad.gguf"
    path.write_bytes(data)
    try:
        assert all(np.isfinite(w).all() for w in read(path).values())
        loaded(path)
    except ValueError:
        return True
    return False


def test_every_truncation_is_refused(file, tmp_path):
    data, start = file
    cuts = {*range(0, start, 97), *range(start, len(data) - 32, 501), *range(64), len(data) - 32}
    assert all(refused(tmp_path, data[:cut]) for cut in cuts)
    assert refused(tmp_path, data + bytes(32))


def test_flipped_bytes_are_refused_or_read(file, tmp_path):
    data, start = file
    rng, count = np.random.default_rng(0), 0
    words = data.index(b"tokenizer.ggml.tokens") + 40, data.index(b"tokenizer.ggml.merges")
    places = [*range(words[0]), *range(words[1], start)]  # of the head, without the tokens
    for place in [*places[::4], *rng.integers(start, len(data), 60)]:
        bad = bytearray(data)
        bad[place] ^= 1 << rng.integers(8) if rng.random() < 0.5 else rng.integers(1, 256)
        count += refused(tmp_path, bytes(bad))
    assert count > 0.1 * len(places)


def lies():
    """A file's start with one claim that is too large, each with what is said about it."""
    key = struct.pack("<Q", 1) + b"k"
    info = struct.pack("<Q", 1) + b"w"

    def tensor(axes=1, sizes=(8,), kind=0, place=0, copies=1, data=bytes(32)):
        one = info + struct.pack(f"<I{len(sizes)}QIQ", axes, *sizes, kind, place)
        head = b"GGUF" + struct.pack("<IQQ", 3, copies, 0) + one * copies
        return head + bytes(-len(head) % 32) + data

    def value(*parts):
        return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + key + b"".join(parts)

    many = 2**62
    return {
        "it begins with": b"GGUE" + bytes(60),
        "the version is 2": b"GGUF" + struct.pack("<IQQ", 2, 0, 0),
        "tensor 0": b"GGUF" + struct.pack("<IQQ", 3, many, 0),
        "key 0": b"GGUF" + struct.pack("<IQQ", 3, 0, many),
        "key 0 of the metadata: .* bytes wanted": value(struct.pack("<IQ", 8, many)),
        "bytes wanted": value(struct.pack("<IIQ", 9, 4, many)),
        "key 0 of the metadata: 8 bytes wanted": value(struct.pack("<IIQ", 9, 8, many)),
        "its type is 13": value(struct.pack("<I", 13)),
        "the type of an array's values is 9": value(struct.pack("<IIQ", 9, 9, 1)),
        "utf-8": value(struct.pack("<IQ", 8, 1), b"\xff"),
        "general.alignment is 64": b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 17) + b"general.alignment"
        + struct.pack("<II", 4, 64),
        "the number of its axes is 9": tensor(axes=9),
        "its sizes is": tensor(sizes=(0,)),
        "w: .* bytes wanted": tensor(axes=4, sizes=(2**60,) * 4),
        "its type is 3": tensor(kind=3),
        "a multiple of 32": tensor(kind=8),
        "its place is 64": tensor(place=64),
        "tensor 1: its name": tensor(copies=2),
        "the end": tensor(data=bytes(65)),
        "NaN": tensor(data=struct.pack("<f", float("nan")) * 8),
    }  # fmt: skip


@pytest.mark.parametrize("told", lies())
def test_a_lie_is_named(told, tmp_path):
    (tmp_path / "bad.gguf").write_bytes(lies()[told])
    with pytest.raises(ValueError, match=told):
        read(tmp_path / "bad.gguf")


def other(metadata=None, tensors=None, without=()):
    """The bytes of a file with some keys and tensors changed."""

    def change(data):
        told, held = parsed(data)
        held = {name: x for name, x in (held | (tensors or {})).items() if name not in without}
        return b"".join(
            written({k: v for k, v in (told | (metadata or {})).items() if k not in without}, held)
        )

    return change


STRANGE = {
    "general.architecture is 'gpt2'": other({"general.architecture": "gpt2"}),
    "dim is None": other(without=("llama.embedding_length",)),
    "layers is 1000": other({"llama.block_count": 1000}),
    "a tensor of the file is 'blk.1": other({"llama.block_count": 2}),
    "llama.rope.freq_base is": other({"llama.rope.freq_base": 5e5}),
    "layer_norm_rms_epsilon is": other({"llama.attention.layer_norm_rms_epsilon": 1e-5}),
    "llama.rope.dimension_count is": other({"llama.rope.dimension_count": 8}),
    "the shape of blk.0.ffn_gate.weight": other({"llama.feed_forward_length": 16_384}),
    "a tensor of the file is 'rope_freqs": other(
        tensors={"rope_freqs.weight": ("f32", np.zeros(8, np.uint8))}
    ),
    "a tensor of the file is 'output_norm": other(without=("output_norm.weight",)),
}


@pytest.mark.parametrize("told", STRANGE)
def test_another_network_is_not_opened_as_ours(told, file, tmp_path):
    (tmp_path / "other.gguf").write_bytes(STRANGE[told](file[0]))
    with pytest.raises(ValueError, match=told.replace(".", r"\.")):
        loaded(tmp_path / "other.gguf")


@pytest.fixture
def mcomp_says(monkeypatch, capsys):
    def says(*words):
        monkeypatch.setattr(sys, "argv", ["mcomp", *map(str, words)])
        with pytest.raises(SystemExit):
            cli.main()
        return "".join(capsys.readouterr())

    return says


def test_mcomp_export(mcomp_says, tmp_path):
    model = small()
    mcomp.save(model, tmp_path / "net.safetensors")
    for kind, words in (("q8_0", ()), ("q4_0", ("--kind", "q4_0"))):
        out = tmp_path / f"{kind}.gguf"
        said = mcomp_says("export", tmp_path / "net.safetensors", "--to", "gguf", "--out", out, *words)
        assert f"{out.stat().st_size:,} bytes" in said
        assert out.read_bytes() == export(model, tmp_path / "other.gguf", kind=kind).read_bytes()
    tokens = text(1, 9)
    assert torch.equal(deploy.run("gguf", out, tokens), run(out, tokens))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--to", "gguf", "--int8"], "--int8 is '--to gguf'; allowed: --kind q8_0"),
        (["--to", "c", "--kind", "q4_0"], "--kind is '--to c'; allowed: --to gguf"),
    ],
)
def test_mcomp_export_refuses(words, told, mcomp_says):
    assert mcomp_says("export", "tinygpt", *words) == f"mcomp: {told}\n"
