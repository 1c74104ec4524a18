"""What each score does to LeNet-300-100 before any retraining: curves, errors of a layer, images, neurons.

    python experiments/03_scores.py      (about three minutes on one core)

Six seeds, nothing trained, nothing chosen. Criteria are ranked over the whole network. Besides: Wanda's score
within layers and within rows; both errors of fc1, with and without Surgeon's update of the others; Taylor's
score from few images and from many; whole neurons by statistics of their outputs. Scores see training images
only.
"""

import copy
import importlib

import torch
from common import by_seed, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import prune, sparse_training
from mcomp.codecs import Sparse
from mcomp.sparse_training import apply_masks, probe
from mcomp.train import evaluate

factors = importlib.import_module("03_factors")  # a module's name doesn't begin with a digit
SEEDS = factors.SEEDS
SPARSITIES = (0.5, 0.8, 0.9, 0.95, 0.98)
ERRORS_AT = (0.9, 0.8, 0.98)  # the first for all seeds, the others for seed 0
COUNTS = (10, 100, 1000, 10_000, 55_000)  # images that Taylor sees
REMOVED = (0.25, 0.5, 0.75)  # of the neurons of both hidden layers
LAYERS = (("fc1", "relu1", "fc2"), ("fc2", "relu2", "fc3"))


def top(scores, sparsity):
    """One ranking over all layers."""
    total = prune.kept_count(sum(score.numel() for score in scores.values()), sparsity)
    return prune.global_topk_masks(scores, total)


def criteria(seen, data, seed):
    """Test accuracy by criterion, one a sparsity; random takes as many of each layer as magnitude does."""
    model, scores, inverse = seen
    weights, few = sparse_training.prunable_weights(model), factors.some(data, 2000, seed)
    gradient = probe.gradients(model, few)
    fisher = probe.fisher_diagonal(model, tuple(part[:300] for part in few))  # as many as Damage sees
    scores = scores | {
        "Taylor": {n: prune.taylor(w, gradient[n]) for n, w in weights.items()},
        "Fisher": {n: prune.obd(w, fisher[n]) for n, w in weights.items()},
    }
    found = {}
    for sparsity in SPARSITIES:
        for name in scores:
            arm = ("random", "magnitude", "none") if name == "random" else (name, name, "none")
            pruned, _ = factors.pruned((model, scores, inverse), arm, sparsity)
            found.setdefault(name, []).append(evaluate(pruned, data.test))
        operated, _ = factors.pruned(seen, ("OBS", "OBS", "OBS"), sparsity)
        found.setdefault("OBS + update", []).append(evaluate(operated, data.test))
    return found


def wanda_in_groups(seen, data, sparsity=0.9):
    """Wanda's score compared over the network, within layers, within rows, and within rows of its layers."""
    model, scores, _ = seen
    uniform = factors.counts(scores, "uniform", sparsity)
    own = factors.counts(scores, "Wanda", sparsity)
    masks = {
        "over the network": top(scores["Wanda"], sparsity),
        "within layers, all alike": {n: prune.topk_mask(s, uniform[n]) for n, s in scores["Wanda"].items()},
        "within rows, all alike": {n: by_rows(s, uniform[n]) for n, s in scores["Wanda"].items()},
        "within rows, layers as over the network": {
            n: by_rows(s, own[n]) for n, s in scores["Wanda"].items()
        },
    }
    return {name: evaluate(apply_masks(model, mask), data.test) for name, mask in masks.items()}


def by_rows(score, k):
    """A mask of k entries, as many in each row, or one more in the first."""
    each, more = divmod(k, len(score))
    return torch.stack([prune.topk_mask(row, each + (i < more)) for i, row in enumerate(score)])


