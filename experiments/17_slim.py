"""LeNet-5 with fewer channels, taught by three ResNets: what is left of its accuracy, in floats and in int8?

    python experiments/17_slim.py      (about sixteen minutes on one core)

Every arm has the same: EPOCHS epochs on all images, the mean of three ResNets' logits to learn from at
temperature T, no labels, the same order of images for a seed, and as many trials of the learning rate, on
validation images of one seed. "slim" is the shipped LeNet-5 without the channels and neurons of smallest
length; of WIDTHS, smallest first, the first whose integers get, of the validation images, at least as many
right as the shipped network does in floats (seed 0, the middle rate). "control" isn't cut. "from scratch" has
slim's widths and begins at random, so it lacks the fifteen epochs that the others' weights have had before.
int8 is `mcomp.integer`'s, calibrated on 500 training images as in 17_engines.py, run by ONNX Runtime. Test
images are looked at once. The three slim networks are stored.
"""

import copy
import tempfile
from pathlib import Path

import torch
from common import RESULTS, by_seed, file_size, tune, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import channels, deploy, distill, save, zoo
from mcomp.integer import integer_network
from mcomp.measure import count_parameters, float32_bytes, macs_by_layer
from mcomp.train import evaluate, fit, predict

SEEDS, TUNED_ON, EPOCHS, T = (0, 1, 2), 0, 4, 4.0
RATES = (0.002, 0.006, 0.018)
GROUPS = ("conv1", "conv2", "fc1")  # of 20, 50 and 500
WIDTHS = ((8, 16, 64), (8, 32, 64), (16, 32, 64), (16, 32, 128))
SLIM, SCRATCH, CONTROL = "slim", "from scratch", "control"


def begun(arm, seed, widths, x):
    """The network of an arm before its training."""
    dense = zoo.load("lenet5", seed)
    if arm == CONTROL:
        return copy.deepcopy(dense)
    if arm == SCRATCH:
        torch.manual_seed(2000 + seed)
        return zoo.build("lenet5", channels=widths[:2], hidden=widths[2])
    graph = channels.channel_graph(dense, x)
    plan = channels.plan_widths(
        graph, channels.l2_scores(dense, graph), dict(zip(GROUPS, widths, strict=True))
    )
    return channels.remove_channels(dense, plan)


class Trials:
    """The trained networks, each trained once."""

    def __init__(self, data):
        answers = [predict(zoo.load("resnet", seed), data.train[0]) for seed in zoo.SEEDS]
        self.loss = distill.teaching(sum(answers) / len(answers), data, T=T)
        self.data, self.widths, self.made = data, None, {}

    def network(self, arm, lr, seed, widths=None):
        """The trained network of an arm, a rate and a seed."""
        widths = widths or self.widths
        key = arm, lr, seed, widths if arm != CONTROL else None
        if key not in self.made:
            model = self.made[key] = begun(arm, seed, widths, self.data.test[0][:1])
            options = {"epochs": EPOCHS, "lr": lr, "seed": 1000 + seed, "progress": False}
            fit(model, self.data, loss=self.loss, **options)
        return self.made[key]

    def choose(self):
        """Sets the widths; by widths the accuracies of floats and of integers on validation images."""
        wanted, found = evaluate(zoo.load("lenet5", TUNED_ON), self.data.validation), {}
        for widths in WIDTHS:
            model = self.network(SLIM, RATES[1], TUNED_ON, widths)
            right = [evaluate(model, self.data.validation), eight(model, self.data, self.data.validation)]
            found["-".join(map(str, widths))] = right
            print(widths, right, flush=True)
            if self.widths is None and right[1] >= wanted:
                self.widths = widths
        self.widths = self.widths or WIDTHS[-1]
        return {"wanted": wanted, "found": found, "chosen": list(self.widths)}

    def tuned(self):
        """The rate that validation images prefer for each arm, all on one grid."""

        def score(arm, lr):
            right = evaluate(self.network(arm, lr, TUNED_ON), self.data.validation)
            print(arm, lr, right, flush=True)
            return right

        return tune((SLIM, SCRATCH, CONTROL), RATES, score)


def eight(model, data, pair):
    """The accuracy of the network in integers."""
    whole = integer_network(model, data.train[0][:500])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.onnx")
        deploy.export("onnxruntime", whole, path, example=data.train[0][:8])
        logits = torch.cat([deploy.run("onnxruntime", path, x) for x in pair[0].split(500)])
    return float((logits.argmax(1) == pair[1]).float().mean())


def figures(model, data):
    macs = macs_by_layer(model, data.test[0][:1])
    return {
        "bytes": file_size(model),
        "float32 bytes": float32_bytes(model),
        "parameters": count_parameters(model),
        "macs": sum(macs.values()),
        "validation": evaluate(model, data.validation),
        "accuracy": evaluate(model, data.test),
        "int8 accuracy": eight(model, data, data.test),
    }


def main(data):
    torch.set_num_threads(1)
    trials, found = Trials(data), {"shipped": [zoo.load("lenet5", seed) for seed in SEEDS]}
    widths, tuned = trials.choose(), trials.tuned()
    for arm, lr in tuned["chosen"].items():
        found[arm] = [trials.network(arm, lr, seed) for seed in tqdm(SEEDS, desc=arm, unit="seed")]
        for seed, model in enumerate(found[arm] if arm == SLIM else ()):
            save(model, RESULTS / f"17_slim-{seed}.safetensors")
    rows = [{arm: figures(models[seed], data) for arm, models in found.items()} for seed in SEEDS]
    write(
        __file__, question="What does a LeNet-5 with fewer channels lose, in floats and in int8?",
        network="lenet5", methods=by_seed(rows), seeds=SEEDS, widths=widths, tuned=tuned, epochs=EPOCHS, T=T,
    )  # fmt: skip


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist"))
