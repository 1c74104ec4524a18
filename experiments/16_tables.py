"""Networks for Deep Compression's table 2 (Han et al. 2015, arXiv:1510.00149): LeNet-300-100.

    python experiments/16_tables.py            (Fashion-MNIST, two minutes of one core)
    python experiments/16_tables.py mnist      (the paper's data, where it can be loaded)

Each layer keeps the part that the paper keeps, 8, 9 and 26 % of its weights, in two rounds: half of the way,
trained on, all the way, trained on; then 63 shared values a layer, which with the filler make six bits,
trained on. Labels only; one rate for all stages, not searched, since nothing is compared with it. The small
files are kept, those of other data with its name in theirs. Chapter 16 counts what their streams cost.
"""

import sys

import torch
from common import RESULTS, by_seed, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import load, save, zoo
from mcomp.codecs import Codebook, Sparse, attach, bake
from mcomp.measure import float32_bytes
from mcomp.train import evaluate, fit

SEEDS, EPOCHS, LR = (0, 1, 2), 4, 0.001
KEPT, VALUES = {"fc1.weight": 0.08, "fc2.weight": 0.09, "fc3.weight": 0.26}, 63


def compressed(model, data, seed):
    """The network with the paper's parts kept and shared values in each layer; changes `model`."""
    options = {"epochs": EPOCHS, "lr": LR, "seed": seed, "progress": False}
    for part in (0.5, 1.0):
        attach(model, {name: Sparse(1 - kept**part) for name, kept in KEPT.items()}, refresh="never")
        fit(model, data, **options)
        bake(model)
    attach(model, {name: Sparse(1 - kept) | Codebook(VALUES) for name, kept in KEPT.items()}, refresh="step")
    fit(model, data, **options)
    return bake(model)


def judged(model, nbytes, data):
    return {"bytes": nbytes, "accuracy": evaluate(model, data.test)}


def main(name="fashion-mnist"):
    """Three seeds on that data."""
    torch.set_num_threads(1)
    data, ours, found = mcomp.data.load(name), name == "fashion-mnist", []
    for seed in tqdm(SEEDS, unit="seed"):
        model = zoo.load("lenet300", seed) if ours else zoo.train("lenet300", data, seed=seed, progress=False)
        whole = judged(model, float32_bytes(model), data)
        path = RESULTS / f"16_tables{'' if ours else '_' + name}-{seed}.safetensors"
        nbytes = save(compressed(model, data, seed), path)
        found.append({"float32": whole, "as the paper": judged(load(path), nbytes, data)})
        print(found[-1], flush=True)
    if ours:
        question = "How long are the words of Deep Compression's table 2?"
        write(__file__, question=question, network="lenet300", methods=by_seed(found), seeds=SEEDS)


if __name__ == "__main__":
    main(*sys.argv[1:])
