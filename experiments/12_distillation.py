"""What is a teacher worth? A network of 12,840 parameters, from labels alone and from a ResNet.

    python experiments/12_distillation.py      (about four minutes on one core)

Both ways get the same: all 55,000 images, six epochs, no augmentation, the same initial weights and order of
images for a seed, and as many trials on two seeds of their own: a grid of learning rates, and two settings
each, plain or smoothed labels, T = 1 or T = 2. Validation images choose; then come six other seeds, and the
test images are looked at once.
"""

import copy
import tempfile
from pathlib import Path

import taught
import torch
from common import RESULTS, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import distill, save, train, zoo
from mcomp.codecs import Uniform, attach
from mcomp.measure import count_parameters, float32_bytes, macs_by_layer

EPOCHS, LABELS, TAUGHT = 6, "from labels", "from the ResNet"


def eight_bits(model, path):
    """Bytes of the file with 8-bit weights, and the network that it holds; nothing is retrained."""
    small = copy.deepcopy(model)
    attach(small, {"*.weight": Uniform(8, axis=0)})
    return save(small, path), mcomp.load(path)


def preferred(methods, way):
    """Of the two settings of a way the one that validation images prefer, on the mean of the seeds."""
    return max(
        (arm for arm in methods if arm.startswith(way)), key=lambda arm: sum(methods[arm]["validation"])
    )


def figures(models, data):
    """Bytes and accuracies of a list of networks, as they are and with 8-bit weights."""
    found = {key: [] for key in ("bytes", "accuracy", "validation", "training", "bytes_8", "accuracy_8")}
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            found["bytes"].append(save(model, Path(folder, "model.safetensors")))
            nbytes, opened = eight_bits(model, Path(folder, "small.safetensors"))
        found["bytes_8"].append(nbytes)
        found["accuracy_8"].append(train.evaluate(opened, data.test))
        for key, pair in (("accuracy", data.test), ("validation", data.validation), ("training", data.train)):
            found[key].append(train.evaluate(model, pair))
    return found


def main(data, seeds=taught.SEEDS):
    torch.set_num_threads(1)
    teacher, image = zoo.load("resnet", 0), data.test[0][:1]
    logits = train.predict(teacher, data.train[0])
    losses = {
        LABELS: taught.labels,
        f"{LABELS}, smoothed": taught.smoothed,
        f"{TAUGHT}, T = 1": distill.teaching(logits, data),
        f"{TAUGHT}, T = 2": distill.teaching(logits, data, T=2.0),
    }

    def trained(arms, seed, lr):
        return taught.together({arm: losses[arm] for arm in arms}, data, seed, lr=lr, epochs=EPOCHS)

    with tqdm(unit="run") as bar:
        tuned, models = taught.compare(list(losses), trained, data, bar, seeds=seeds)
    methods = {arm: figures(made, data) for arm, made in models.items()}
    chosen = {way: preferred(methods, way) for way in (LABELS, TAUGHT)}
    for way, name in ((LABELS, "labels"), (TAUGHT, "taught")):
        eight_bits(models[chosen[way]][0], RESULTS / f"12_student-{name}.safetensors")
    costs = {
        name: {"parameters": count_parameters(m), "macs": sum(macs_by_layer(m, image).values())}
        for name, m in (("teacher", teacher), ("student", models[LABELS][0]))
    }
    write(
        __file__,
        question="What is a teacher worth to a network of 12,840 parameters?",
        network="student",
        methods=methods,
        chosen=chosen,
        teacher={
            "bytes": float32_bytes(teacher),
            "accuracy": train.evaluate(teacher, data.test),
            "training": float((logits.argmax(1) == data.train[1]).float().mean()),
        },
        seeds=seeds,
        tuned=tuned,
        student=taught.STUDENT,
        epochs=EPOCHS,
        costs=costs,
    )


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist"))
