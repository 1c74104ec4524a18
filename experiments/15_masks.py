"""A compressed network for two tasks: one mask over the trunk, or a mask for each task over common weights?

    python experiments/15_masks.py      (about four minutes on one core)

LeNet-300 with 64 and 32 hidden neurons, shared but for the last layers, tells class and turn of 4,000 turned
images (eight epochs, equal weights). Then it keeps a part of the trunk's weights: those of the largest w^2
E[g^2]. A mask for each task takes g of that task's loss (weights that both keep are common); one mask adds
the two tasks' scores, each scaled to the sum 1. Beside it two networks, one a task, each cut by its own mask.
All train on for four epochs at a learning rate that is tuned for each, at one level, by two seeds of their
own. Uncut controls get the same four epochs. Every file holds its masks; the first of each kind is opened
again.
"""

import copy
import tempfile
from pathlib import Path

import several
import torch
from common import tune, write
from torch import nn
from torch.nn import functional as F
from tqdm.auto import tqdm

import mcomp
import mcomp.data
from mcomp.prune import global_topk_masks

EPOCHS, MORE, SUBSET, SIZES, LR = 8, 4, 4_000, {"hidden": (64, 32)}, 0.005
KEPT, LEVEL, RATES = (0.05, 0.1, 0.2), 0.1, (0.0025, 0.005, 0.01)
TASKS, LAYERS = ("class", "turned"), ("fc1", "fc2")


class Masked(nn.Module):
    """A trunk of two Linear layers of which only some weights are left, and which of them each task reads.

    A code for each weight says that: bit t for mask t. Values are stored where any bit is set. With one mask
    the trunk runs once, else once for each task.
    """

    def __init__(self, shared, masks):
        super().__init__()
        self.n, self.heads = len(masks), copy.deepcopy(shared.heads)
        for name in LAYERS:
            layer = getattr(shared.trunk, name)
            codes = sum(mask[name].to(torch.uint8) << t for t, mask in enumerate(masks))
            self.register_buffer(f"{name}_codes", codes)
            self.register_parameter(f"{name}_values", nn.Parameter(layer.weight.detach()[codes > 0]))
            self.register_parameter(f"{name}_bias", nn.Parameter(layer.bias.detach().clone()))

    def features(self, x, t):
        x = x.flatten(1)
        for name in LAYERS:
            codes, values = getattr(self, f"{name}_codes"), getattr(self, f"{name}_values")
            w = torch.zeros(codes.shape).masked_scatter(codes > 0, values)
            x = F.linear(x, w * ((codes >> t) & 1), getattr(self, f"{name}_bias")).relu()
        return x

    def forward(self, x):
        found = [self.features(x, t) for t in range(self.n)]
        return {task: head(found[min(t, self.n - 1)]) for t, (task, head) in enumerate(self.heads.items())}


def saved(shared, *, opened_too):
    """Bytes of the file; if it is opened, too, what it holds answers bit for bit the same."""
    with tempfile.TemporaryDirectory() as folder:
        path, x = Path(folder, "model.safetensors"), torch.randn(16, 1, 28, 28)
        size, empty = mcomp.save(shared, path, progress=False), copy.deepcopy(shared)
        if not opened_too:
            return size
        for tensor in (*empty.parameters(), *empty.buffers()):
            tensor.data.zero_()
        opened = mcomp.load(path, model=empty, progress=False)
        with torch.no_grad():
            assert all(torch.equal(y, opened(x)[task]) for task, y in shared(x).items())
    return size


def importance(model, data, targets):
    """For each task and layer w^2 times the mean square of the gradient over 20 batches."""
    trunk = model.shared.trunk
    weights = {name: getattr(trunk, name).weight for name in LAYERS}
    sums = {task: {name: torch.zeros_like(w) for name, w in weights.items()} for task in model.shared.heads}
    for rows in torch.arange(20 * 128).split(128):
        wanted = {task: targets["train"][task][rows] for task in sums}
        found = several.losses(model.split(model(data.train[0][rows])), wanted)
        for task, one in several.task_gradients(found, weights).items():
            for name, g in one.items():
                sums[task][name] += g.square() * weights[name].detach().square()
    return sums


def cut(model, kept, data, targets, *, each=False):
    """`model` with the part `kept` of its trunk's weights: by one mask, or by `each` task's own."""
    scores = importance(model, data, targets)
    total = {t: sum(float(s.sum()) for s in one.values()) for t, one in scores.items()}
    both = {name: sum(one[name] / total[t] for t, one in scores.items()) for name in LAYERS}
    k = round(kept * sum(s.numel() for s in both.values()))
    masks = [global_topk_masks(one, k) for one in (scores.values() if each else [both])]
    return several.Joined(Masked(model.shared, masks))


def main(data, seeds=several.SEEDS):
    torch.set_num_threads(1)
    data, targets = several.tasks(data)
    starts, made = {}, {}

    def start(names, seed):
        if (names, seed) not in starts:
            model = several.network("lenet300", "relu2", names, seed, **SIZES)
            starts[names, seed] = several.learn(model, data, targets, seed, lr=LR, epochs=EPOCHS)
        return starts[names, seed]

    def run(arm, lr, kept, seed):
        kind, *task = arm.split(", ")
        if (arm, lr, kept, seed) not in made:
            model = start(tuple(task) or TASKS, seed)
            if kind == "uncut":
                model = copy.deepcopy(model)
            else:
                model = cut(model, kept, data, targets, each=kind == "a mask for each task")
            made[arm, lr, kept, seed] = several.learn(model, data, targets, 50 + seed, lr=lr, epochs=MORE)
        return made[arm, lr, kept, seed]

    def score(arm, lr):
        found = [
            several.measured(run(arm, lr, LEVEL, s), data, targets, "validation")
            for s in several.TUNING_SEEDS
        ]
        return sum(sum(one.values()) / len(one) for one in found) / len(found)

    alone = [f"{kind}, {task}" for kind in ("two networks", "uncut") for task in TASKS]
    arms = ["one mask", "a mask for each task", "uncut", *alone]
    with tqdm(unit="rate", mininterval=20) as bar:
        tuned = tune(arms, RATES, score, bar=bar)
    methods = {}
    for arm, lr in tqdm(tuned["chosen"].items(), unit="arm"):
        for kept in (LEVEL,) if arm.startswith("uncut") else KEPT:
            models = [run(arm, lr, kept, seed) for seed in seeds]
            found = [several.measured(model, data, targets, "test") for model in models]
            name = arm if arm.startswith("uncut") else f"{arm}, {kept:g}"
            methods[name] = {task: [one[task] for one in found] for task in found[0]}
            methods[name]["bytes"] = [saved(m.shared, opened_too=m is models[0]) for m in models]
            if arm == "a mask for each task":
                methods[name]["common"] = [common_part(model.shared) for model in models]
            print(name, methods[name], flush=True)
    write(
        __file__,
        question="One mask over the trunk, or a mask for each task?",
        network="lenet300",
        methods=methods,
        seeds=seeds,
        tuned=tuned,
        epochs=[EPOCHS, MORE],
        images=SUBSET,
        kept=KEPT,
    )


def common_part(masked):
    """Which part of a task's weights the other keeps as well."""
    codes = torch.cat([getattr(masked, f"{name}_codes").flatten() for name in LAYERS])
    return float((codes == 3).sum() / (codes & 1).sum())


if __name__ == "__main__":
    main(mcomp.data.load("fashion-mnist", subset=SUBSET))
