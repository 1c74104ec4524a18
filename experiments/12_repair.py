"""Does a teacher repair what compression broke? LeNet-300-100, pruned or on two bits, on three seeds.

    python experiments/12_repair.py      (about four minutes on one core)

Three networks a seed: uncompressed (the control), 95 % pruned with 16 shared values, and two bits a weight
with a scale for each row. Each is trained on for three epochs in three ways: from the labels, from its own
original, and from a ResNet, a teacher always at T = 1 and without labels. Each way gets two learning rates on
seed 0, of which validation images choose one. The test images are looked at once, and what is tested is the
network that the file holds.
"""

import copy
import tempfile
from pathlib import Path

import torch
from common import write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import distill, load, save, train, zoo
from mcomp.codecs import Codebook, Sparse, Uniform, attach
from mcomp.measure import float32_bytes

SEEDS, EPOCHS, RATES = (0, 1, 2), 3, (0.001, 0.003)
NETWORKS = {
    "float32": None,
    "95 % pruned, 16 values": Sparse(0.95) | Codebook(16),
    "2 bits, a scale a row": Uniform(2, axis=0),
}
WAYS = ("labels", "its original", "the ResNet")


def compressed(original, codec):
    model = copy.deepcopy(original)
    if codec is not None:
        attach(model, {"*.weight": codec}, refresh="step")
    return model


def repair(model, data, seed, *, logits=None, lr):
    options = {"epochs": EPOCHS, "lr": lr, "seed": seed, "progress": False}
    if logits is None:
        train.fit(model, data, **options)
    else:
        distill.fit(model, logits, data, T=1.0, **options)
    return model


def figures(model, original, codec, data):
    """Bytes of the file, and what the network in it reaches."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        nbytes = save(model, path)
        opened = load(path)
    if codec is None:
        nbytes = float32_bytes(original)
    return {"bytes": nbytes, "accuracy": train.evaluate(opened, data.test)}


def best(original, codec, data, seed, bar, *, logits, trials):
    """The network of the trial that validation prefers, and the trial."""
    tried = []
    for trial in trials:
        model = repair(compressed(original, codec), data, seed, logits=logits, **trial)
        tried.append((train.evaluate(model, data.validation), model, trial))
        bar.update()
    return max(tried, key=lambda found: found[0])[1:]


def main():
    torch.set_num_threads(1)
    data, chosen, methods = mcomp.data.load("fashion-mnist"), {}, {}
    resnet = train.predict(zoo.load("resnet", 0), data.train[0])
    with tqdm(total=len(NETWORKS) * len(WAYS) * (len(RATES) + len(SEEDS) - 1), unit="run") as bar:
        for seed in SEEDS:
            original = zoo.load("lenet300", seed)
            teachers = (None, train.predict(original, data.train[0]), resnet)
            for network, codec in NETWORKS.items():
                before = train.evaluate(compressed(original, codec).eval(), data.test)
                for way, logits in zip(WAYS, teachers, strict=True):
                    name = f"{network}, {EPOCHS} epochs from {way}"
                    trials = [chosen[name]] if name in chosen else [{"lr": lr} for lr in RATES]
                    model, chosen[name] = best(original, codec, data, seed, bar, logits=logits, trials=trials)
                    row = {**figures(model, original, codec, data), "before": before}
                    for key, value in row.items():
                        methods.setdefault(name, {}).setdefault(key, []).append(value)
    write(
        __file__,
        question="Does a teacher repair what compression broke?",
        network="lenet300",
        methods=methods,
        seeds=SEEDS,
        epochs=EPOCHS,
        chosen=chosen,
    )


if __name__ == "__main__":
    main()
