"""MiniLM on its real weights and words, against transformers and tokenizers. `make llm` runs this."""

import unicodedata

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import BertModel

from mcomp.transformers.encoder import PAD, load_minilm, minilm_folder
from mcomp.transformers.wordpiece import WordPiece

SENTENCES = (
    "Return the number of bytes that are free.", "Is the file closed?", "", "   \t\n", "...!?", "word " * 300,
    "Don't panic: 模型压缩 à la carte!", "naïve café, Größe, ﬁne, İstanbul, ΟΔΟΣ", "x" * 100, "y" * 101,
    "zero\u200bwidth soft\u00adhyphen e\u0301 nul\x00 bell\x07 nbsp\u00a0em\u2003space \ufffd",
    "한국어 日本語 ไทย हिन्दी", "a\u2028b\u0085c",
    "$1,000.50 + 3^2 ~ `code` <tag> [SEP] [MASK]s", "🙂 emoji 👩‍👩‍👧 ① ½ Ⅷ", "𠀀𪛔 CJK beyond the plane",
)  # fmt: skip


@pytest.fixture(scope="module")
def pieces():
    return WordPiece.read(minilm_folder() / "vocab.txt")


@pytest.fixture(scope="module")
def theirs():
    tokenizer = Tokenizer.from_file(str(minilm_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    tokenizer.encode_special_tokens = True  # "[SEP]" in a text is text
    return tokenizer


@pytest.fixture(scope="module")
def both():
    return load_minilm(), BertModel.from_pretrained(minilm_folder(), attn_implementation="eager").eval()


@pytest.mark.parametrize("text", SENTENCES)
def test_the_ids_are_those_of_tokenizers(pieces, theirs, text):
    assert pieces.pieces(text) == theirs.encode(text).ids


def agreed(c):
    """Each has tables of Unicode: of what came after 3.2, and of four characters, they may differ."""
    return unicodedata.ucd_3_2_0.category(c) not in ("Cn", "Cs") and c not in "\u166d\u1734\u1885\u1886"


def test_so_they_are_for_any_text(pieces, theirs):
    @settings(derandomize=True, deadline=None, max_examples=300)
    @given(text=st.text(st.characters().filter(agreed), max_size=60))
    def alike(text):
        assert pieces.pieces(text) == theirs.encode(text).ids

    alike()


def test_the_states_are_those_of_transformers(pieces, both):
    mine, other = both
    ids = pieces.batch([text for text in SENTENCES if text.strip()])
    seen = ids != PAD
    with torch.no_grad():
        wanted = other(input_ids=ids, attention_mask=seen.long()).last_hidden_state
        found = mine.states(ids)
    # float32, six layers: sums in another order. The largest state is about 6
    assert (found - wanted)[seen].abs().max() < 1e-5
    mean = (wanted * seen[..., None]).sum(1) / seen.sum(1)[:, None]
    with torch.no_grad():
        torch.testing.assert_close(mine(ids), mean / mean.norm(dim=1, keepdim=True), rtol=0, atol=1e-5)


def test_like_sentences_are_near(pieces, both):
    texts = ["Return the number of bytes.", "How many bytes there are.", "The cat sleeps on the sofa."]
    with torch.no_grad():
        a, b, c = both[0](pieces.batch(texts))
    assert a @ b > a @ c + 0.3
