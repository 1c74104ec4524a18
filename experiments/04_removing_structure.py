"""Channels gone: what does it cost, against the control, chance, and the same widths from scratch?

    python experiments/04_removing_structure.py lenet300 6     (the number of seeds)
    python experiments/04_removing_structure.py resnet 6       (10 minutes; writes from the third seed on)

A network is trained for the "first" epochs of `FIT`. Every arm that starts from it gets the "more" epochs,
also the control, which isn't cut; what starts from scratch gets both in one run. All on the same images, with
their labels, without a teacher. The rate of the first training is tuned, then that of each arm, on one grid
and the validation images of two seeds; the test images are looked at once, at the end.

ResNet: 0.3 of the channels of every group, or widths that suit two engines (multiples of 16, but 8 for the
stem). LeNet-300-100: half of the weights, as whole neurons, two of every four, or any.
"""

import copy
import sys

import torch
from common import RESULTS, by_seed, file_size, tune, write

import mcomp.data
from mcomp import channels, prune, save, zoo
from mcomp.codecs import NMSparse, Sparse, attach, bake
from mcomp.codecs.codes import code_to_bytes
from mcomp.measure import count_parameters, float32_bytes, macs_by_layer
from mcomp.train import evaluate, fit

FIT = {
    "resnet": {"images": 2_000, "first": 6, "more": 3, "batch_size": 64, "weight_decay": 0.01},
    "lenet300": {"images": 6_000, "first": 8, "more": 4, "batch_size": 64, "weight_decay": 0.0},
}
GRIDS = {"resnet": [0.002, 0.008, 0.032], "lenet300": [0.0005, 0.002, 0.008]}
TUNING = (0, 1)  # the seeds whose validation images choose
RATIO = 0.3
WIDTHS = {
    "conv": 8, "block1.conv1": 16, "block2.conv1": 16, "block2.conv2": 16,
    "block3.conv1": 32, "block3.conv2": 48,
}  # fmt: skip
NEURONS = {"fc1": 158, "fc2": 55}  # 133,112 weights, half of 266,200
CONTROL = "control"


def resnet_arms(dense, x):
    """By arm: a function of the seed that makes the network before its training, and whether from scratch."""
    graph = channels.channel_graph(dense, x)
    length = channels.l2_scores(dense, graph)
    half = channels.plan_channels(graph, length, ratio=RATIO)
    engine = channels.plan_widths(graph, length, WIDTHS)

    def chance(seed):
        return channels.plan_channels(graph, channels.random_scores(graph, 1000 + seed), ratio=RATIO)

    return {
        CONTROL: (lambda seed: dense, False),
        "half": (lambda seed: channels.remove_channels(dense, half), False),
        "half, chance": (lambda seed: channels.remove_channels(dense, chance(seed)), False),
        "half, from scratch": (lambda seed: fresh(channels.remove_channels(dense, half), seed), True),
        "third": (lambda seed: channels.remove_channels(dense, engine), False),
        "third, from scratch": (lambda seed: fresh(channels.remove_channels(dense, engine), seed), True),
    }


def lenet300_arms(dense, x):
    """The same for LeNet-300-100."""
    graph = channels.channel_graph(dense, x)
    short = channels.plan_widths(graph, channels.l2_scores(dense, graph), NEURONS)

    def chance(seed):
        return channels.plan_widths(graph, channels.random_scores(graph, 1000 + seed), NEURONS)

    return {
        CONTROL: (lambda seed: dense, False),
        "neurons": (lambda seed: channels.remove_channels(dense, short), False),
        "neurons, chance": (lambda seed: channels.remove_channels(dense, chance(seed)), False),
        "neurons, from scratch": (lambda seed: fresh(channels.remove_channels(dense, short), seed), True),
        "2:4": (lambda seed: masked(dense, NMSparse(2, 4)), False),
        "weights": (lambda seed: masked(dense, Sparse(0.5)), False),
    }


def masked(dense, codec):
    model = copy.deepcopy(dense)
    attach(model, {"*.weight": codec}, refresh="never")
    return model


def fresh(model, seed):
    """`model` with random weights, drawn from a stream that no other arm uses."""
    torch.manual_seed(2000 + seed)
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return model


def trained(model, data, *, epochs, lr, order, name):
    """A trained copy of `model`, as a plain network; `order` is the seed of the images' order."""
    model, how = copy.deepcopy(model), FIT[name]
    options = {"batch_size": how["batch_size"], "weight_decay": how["weight_decay"], "progress": False}
    fit(model, data, epochs=epochs, lr=lr, seed=3000 + order, **options)
    return bake(model)


