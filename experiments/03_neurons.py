"""Which hidden neurons of LeNet-300-100 can go? Half of them, by six scores, nothing retrained. Six seeds.

    python experiments/03_neurons.py      (half a minute on one core)

What a neuron puts out is set to zero, or to its mean over 2,000 training images, which the next bias takes.
Nothing is trained or chosen; the test images are looked at once.
"""

import copy

import torch
from common import by_seed, network, write

import mcomp.data
from mcomp import prune
from mcomp.sparse_training import probe
from mcomp.train import evaluate

SEEDS, REMOVED = (0, 1, 2, 3, 4, 5), 0.5
LAYERS = (("fc1", "relu1", "fc2"), ("fc2", "relu2", "fc3"))
SCORES = {  # of a layer's outputs y, the weights w into its neurons, those out of them v, and a seed
    "random": lambda y, w, v, seed: prune.random_score(y[0], seed),
    "activity": lambda y, w, v, seed: prune.output_activity(y),
    "norm": lambda y, w, v, seed: w.norm(dim=1),
    "std": lambda y, w, v, seed: prune.output_std(y),
    "std·‖v‖": lambda y, w, v, seed: prune.output_std(y) * v.norm(dim=0),
    "rms·‖v‖": lambda y, w, v, seed: y.square().mean(0).sqrt() * v.norm(dim=0),
}


def cut(model, outputs, score, *, seed, means):
    """A copy without the neurons of least score; with `means` the next bias takes what they gave."""
    smaller = copy.deepcopy(model)
    for i, (layer, relu, after) in enumerate(LAYERS):
        y, w, v = outputs[relu], model.get_submodule(layer).weight, model.get_submodule(after).weight
        w, v = w.detach(), v.detach()
        stay = prune.topk_mask(score(y, w, v, 7000 + 10 * seed + i), prune.kept_count(len(w), REMOVED))
        following = smaller.get_submodule(after)
        if means:
            following.bias.data += v @ (y.mean(0) * ~stay)
        following.weight.data *= stay
    return smaller


def one_seed(seed, data):
    """Test accuracy by score: set to zero, and with the means kept."""
    model = network("lenet300", seed, data)
    rows = torch.randperm(len(data.train[0]), generator=torch.Generator().manual_seed(1000 + seed))[:2000]
    outputs = probe.outputs(model, data.train[0][rows], names=["relu1", "relu2"])
    return {
        name: {
            how: evaluate(cut(model, outputs, score, seed=seed, means=how == "mean"), data.test)
            for how in ("zero", "mean")
        }
        for name, score in SCORES.items()
    }


def main():
    torch.set_num_threads(1)
    data = mcomp.data.load("fashion-mnist")
    found = by_seed([one_seed(seed, data) for seed in SEEDS])
    write(
        __file__,
        question="Which hidden neurons of LeNet-300-100 can go?",
        network="lenet300",
        seeds=SEEDS,
        methods={},
        neurons=found,
        removed=REMOVED,
    )


if __name__ == "__main__":
    main()