def errors(seen, data, levels):
    """fc1 alone: squared error of its weights and of its outputs, both relative, by mask and update."""
    model, scores, inverse = seen
    w, inverse = sparse_training.prunable_weights(model)["fc1.weight"], inverse["fc1.weight"]
    hessian, found = probe.layer_hessians(model, data.train[0])["fc1.weight"], {}

    def power(d):
        return float(((d @ hessian) * d).sum())

    for sparsity in levels:
        for name in ("magnitude", "Wanda", "OBS"):
            mask = prune.topk_mask(scores[name]["fc1.weight"], prune.kept_count(w.numel(), sparsity))
            for update, v in (("none", w * mask), ("OBS", prune.obs_update(w, inverse, keep=mask))):
                curve = found.setdefault(f"{name} | {update}", {"weights": [], "outputs": [], "bits": []})
                curve["weights"].append(float((w - v).square().mean() / w.var(correction=0)))
                curve["outputs"].append(power(w - v) / power(w))
                curve["bits"].append(Sparse(sparsity).encode(v).nbits() / w.numel())
    return found


def images_for_taylor(model, data, seed):
    """Accuracy at 80 % by how many images the gradient sees, and by the mean of |w·g| over batches of 100."""
    weights, found = sparse_training.prunable_weights(model), {"one gradient": [], "mean of batches": []}
    for n in COUNTS:
        x, y = factors.some(data, n, seed)
        one = probe.gradients(model, (x, y))
        parts = [probe.gradients(model, part) for part in zip(x.split(100), y.split(100), strict=True)]
        for name, score in (
            ("one gradient", {k: prune.taylor(w, one[k]) for k, w in weights.items()}),
            ("mean of batches", {k: sum(prune.taylor(w, g[k]) for g in parts) for k, w in weights.items()}),
        ):
            found[name].append(evaluate(apply_masks(model, top(score, 0.8)), data.test))
    return found


def neurons(model, data, seed):
    """Accuracy when whole hidden neurons go, by score; with their means kept in the next bias, or not.

    A score sees a layer's outputs y, the weights w into its neurons, those out of them, v, and the layer.
    """
    outputs = probe.outputs(model, factors.some(data, 2000, seed)[0], names=["relu1", "relu2"])
    found = {}
    for name, score in (
        ("random", lambda y, w, v, i: prune.random_score(y[0], 7000 + 10 * seed + i)),
        ("activity", lambda y, w, v, i: prune.output_activity(y)),
        ("norm", lambda y, w, v, i: w.norm(dim=1)),
        ("std", lambda y, w, v, i: prune.output_std(y)),
        ("std·‖v‖", lambda y, w, v, i: prune.output_std(y) * v.norm(dim=0)),
        ("rms·‖v‖", lambda y, w, v, i: y.square().mean(0).sqrt() * v.norm(dim=0)),
    ):
        for removed in REMOVED:
            plain, absorbed = copy.deepcopy(model), copy.deepcopy(model)
            for i, (before, relu, after) in enumerate(LAYERS):
                y, w, v = outputs[relu], model.get_submodule(before).weight, model.get_submodule(after).weight
                keep = prune.topk_mask(score(y, w, v, i).detach(), prune.kept_count(len(w), removed))
                for network in (plain, absorbed):
                    layer = network.get_submodule(after)
                    if network is absorbed:
                        layer.bias.data += layer.weight.data @ (y.mean(0) * ~keep)
                    layer.weight.data *= keep
            for network, how in ((plain, "zero"), (absorbed, "mean")):
                curve = found.setdefault(name, {"zero": [], "mean": []})[how]
                curve.append(evaluate(network, data.test))
    return found


def main():
    torch.set_num_threads(1)
    data, found = mcomp.data.load("fashion-mnist"), []
    for seed in tqdm(SEEDS, unit="seed"):
        seen = factors.look(seed, data)
        found.append({
            "float32": {"accuracy": evaluate(seen[0], data.test)},
            "curves": criteria(seen, data, seed),
            "wanda": wanda_in_groups(seen, data),
            "fc1": errors(seen, data, ERRORS_AT if seed == 0 else ERRORS_AT[:1]),
            "taylor_images": images_for_taylor(seen[0], data, seed),
            "neurons": neurons(seen[0], data, seed),
        })  # fmt: skip
    figures = by_seed(found)
    write(
        __file__,
        question="What does each score do to LeNet-300-100 before any retraining?",
        network="lenet300",
        seeds=SEEDS,
        methods={"float32": figures.pop("float32")},
        sparsities=list(SPARSITIES),
        errors_at=list(ERRORS_AT),
        image_counts=list(COUNTS),
        neurons_removed=list(REMOVED),
        **figures,
    )


if __name__ == "__main__":
    main()