class Trials:
    """The trained networks of all arms, rates and seeds, each trained once."""

    def __init__(self, name, data):
        self.name, self.data, self.made, self.first_lr = name, data, {}, None
        self.arms_of = {"resnet": resnet_arms, "lenet300": lenet300_arms}[name]

    def dense(self, lr, seed):
        if ("dense", lr, seed) not in self.made:
            torch.manual_seed(seed)
            model, epochs = zoo.build(self.name), FIT[self.name]["first"]
            self.made["dense", lr, seed] = self._trained(model, epochs, lr, seed)
        return self.made["dense", lr, seed]

    def network(self, arm, lr, seed):
        if (arm, lr, seed) not in self.made:
            make, scratch = self.arms_of(self.dense(self.first_lr, seed), self.data.test[0][:1])[arm]
            epochs = FIT[self.name]["more"] + scratch * FIT[self.name]["first"]
            self.made[arm, lr, seed] = self._trained(make(seed), epochs, lr, 100 + seed)
        return self.made[arm, lr, seed]

    def _trained(self, model, epochs, lr, order):
        return trained(model, self.data, epochs=epochs, lr=lr, order=order, name=self.name)

    def score(self, make):
        """What `tune` maximises: the accuracy on validation images, a mean over the seeds that tune."""

        def mean(arm, lr):
            right = [evaluate(make(arm, lr, seed), self.data.validation) for seed in TUNING]
            print(f"{arm}, rate {lr:.4g}: {[round(100 * x, 2) for x in right]}", flush=True)
            return sum(right) / len(right)

        return mean

    def tuned(self):
        """What `tune` found for the first training, then for the arms."""
        first = tune(["first"], GRIDS[self.name], self.score(lambda arm, lr, seed: self.dense(lr, seed)))
        self.first_lr = first["chosen"]["first"]
        arms = list(self.arms_of(self.dense(self.first_lr, 0), self.data.test[0][:1]))
        return first, tune(arms, GRIDS[self.name], self.score(self.network))


def figures(model, data, *, dense=False):
    macs = sum(macs_by_layer(model, data.test[0][:1]).values())
    size = float32_bytes(model) if dense else file_size(model)
    zeros = sum(int((p == 0).sum()) for p in model.parameters() if p.ndim > 1)
    weights = sum(p.numel() for p in model.parameters() if p.ndim > 1)
    return {
        "bytes": size, "accuracy": evaluate(model, data.test), "macs": macs,
        "parameters": count_parameters(model), "weights": weights - zeros,
    }  # fmt: skip


def rate_distortion():
    """fc1 of LeNet-300-100, variance 1: bits per weight of the code against mean squared error."""
    w = zoo.load("lenet300", 0).fc1.weight.detach()
    w = w / w.std(correction=0)
    made = {"N of 4": [NMSparse(n, 4).encode(w) for n in (1, 2, 3)]}
    made["single weights"] = [Sparse(s).encode(w) for s in (0.75, 0.5, 0.25)]
    curves = {
        name: {
            "bits": [8 * len(code_to_bytes(code)) / w.numel() for code in codes],
            "mse": [float(((w - Sparse(0.0).decode(code)) ** 2).mean()) for code in codes],
        }
        for name, codes in made.items()
    }
    kept = [prune.topk_mask(w.norm(dim=1), round(300 * part)) for part in (0.25, 0.5, 0.75)]
    bits = [8 * len(code_to_bytes(Sparse(0.0).encode(w[keep]))) / w.numel() for keep in kept]
    lost = [float((w[~keep] ** 2).sum() / w.numel()) for keep in kept]
    return {**curves, "whole neurons": {"bits": bits, "mse": lost}}


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in FIT or not sys.argv[2].isdigit():
        sys.exit(f"give one of {', '.join(FIT)}, and the number of seeds")
    name, seeds = sys.argv[1], range(int(sys.argv[2]))
    data = mcomp.data.load("fashion-mnist", subset=FIT[name]["images"])
    trials = Trials(name, data)
    first, arms = trials.tuned()
    found = []
    for seed in seeds:
        dense = trials.dense(trials.first_lr, seed)
        made = {arm: trials.network(arm, lr, seed) for arm, lr in arms["chosen"].items()}
        rows = {arm: figures(model, data, dense=arm == CONTROL) for arm, model in made.items()}
        found.append({"float32": figures(dense, data, dense=True), **rows})
        print(seed, {arm: row["accuracy"] for arm, row in found[-1].items()}, flush=True)
        if seed == 0 and name == "resnet":
            save(made["half"], RESULTS / "04_resnet-half.safetensors")
        if seed >= 2:
            store(name, found, first, arms)


def store(name, found, first, arms):
    more = {"rate_distortion": rate_distortion()} if name == "lenet300" else {"widths": WIDTHS}
    write(
        __file__,
        question="Channels gone: what does it cost, against chance and the same widths from scratch?",
        network=name,
        methods=by_seed(found),
        seeds=range(len(found)),
        fit=FIT[name],
        ratio=RATIO,
        tuned_first=first,
        tuned=arms,
        **more,
    )


if __name__ == "__main__":
    main()
