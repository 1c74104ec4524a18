"""What is a teacher worth? A network of 2,834 parameters, from labels alone and from a ResNet.

    python experiments/12_distillation.py      (about eleven minutes on one core)

Both ways get the same: all 55,000 images, twelve epochs, no augmentation, the same initial weights and order
of images for a seed, and six trials on a seed of their own. From labels: three learning rates, two weight
decays. From the teacher: three temperatures, two parts alpha, at the rate and decay that the labels chose.
Validation images choose; then come five other seeds, and the test images are looked at once.
"""

import copy
import tempfile
from pathlib import Path

import torch
from common import RESULTS, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import distill, save, train, zoo
from mcomp.codecs import Uniform, attach
from mcomp.measure import count_parameters, float32_bytes, macs_by_layer

SEEDS, TUNING_SEED, EPOCHS = (0, 1, 2, 3, 4), 100, 12
STUDENT = {"channels": (4, 10), "hidden": 10}
RATES, DECAYS = (0.003, 0.01, 0.03), (0.0, 0.03)
TEMPERATURES, ALPHAS = (1.0, 2.0, 4.0), (0.5, 1.0)
LABELS, TAUGHT = "student, from labels", "student, from the ResNet"


def student(seed):
    torch.manual_seed(seed)
    return zoo.build("lenet5", **STUDENT)


def learn(data, seed, bar, *, logits=None, T=1.0, alpha=1.0, lr, weight_decay):
    """A student of `seed`: from labels, or with the teacher's `logits` on all training images."""
    model, options = student(seed), {"epochs": EPOCHS, "lr": lr, "weight_decay": weight_decay, "seed": seed}
    if logits is None:
        train.fit(model, data, progress=False, **options)
    else:
        distill.fit(model, logits, data, T=T, alpha=alpha, progress=False, **options)
    bar.update()
    return model


def tuned(trials, data, bar, **fixed):
    """Of a list of settings the one that the validation images prefer, and what each reached."""
    tried = []
    for trial in trials:
        model = learn(data, TUNING_SEED, bar, **fixed, **trial)
        tried.append({**trial, "validation": train.evaluate(model, data.validation)})
    best = max(tried, key=lambda trial: trial["validation"])
    return {key: best[key] for key in best if key != "validation"}, tried


def eight_bits(model, folder):
    """Bytes of the file with 8-bit weights, and the network that it holds; nothing is retrained."""
    small = copy.deepcopy(model)
    attach(small, {"*.weight": Uniform(8, axis=0)})
    path = Path(folder, "small.safetensors")
    return save(small, path), mcomp.load(path)


def figures(models, data):
    """Bytes and accuracies of a list of networks, as they are and with 8-bit weights."""
    found = {key: [] for key in ("bytes", "accuracy", "validation", "training", "bytes_8", "accuracy_8")}
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            found["bytes"].append(save(model, Path(folder, "model.safetensors")))
            nbytes, opened = eight_bits(model, folder)
        found["bytes_8"].append(nbytes)
        found["accuracy_8"].append(train.evaluate(opened, data.test))
        for key, pair in (("accuracy", data.test), ("validation", data.validation), ("training", data.train)):
            found[key].append(train.evaluate(model, pair))
    return found


def main():
    torch.set_num_threads(1)
    data, teacher = mcomp.data.load("fashion-mnist"), zoo.load("resnet", 0)
    logits, image = train.predict(teacher, data.train[0]), data.test[0][:1]
    by_labels = [{"lr": lr, "weight_decay": decay} for lr in RATES for decay in DECAYS]
    by_teacher = [{"T": T, "alpha": alpha} for T in TEMPERATURES for alpha in ALPHAS]
    with tqdm(total=len(by_labels) + len(by_teacher) + 2 * len(SEEDS), unit="run") as bar:
        base, label_trials = tuned(by_labels, data, bar)
        heat, teacher_trials = tuned(by_teacher, data, bar, logits=logits, **base)
        plain = [learn(data, seed, bar, **base) for seed in SEEDS]
        taught = [learn(data, seed, bar, logits=logits, **base, **heat) for seed in SEEDS]
    for name, models in (("labels", plain), ("taught", taught)):
        save(models[0], RESULTS / f"12_student-{name}.safetensors")
    costs = {
        name: {"parameters": count_parameters(m), "macs": sum(macs_by_layer(m, image).values())}
        for name, m in (("teacher", teacher), ("student", plain[0]))
    }
    write(
        __file__,
        question="What is a teacher worth to a network of 2,834 parameters?",
        network="student",
        methods={LABELS: figures(plain, data), TAUGHT: figures(taught, data)},
        teacher={
            "bytes": float32_bytes(teacher),
            "accuracy": train.evaluate(teacher, data.test),
            "training": train.evaluate(teacher, data.train),
        },
        seeds=SEEDS,
        student=STUDENT,
        epochs=EPOCHS,
        chosen={**base, **heat},
        trials={"labels": label_trials, "teacher": teacher_trials},
        costs=costs,
    )


if __name__ == "__main__":
    main()
