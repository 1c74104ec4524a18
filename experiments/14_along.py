"""What is a mean of the weights along one run worth? SWA and EMA against a learning rate that falls.

    python experiments/14_along.py      (about two minutes on one core)

LeNet-300-100 with 100 and 50 hidden neurons, 12,000 images, ten epochs. "falling rate": the one-cycle
schedule, last weights. At a constant rate: the last weights; "SWA", the plain mean of the weights after each
of the last five epochs (arXiv:1803.05407); "EMA", the exponential mean over all steps with a half-life of
one epoch. The learning rate of each arm is tuned on one grid by two seeds of their own; six other seeds
follow.
"""

import math

import taught
import torch
from common import by_seed, tune, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import train
from mcomp.merge import RunningAverage, decay_of

ARMS = ("falling rate", "constant rate", "SWA", "EMA")
SUBSET, EPOCHS, START, RATES = 12_000, 10, 5, (0.0005, 0.001, 0.002)


def constant(seed, lr, data):
    """The three networks of a run at a constant rate."""
    model = taught.network("lenet300", seed, hidden=(100, 50))
    swa = RunningAverage(model, start=START)
    ema = RunningAverage(model, decay=decay_of(math.ceil(SUBSET / 256)), every="step")
    taught.learn(model, data, seed, lr=lr, epochs=EPOCHS, schedule=train.constant, callbacks=[swa, ema])
    return {"constant rate": model, "SWA": swa.network, "EMA": ema.network}


def falling(seed, lr, data):
    model = taught.network("lenet300", seed, hidden=(100, 50))
    return {"falling rate": taught.learn(model, data, seed, lr=lr, epochs=EPOCHS)}


def main(data, seeds=taught.SEEDS):
    torch.set_num_threads(1)
    made, bar = {}, tqdm(unit="run", mininterval=20)

    def network(arm, seed, lr):
        if (arm, seed, lr) not in made:
            run = falling if arm == "falling rate" else constant
            made.update({(name, seed, lr): model for name, model in run(seed, lr, data).items()})
            bar.update()
        return made[arm, seed, lr]

    def score(arm, lr):
        return sum(train.evaluate(network(arm, s, lr), data.validation) for s in taught.TUNING_SEEDS) / 2

    tuned = tune(ARMS, RATES, score)
    found = [
        {
            arm: {"accuracy": train.evaluate(network(arm, seed, tuned["chosen"][arm]), data.test)}
            for arm in ARMS
        }
        for seed in tqdm(seeds, unit="seed")
    ]
    write(
        __file__,
        question="What is a mean of the weights along one run worth?",
        network="lenet300",
        methods=by_seed(found),
        seeds=list(seeds),
        tuned=tuned,
        epochs=EPOCHS,
        start=START,
        images=SUBSET,
    )


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
