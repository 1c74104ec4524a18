"""How should LeNet-5 be cut to an eighth of its parameters? One thing at a time, three seeds.

    python experiments/10_cuts.py      (about four minutes on one core)

First how conv2 is cut: spatial, channel, Tucker-2; fc1 keeps its rank, conv2 about its number of weights.
Then whether the factors of the channel cut look at the inputs, 2,000 training images, at the same ranks. Then
whether the ranks do. All arms, the uncompressed control too, are trained on alike: one epoch of 6,000 images,
the peak learning rate from one grid, by the mean over seeds 0 and 1 on the validation images. Test images are
looked at once before training and once after it.
"""

import copy

import torch
from common import by_seed, tuned_training, write

import mcomp.data
from mcomp import zoo
from mcomp.measure import count_parameters, macs_by_layer
from mcomp.structure import choose_ranks, factorize, input_grams
from mcomp.train import evaluate

SEEDS, TUNED, EPOCHS = (0, 1, 2), (0, 1), 1
GRID, IMAGES, SAMPLE = (0.0003, 0.001, 0.003), 6000, 2000


def arms(model, x):
    """Every network that is trained on, by name."""
    biases = sum(p.numel() for p in model.parameters() if p.ndim == 1)
    weights = count_parameters(model) // 8 - biases
    ranks = choose_ranks(model, weights)
    same = ranks | {
        "conv2": round(ranks["conv2"] * 350 / 550)
    }  # a rank is 350 weights spatial, 550 by channel
    grams = input_grams(model, x, conv="channel")
    aware = choose_ranks(model, weights, conv="channel", grams=grams)
    return {
        "control": copy.deepcopy(model),
        "spatial": factorize(model, ranks),
        "channel": factorize(model, same, conv="channel"),
        "Tucker-2": factorize(model, ranks | {"conv2": (40, 18)}),  # 20,360 weights
        "channel, factors by inputs": factorize(model, same, conv="channel", grams=grams),
        "channel, factors and ranks by inputs": factorize(model, aware, conv="channel", grams=grams),
    }


def figures(start, model, data):
    """What is known of an arm: test accuracy before and after training, parameters, MACs."""
    return {
        "before": evaluate(start, data.test),
        "accuracy": evaluate(model, data.test),
        "parameters": count_parameters(model),
        "macs": sum(macs_by_layer(model, data.test[0][:1]).values()),
    }


def main():
    torch.set_num_threads(1)
    data = mcomp.data.load("fashion-mnist", subset=IMAGES)
    begun = [arms(zoo.load("lenet5", seed), data.train[0][:SAMPLE]) for seed in SEEDS]
    tuned, models = tuned_training(begun, data, grid=GRID, tuning=TUNED, epochs=EPOCHS)
    found = [{n: figures(begun[s][n], model, data) for n, model in models[s].items()} for s in SEEDS]
    write(
        __file__,
        question="How should LeNet-5 be cut to an eighth of its parameters?",
        network="lenet5",
        methods=by_seed(found),
        seeds=SEEDS,
        epochs=EPOCHS,
        images=IMAGES,
        tuned=tuned,
    )


if __name__ == "__main__":
    main()
