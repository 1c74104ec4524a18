"""Deep Compression's table 2 (Han et al. 2015, arXiv:1510.00149) on LeNet-300-100, layer by layer.

    python experiments/16_tables.py            (Fashion-MNIST, two minutes of one core)
    python experiments/16_tables.py mnist      (the paper's data, where it can be loaded: prints, no more)

Each layer keeps the part that the paper keeps, 8, 9 and 26 % of its weights, in two rounds: half of the way,
trained on, all the way, trained on; then 63 shared values a layer, which with the filler make six bits,
trained on. Written as there: the gap to the last kept weight less one in five bits, with a value 0 as a
filler where a gap is longer, and the number of each value. Bits an entry, fillers among the entries, and
bytes by layer: in fixed widths, by Huffman's code with its table, by rANS, and with mcomp's masks. The values
are billed four bytes each. Labels only; one rate for all stages, not searched, since nothing is compared with
it.
"""

import sys

import numpy as np
import torch
from common import write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import zoo
from mcomp.codecs import Codebook, Sparse, attach, bake
from mcomp.coding.gaps import gaps
from mcomp.coding.huffman import code_lengths, huffman_encode
from mcomp.coding.positions import encode_mask
from mcomp.coding.rans import rans_encode
from mcomp.train import evaluate, fit

SEEDS = (0, 1, 2)
KEPT = {"fc1.weight": 0.08, "fc2.weight": 0.09, "fc3.weight": 0.26}
WIDTH, VALUES = 5, 63  # bits of a gap; the number of a value has 6
EPOCHS, LR = 4, 0.001


def compressed(model, data, seed):
    """A copy with the paper's parts kept and 63 shared values in each layer."""
    options = {"epochs": EPOCHS, "lr": LR, "seed": seed, "progress": False}
    for part in (0.5, 1.0):
        sparse = {name: Sparse(1 - kept**part) for name, kept in KEPT.items()}
        attach(model, sparse, refresh="never")
        fit(model, data, **options)
        bake(model)
    attach(model, {name: Sparse(1 - kept) | Codebook(VALUES) for name, kept in KEPT.items()}, refresh="step")
    fit(model, data, **options)
    return bake(model)


def streams(w):
    """Gaps less one and numbers of values (0: a filler) of a layer, and its values."""
    kept, index, number = w[w != 0], [], []
    values = np.unique(kept)
    for gap, at in zip(gaps(w != 0).tolist(), np.searchsorted(values, kept).tolist(), strict=True):
        fillers = (gap - 1) >> WIDTH
        index += [2**WIDTH - 1] * fillers + [(gap - 1) % 2**WIDTH]
        number += [0] * fillers + [at + 1]
    return np.array(index), np.array(number), values


def bits(symbols):
    """Mean length of the Huffman words of these symbols."""
    counts = np.bincount(symbols)
    return float(counts @ code_lengths(counts) / len(symbols))


def layer(w):
    """What the table says of a layer `w`."""
    index, number, values = streams(w)
    book, sent = 4 * len(values), lambda code: len(code(index, 2**WIDTH)) + len(code(number, VALUES + 1))
    return {
        "weights": w.size,
        "kept": int((w != 0).sum()),
        "entries": len(index),
        "index bits": bits(index),
        "value bits": bits(number),
        "fixed": len(index) * (WIDTH + 6) / 8 + book,
        "Huffman": sent(huffman_encode) + book,
        "rANS": sent(rans_encode) + book,
        "contexts": len(encode_mask(w != 0)) + len(rans_encode(number[number > 0] - 1, VALUES)) + book,
    }


def main(name="fashion-mnist"):
    """Measure three seeds on that data set; print, and write what is for the chapter."""
    torch.set_num_threads(1)
    data, ours = mcomp.data.load(name), name == "fashion-mnist"
    whole, small, layers = [], [], []
    for seed in tqdm(SEEDS, unit="seed"):
        model = zoo.load("lenet300", seed) if ours else zoo.train("lenet300", data, seed=seed, progress=False)
        whole.append({"accuracy": evaluate(model, data.test)})
        model = compressed(model, data, seed)
        layers.append({n: layer(model.get_parameter(n).detach().numpy()) for n in KEPT})
        small.append({"accuracy": evaluate(model, data.test)})
        print(seed, whole[-1], small[-1], *layers[-1].items(), sep="\n", flush=True)
    if ours:
        found = {"float32": whole, "deep compression": small}
        methods = {n: {"accuracy": [one["accuracy"] for one in v]} for n, v in found.items()}
        question = "What do Huffman, rANS and contexts bring to Deep Compression's table 2?"
        write(__file__, question=question, network="lenet300", methods=methods, layers=layers)


if __name__ == "__main__":
    main(*sys.argv[1:])
