"""A transformer's weights in 8 to 2 bits, or half of them gone: what each method costs in bits per byte.

    python experiments/18_weights.py      (about 15 minutes on two cores)

The three shipped TinyGPT. The matrices of the layers are rounded or pruned; the embedding, which is the head
too, keeps its 16 bits (a rotation needs two of them). What a method looks at is 32 windows of training text,
drawn once a seed; nothing is tuned, so validation isn't needed. Bits per byte are those of the first 4 kB of
each test file, in windows of 256 bytes that move on by 128. Every file is loaded again and must predict the
same.
"""

import json
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from common import by_seed, write
from tqdm.auto import tqdm

import mcomp
from mcomp import zoo
from mcomp.codecs import GroupUniform, NMSparse, NormalFloat, Sparse, Uniform, attach
from mcomp.course import results
from mcomp.data import load_text
from mcomp.data.text import stream
from mcomp.files import write_atomic
from mcomp.gpt import untied
from mcomp.language import CONTEXT, bits_per_byte, bootstrap
from mcomp.prune import nm_mask, topk_mask, wanda
from mcomp.prune.sparsegpt import sparsegpt
from mcomp.ptq import awq, gptq_layers, layer_by_layer, rotate

SEEDS, WINDOWS, STRIDE, PART = (0, 1, 2), 32, 128, 4_096
DOUBLE = NormalFloat() | Uniform(8, group=256, symmetric=False)


def windows(files, n, seed):
    """n windows of CONTEXT bytes, drawn from all files."""
    text, chance = stream(files), torch.Generator().manual_seed(seed)
    return text[torch.randint(len(text) - CONTEXT, (n, 1), generator=chance) + torch.arange(CONTEXT)]


def layers(model):
    """The names of the layers' weight matrices."""
    return [name for name in mcomp.matrices(model) if name.startswith("layers.")]


def coded(model, codec):
    """`model` with `codec` on the layers' matrices, in place."""
    attach(model, dict.fromkeys(layers(model), codec))
    return model


def halved(model):
    """`model` with its float weights rounded to 16 bits, in place."""
    for p in model.parameters():
        p.data.copy_(p.half())
    return model


def rotated(model, x):
    return halved(rotate(untied(model), x))


def rounded(bits):
    """The methods at so many bits, name -> (model, x) -> model with codecs."""
    plain, searched = GroupUniform(bits), GroupUniform(bits, search=True)
    return {
        "nearest, a row": lambda model, x: coded(model, GroupUniform(bits, group=None)),
        "nearest": lambda model, x: coded(model, plain),
        "searched": lambda model, x: coded(model, searched),
        "AWQ": lambda model, x: coded(awq(model, x, codec=plain), plain),
        "GPTQ": lambda model, x: gptq_layers(coded(model, plain), x),
        "rotated": lambda model, x: coded(rotated(model, x), plain),
        "rotated, GPTQ": lambda model, x: gptq_layers(coded(rotated(model, x), plain), x),
    }


def by_layer(score):
    """Keep the better half of the whole matrix."""
    return lambda w, hessian: w * topk_mask(score(w, hessian), w.numel() // 2)


def by_group(score, m=None):
    """Keep the better half of each m inputs of a row; default: of the row."""
    return lambda w, hessian: w * nm_mask(score(w, hessian), (m or w.shape[1]) // 2, m=m or w.shape[1])


def by_size(w, hessian):
    return w.abs()


def by_input(w, hessian):
    return wanda(w, hessian.diagonal().sqrt().to(w))


def pruned(change, codec):
    def method(model, x):
        names = [name.removesuffix(".weight") for name in layers(model)]
        return coded(halved(layer_by_layer(model, x, change, names=names)), codec)

    return method


def methods():
    half, four = Sparse(0.5), NMSparse(2, 4)
    return {
        "as it came": lambda model, x: model,
        "8 bits, nearest": lambda model, x: coded(model, GroupUniform(8)),
        **{f"{bits} bits, {name}": f for bits in (4, 3, 2) for name, f in rounded(bits).items()},
        "3 bits, GPTQ, own order": lambda model, x: gptq_layers(
            coded(model, GroupUniform(3)), x, ordered=False
        ),
        "4 bits, NF4": lambda model, x: coded(model, NormalFloat()),
        "4 bits, NF4, double": lambda model, x: coded(model, DOUBLE),
        "half, magnitude": pruned(by_layer(by_size), half),
        "half, magnitude by row": pruned(by_group(by_size), half),
        "half, Wanda by layer": pruned(by_layer(by_input), half),
        "half, Wanda": pruned(by_group(by_input), half),
        "half, SparseGPT": pruned(lambda w, h: sparsegpt(w, h, sparsity=0.5)[0], half),
        "2:4, magnitude": pruned(by_group(by_size, 4), four),
        "2:4, Wanda": pruned(by_group(by_input, 4), four),
        "2:4, SparseGPT": pruned(lambda w, h: sparsegpt(w, h, pattern=(2, 4))[0], four),
    }


def measured(model, method, x, test):
    """Bits, bytes of the file and CPU seconds of one method on one network."""
    begun = time.process_time()
    model = method(model, x)
    seconds = time.process_time() - begun
    with tempfile.TemporaryDirectory() as folder:
        nbytes = mcomp.save(model, Path(folder, "model"))
        again = mcomp.load(Path(folder, "model"))
    with torch.no_grad():
        assert torch.equal(again(x[:2]), model.eval()(x[:2]))
    return bits_per_byte(again, test, stride=STRIDE), nbytes, seconds


def figures(seed):
    """All methods on the network of one seed; kept in a file, so that a run that was stopped goes on."""
    kept = Path(tempfile.gettempdir(), f"mcomp-18_weights-{results.script_hash(Path(__file__))}-{seed}.json")
    if kept.is_file():
        return json.loads(kept.read_text())
    torch.set_num_threads(1)
    text, found, first = load_text(), {}, None
    test, x = {name: data[:PART] for name, data in text.test.items()}, windows(text.train, WINDOWS, seed)
    for name, method in tqdm(methods().items(), unit="method", desc=f"seed {seed}", position=seed):
        bits, nbytes, seconds = measured(zoo.load("tinygpt", seed), method, x, test)
        first = first or bits  # the network as it came
        found[name] = {
            "bytes": nbytes, "bits_per_byte": bits.per_byte, "above": bits.per_byte - first.per_byte,
            "interval": bootstrap(bits, first), "seconds": seconds,
        }  # fmt: skip
    write_atomic(kept, json.dumps(found).encode())
    return found


def main(seeds=SEEDS):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(figures, seeds))
    if tuple(seeds) != SEEDS:
        return
    model = zoo.build("tinygpt")
    write(
        __file__, question="What do a transformer's weights cost in few bits?", network="tinygpt",
        data="python-source", methods=by_seed(found), seeds=SEEDS, windows=WINDOWS, stride=STRIDE,
        context=CONTEXT, test={name: min(len(data), PART) for name, data in load_text().test.items()},
        weights=sum(p.numel() for p in model.parameters()),
        in_layers=sum(model.get_parameter(name).numel() for name in layers(model)),
    )  # fmt: skip


if __name__ == "__main__":
    main(tuple(map(int, sys.argv[1:])) or SEEDS)
