"""Does a teacher repair what compression broke? LeNet-300-100, pruned or on two bits, on six seeds.

    python experiments/12_repair.py      (about four minutes on one core; 12_teachers.py before it)

Everyone knows the same 12,000 labels: the original of each seed (ten epochs), and the ResNet. Three
networks a seed: uncompressed (the control), 95 % pruned with 16 shared values, and two bits a weight with a
scale for each row. Each is trained on for two epochs in three ways: from the labels, from its own original,
and from the ResNet, a teacher always at T = 1 and alone. All nine have their learning rate tuned on one grid,
on validation images and other seeds. The test images are looked at once, and what is tested is the network
that the file holds.
"""

import copy
import tempfile
from pathlib import Path

import taught
import torch
from common import RESULTS, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import distill, load, save, train
from mcomp.codecs import Codebook, Sparse, Uniform, attach
from mcomp.measure import float32_bytes

EPOCHS, RATES, SUBSET = 2, (0.001, 0.002, 0.004), 12_000
ORIGINAL = {"epochs": 10, "lr": 2e-3}
NETWORKS = {
    "float32": None,
    "95 % pruned, 16 values": Sparse(0.95) | Codebook(16),
    "2 bits, a scale a row": Uniform(2, axis=0),
}
LABELS, OWN, RESNET = WAYS = ("labels", "its original", "the ResNet")


def compressed(original, codec):
    model = copy.deepcopy(original)
    if codec is not None:
        attach(model, {"*.weight": codec}, refresh="step")
    return model


def figures(model, data):
    """Bytes of the file, and what the network in it reaches."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        nbytes = save(model, path)
        return nbytes, train.evaluate(load(path), data.test)


def main(data, seeds=taught.SEEDS):
    torch.set_num_threads(1)
    originals, told = {}, {}
    for seed in (*taught.TUNING_SEEDS, *seeds):
        originals[seed] = taught.learn(taught.network("lenet300", seed), data, seed, **ORIGINAL)
        told[seed, OWN] = train.predict(originals[seed], data.train[0])
    resnet = load(RESULTS / "12_resnet-12000.safetensors")
    everyone = train.predict(resnet, data.train[0])
    arms = {f"{kind}, from {way}": (codec, way) for kind, codec in NETWORKS.items() for way in WAYS}

    def trained(arm, seed, lr):
        codec, way = arms[arm]
        loss = taught.labels
        if way != LABELS:
            loss = distill.teaching(everyone if way == RESNET else told[seed, OWN], data)
        return taught.learn(compressed(originals[seed], codec), data, seed, loss=loss, epochs=EPOCHS, lr=lr)

    def each(arms, seed, lr):
        return {arm: trained(arm, seed, lr) for arm in arms}

    with tqdm(unit="run") as bar:
        tuned, models = taught.compare(list(arms), each, data, bar, grid=RATES, seeds=seeds)
    methods = {}
    for arm, made in models.items():
        nbytes, right = zip(*(figures(model, data) for model in made), strict=True)
        codec = arms[arm][0]
        before = [train.evaluate(compressed(originals[seed], codec).eval(), data.test) for seed in seeds]
        size = nbytes if codec is not None else [float32_bytes(model) for model in made]
        methods[arm] = {"bytes": list(size), "accuracy": list(right), "before": before}
    write(
        __file__,
        question="Does a teacher repair what compression broke?",
        network="lenet300",
        methods=methods,
        seeds=seeds,
        epochs=EPOCHS,
        tuned=tuned,
        resnet=train.evaluate(resnet, data.test),
    )


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
