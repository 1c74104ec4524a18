"""The control of chapter 00 with all of the small network's training: as many epochs, twice.

    python experiments/00_control.py      (about eight minutes on one core)

The recipe deep-compression trains LeNet-300-100 while it prunes (100 epochs), then while values are shared
(20 epochs). Here the uncompressed network is trained for the same epochs at the same learning rates, in the
same order of images, from the same teacher. Nothing is chosen on the test images.
"""

import copy
import time

import torch
from common import write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import zoo
from mcomp.measure import float32_bytes
from mcomp.pipeline import load_recipe, teaching
from mcomp.train import evaluate, fit

SEEDS = (0, 1, 2)
CONTROL = "float32, trained on (control)"


def trained_on(model, stages, **options):
    """A copy of `model`, trained through the `stages`, each of which has epochs and a learning rate."""
    trained = copy.deepcopy(model)
    for stage in stages:
        fit(trained, epochs=stage.epochs, lr=stage.lr, progress=False, **options)
    return trained


def main():
    """Train the control of each seed and write the figures."""
    torch.set_num_threads(1)
    data, recipe = mcomp.data.load(), load_recipe("deep-compression", "lenet300")
    stages, lessons = (recipe.prune, recipe.share), teaching(None, recipe, data)  # a zoo network teaches
    options = {"data": data, "loss": lessons, "seed": recipe.seed, "batch_size": recipe.batch_size}
    rows = {"bytes": [], "accuracy": [], "validation": [], "cpu_seconds": []}
    for seed in tqdm(SEEDS, unit="seed"):
        begin = time.process_time()
        trained = trained_on(zoo.load("lenet300", seed), stages, **options)
        rows["cpu_seconds"].append(time.process_time() - begin)
        rows["bytes"].append(float32_bytes(trained))
        rows["accuracy"].append(evaluate(trained, data.test))
        rows["validation"].append(evaluate(trained, data.validation))
        print(seed, {key: values[-1] for key, values in rows.items()}, flush=True)
    question = "What does LeNet-300-100 gain from all the training that the small network gets?"
    training = [{"epochs": stage.epochs, "lr": stage.lr} for stage in stages]
    write(__file__, question=question, network="lenet300", methods={CONTROL: rows}, training=training)


if __name__ == "__main__":
    main()
