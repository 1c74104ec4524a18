"""Does a teacher repair what compression broke? LeNet-300-100, pruned or on two bits, on six seeds.

    python experiments/12_repair.py      (about twelve minutes on one core)

Three networks a seed: uncompressed (the control), 95 % pruned with 16 shared values, and two bits a weight
with a scale for each row. Each is trained on for three epochs, on all images, in three ways: from the labels,
from its own original, and from a ResNet, a teacher always at T = 1 and without labels. One way is missing:
the uncompressed network is its own original, so its loss is zero from the start, with nothing to learn and no
best rate. Every arm has its learning rate tuned on validation images, seeds 0 and 1, the arms of a network on
one grid. The test images are looked at once, and what is tested is the network that the file holds.
"""

import copy
import functools
import tempfile
from pathlib import Path

import torch
from common import network, tune, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import distill, load, save, train, zoo
from mcomp.codecs import Codebook, Sparse, Uniform, attach
from mcomp.measure import float32_bytes

SEEDS, TUNING, EPOCHS, RATES = (0, 1, 2, 3, 4, 5), (0, 1), 3, (0.0005, 0.0015, 0.0045)
NETWORKS = {
    "float32": None,
    "95 % pruned, 16 values": Sparse(0.95) | Codebook(16),
    "2 bits, a scale a row": Uniform(2, axis=0),
}
LABELS, ITSELF, RESNET = WAYS = ("labels", "its original", "the ResNet")


def compressed(original, codec):
    """A copy of the network, its weights projected anew at each step of a training."""
    model = copy.deepcopy(original)
    if codec is not None:
        attach(model, {"*.weight": codec}, refresh="step")
    return model


def figures(model, codec, data):
    """Bytes of the file, and what the network in it reaches."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        nbytes = save(model, path)
        opened = load(path)
    return {
        "bytes": float32_bytes(opened) if codec is None else nbytes,
        "accuracy": train.evaluate(opened, data.test),
        "validation": train.evaluate(opened, data.validation),
    }


def compare(codec, originals, answers, data, bar):
    """`common.tune` of the ways to repair, and by way its figures, one a seed.

    `answers` are the teacher's logits by way and seed; without them the labels teach.
    """

    @functools.cache
    def repaired(way, lr, seed):
        model, logits = compressed(originals[seed], codec), answers.get((way, seed))
        loss = train.cross_entropy if logits is None else distill.teaching(logits, data)
        train.fit(model, data, epochs=EPOCHS, lr=lr, loss=loss, seed=1000 + seed, progress=False)
        bar.update()
        return figures(model, codec, data)

    def score(way, lr):
        return sum(repaired(way, lr, seed)["validation"] for seed in TUNING) / len(TUNING)

    tuned = tune([way for way in WAYS if codec is not None or way != ITSELF], RATES, score)
    print(tuned, flush=True)
    return tuned, {way: [repaired(way, lr, seed) for seed in SEEDS] for way, lr in tuned["chosen"].items()}


def main():
    """Tune and train the ways of each network, and write the figures."""
    torch.set_num_threads(1)
    data, tuned, methods, before = mcomp.data.load("fashion-mnist"), {}, {}, {}
    originals = {seed: network("lenet300", seed, data) for seed in SEEDS}
    resnet = train.predict(zoo.load("resnet", 0), data.train[0])
    answers = {(RESNET, seed): resnet for seed in SEEDS}
    answers |= {(ITSELF, seed): train.predict(model, data.train[0]) for seed, model in originals.items()}
    with tqdm(unit="run") as bar:
        for name, codec in NETWORKS.items():
            tuned[name], found = compare(codec, originals, answers, data, bar)
            methods |= {f"{name}, from {way}": rows for way, rows in found.items()}
            before[name] = [figures(compressed(originals[s], codec), codec, data)["accuracy"] for s in SEEDS]
    methods = {name: {key: [row[key] for row in rows] for key in rows[0]} for name, rows in methods.items()}
    write(
        __file__, question="Does a teacher repair what compression broke?", network="lenet300",
        methods=methods, before=before, seeds=SEEDS, tuning=TUNING, epochs=EPOCHS, tuned=tuned,
    )  # fmt: skip


if __name__ == "__main__":
    main()
