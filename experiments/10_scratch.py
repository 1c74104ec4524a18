"""Is it worth training LeNet-5 whole and cutting it after, rather than cutting it before? Three seeds.

    python experiments/10_scratch.py      (about fourteen minutes on one core)

The ranks are those that experiments/10_low_rank.py gives each trained network at 8 times fewer parameters.
Here the network is cut *before* training: each layer's start, of the same seed, becomes its nearest product
of that rank. Then it has what the others had in all: the zoo's recipe on all training images, and two epochs
of 12,000, the peak learning rate from the same grid, with the same trials, by the mean over seeds 0 and 1 on
the validation images. Test images are looked at once.
"""

import copy
import importlib

import torch
from common import by_seed, tune, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import zoo
from mcomp.structure import choose_ranks, factorize
from mcomp.train import evaluate, fit

low_rank = importlib.import_module("10_low_rank")
SEEDS, TUNED, GRID, EPOCHS = (0, 1, 2), (0, 1), low_rank.GRID, low_rank.EPOCHS


def cut_first(seed, data):
    """The network of `seed`, cut as it was before training, then trained by the zoo's recipe."""
    trained = zoo.load("lenet5", seed)
    ranks = choose_ranks(trained, low_rank.budget(trained, 8))
    torch.manual_seed(seed)
    model = factorize(zoo.build("lenet5"), ranks)
    fit(model, data, seed=seed, progress=False, **zoo.RECIPES["lenet5"])
    return model


def main():
    torch.set_num_threads(1)
    data = mcomp.data.load("fashion-mnist", subset=low_rank.IMAGES)
    whole = mcomp.data.load("fashion-mnist")
    begun = [cut_first(seed, whole) for seed in tqdm(SEEDS, unit="network")]
    made = {}

    def run(lr, seed):
        if (lr, seed) not in made:
            model = made[lr, seed] = copy.deepcopy(begun[seed])
            fit(model, data, epochs=EPOCHS, lr=lr, seed=seed, progress=False)
        return made[lr, seed]

    def score(_, lr):
        return sum(evaluate(run(lr, s), data.validation) for s in TUNED) / len(TUNED)

    name = "low rank, 8× fewer, cut before training"
    tuned = tune([name], GRID, score)
    ended = [run(tuned["chosen"][name], seed) for seed in SEEDS]
    found = [
        {name: low_rank.figures(model, data, model, before=evaluate(start, data.test))}
        for model, start in zip(ended, begun, strict=True)
    ]
    write(
        __file__,
        question="Is it worth training LeNet-5 whole and cutting it after, rather than cutting it before?",
        network="lenet5",
        methods=by_seed(found),
        seeds=SEEDS,
        epochs=EPOCHS,
        images=low_rank.IMAGES,
        tuned=tuned,
    )


if __name__ == "__main__":
    main()
