"""Which criterion keeps the right weights of LeNet-300-100, before and after fine-tuning? Three seeds.

    python experiments/03_which_weights_matter.py      (about twenty minutes on one core)

Eight criteria, each with one ranking over the whole network, at six sparsities; five of them are fine-tuned.
Random takes as many weights of each layer as magnitude does. Every network, the dense control included,
is trained on for three epochs at two learning rates; the validation images choose the rate, the test images
are looked at once. Scores see training images only. Besides: Taylor's score from few images and from many,
pruning before training (SNIP) against pruning after it, and whole neurons by the statistics of their outputs.
"""

import copy
import tempfile
from pathlib import Path

import torch
from common import write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import prune, save, sparse_training, zoo
from mcomp.codecs import Sparse, attach, bake
from mcomp.measure import float32_bytes
from mcomp.sparse_training import probe
from mcomp.train import evaluate, fit

SEEDS = (0, 1, 2)
SPARSITIES = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99)
TUNED_AT = (0.5, 0.9, 0.95, 0.98, 0.99)  # sparsities at which the networks are fine-tuned
SAVED_AT = (0.9, 0.95)
EPOCHS, RATES = 3, (0.0005, 0.004)
TUNED = ("random", "magnitude", "movement", "Taylor", "OBD", "Wanda", "OBS", "Wanda + OBS update")
EARLY = (0.9, 0.98)  # sparsities at which networks are pruned before training
COUNTS = (10, 30, 100, 300, 1000, 3000, 10_000, 55_000)  # images that Taylor sees
REMOVED = (0.25, 0.5, 0.7, 0.8, 0.9)  # of the neurons of both hidden layers


def some(data, n, seed):
    """`n` training images and their labels, drawn without replacement."""
    rows = torch.randperm(len(data.train[0]), generator=torch.Generator().manual_seed(seed))[:n]
    return data.train[0][rows], data.train[1][rows]


def score_all(model, data, seed):
    """Every criterion's scores, by name and weight; and the layers' inverse Hessians."""
    weights, few = sparse_training.prunable_weights(model), some(data, 2000, seed)
    watch = probe.Movement()
    fit(copy.deepcopy(model), data, epochs=1, lr=0.0005, seed=seed, callbacks=[watch], progress=False)
    gradient, fisher = probe.gradients(model, few), probe.fisher_diagonal(model, few)
    curvature, rms = probe.hessian_diagonal(model, few[0][:1000]), probe.input_rms(model, few[0])
    hessians = probe.layer_hessians(model, data.train[0])
    inverse = {n: prune.damped_inverse(h.double(), damping=0.01).float() for n, h in hessians.items()}
    scores = {
        "magnitude": {n: prune.magnitude(w) for n, w in weights.items()},
        "movement": watch.scores,
        "Taylor": {n: prune.taylor(w, gradient[n]) for n, w in weights.items()},
        "Fisher": {n: prune.obd(w, fisher[n]) for n, w in weights.items()},
        "OBD": {n: prune.obd(w, curvature[n]) for n, w in weights.items()},
        "Wanda": {n: prune.wanda(w, rms[n]) for n, w in weights.items()},
        "OBS": {n: prune.obs(w, inverse[n]) for n, w in weights.items()},
    }
    return scores, inverse, hessians


def top(scores, sparsity):
    """One ranking over all layers."""
    return prune.global_topk_masks(
        scores, prune.kept_count(sum(s.numel() for s in scores.values()), sparsity)
    )


def shuffled(masks, seed):
    """Random masks with as many weights in each layer."""
    return {
        n: prune.topk_mask(prune.random_score(m.float(), 10 * seed + i), int(m.sum()))
        for i, (n, m) in enumerate(masks.items())
    }


def updated(model, masks, inverse):
    """A copy without the weights that the masks remove, the others moved as Optimal Brain Surgeon says."""
    model = copy.deepcopy(model)
    for name, w in sparse_training.prunable_weights(model).items():
        w.copy_(prune.obs_update(w, inverse[name], keep=masks[name]))  # the copy's own memory
    return model


def variants(model, scores, inverse, sparsity, seed):
    """The pruned networks of one sparsity, by name, not fine-tuned."""
    masks = {name: top(score, sparsity) for name, score in scores.items()}
    masks["random"] = shuffled(masks["magnitude"], seed)
    found = {name: sparse_training.apply_masks(model, mask) for name, mask in masks.items()}
    found["OBS, no update"] = found["OBS"]
    for name, source in (
        ("OBS", "OBS"), ("Wanda + OBS update", "Wanda"), ("magnitude + OBS update", "magnitude")
    ):  # fmt: skip
        found[name] = updated(model, masks[source], inverse)
    rows = {
        n: torch.stack([prune.topk_mask(row, prune.kept_count(len(row), sparsity)) for row in s])
        for n, s in scores["Wanda"].items()
    }
    return found | {"Wanda, each row": sparse_training.apply_masks(model, rows)}


def fine_tune(model, data, lr, seed, epochs=EPOCHS):
    """A copy trained on with its zeros kept; of a network without zeros, a copy trained on."""
    tuned = copy.deepcopy(model)
    rules = {name: Sparse(prune.sparsity(w)) for name, w in sparse_training.prunable_weights(tuned).items()}
    attach(tuned, rules, refresh="never")
    fit(tuned, data, epochs=epochs, lr=lr, seed=seed, progress=False)
    return bake(tuned)


def best(model, data, seed, bar):
    """The fine-tuned network of the learning rate that validation prefers, and that rate."""
    tried = {}
    for lr in RATES:
        tuned = fine_tune(model, data, lr, seed)
        tried[lr] = (evaluate(tuned, data.validation), tuned)
        bar.update()
    lr = max(tried, key=lambda lr: tried[lr][0])
    return tried[lr][1], lr


def file_size(model):
    """Bytes of the file that mcomp writes for `model`, nothing lost."""
    with tempfile.TemporaryDirectory() as folder:
        return save(model, Path(folder, "model.safetensors"))


def prune_trained(model, data, seed, bar):
    """Methods by name, and curves by criterion: test accuracy before and after fine-tuning."""
    scores, inverse, hessians = score_all(model, data, seed)
    control, lr = best(model, data, seed, bar)
    whole = float32_bytes(model)
    methods = {
        "float32": {"bytes": whole, "accuracy": evaluate(model, data.test)},
        f"float32, {EPOCHS} more epochs (control)": {
            "bytes": whole, "accuracy": evaluate(control, data.test), "lr": lr,
        },
    }  # fmt: skip
    curves = {}
    for sparsity in SPARSITIES:
        for name, pruned in variants(model, scores, inverse, sparsity, seed).items():
            curve = curves.setdefault(
                name, {"before": []} | ({"after": [], "lr": []} if name in TUNED else {})
            )
            curve["before"].append(evaluate(pruned, data.test))
            if name in TUNED and sparsity in TUNED_AT:
                tuned, lr = best(pruned, data, seed, bar)
                curve["after"].append(evaluate(tuned, data.test))
                curve["lr"].append(lr)
                if sparsity in SAVED_AT:
                    method = {"bytes": file_size(tuned), "accuracy": curve["after"][-1], "lr": lr}
                    methods[f"{name}, {100 * sparsity:g} %"] = method
    return methods, curves, planes(model, scores, inverse, hessians)


def planes(model, scores, inverse, hessians):
    """fc1 alone: bits per weight, squared error of its weights and of its outputs, both relative."""
    w, inverse = sparse_training.prunable_weights(model)["fc1.weight"], inverse["fc1.weight"]
    hessian, found = hessians["fc1.weight"], {}

    def power(d):
        return float(((d @ hessian) * d).sum())

    for name in ("magnitude", "OBD", "Wanda", "OBS"):
        found[name] = {"bits": [], "mse": [], "output": []}
        for sparsity in SPARSITIES:
            mask = prune.topk_mask(scores[name]["fc1.weight"], prune.kept_count(w.numel(), sparsity))
            v = prune.obs_update(w, inverse, keep=mask) if name == "OBS" else w * mask
            found[name]["bits"].append(Sparse(sparsity).encode(v).nbits() / w.numel())
            found[name]["mse"].append(float((w - v).square().mean() / w.var(correction=0)))
            found[name]["output"].append(power(w - v) / power(w))
    return found


def images_for_taylor(model, data, seed, bar):
    """Accuracy at 80 % by how many images the gradient sees, and by the mean of |w·g| over batches of 100."""
    weights, found = sparse_training.prunable_weights(model), {"one gradient": [], "mean of batches": []}
    for n in COUNTS:
        x, y = some(data, n, seed)
        one = probe.gradients(model, (x, y))
        parts = [probe.gradients(model, part) for part in zip(x.split(100), y.split(100), strict=True)]
        for name, score in (
            ("one gradient", {k: prune.taylor(w, one[k]) for k, w in weights.items()}),
            ("mean of batches", {k: sum(prune.taylor(w, g[k]) for g in parts) for k, w in weights.items()}),
        ):
            found[name].append(evaluate(sparse_training.apply_masks(model, top(score, 0.8)), data.test))
        bar.update()
    return found


def prune_untrained(data, seed, bar):
    """Prune before training: SNIP's masks, and the same masks with each layer shuffled."""
    torch.manual_seed(seed)
    model = zoo.build("lenet300")
    weights, gradient = (
        sparse_training.prunable_weights(model),
        probe.gradients(model, some(data, 2000, seed)),
    )
    score = {n: prune.taylor(w, gradient[n]) for n, w in weights.items()}
    epochs = zoo.RECIPES["lenet300"]["epochs"] + EPOCHS  # as many as the others have had
    lr, found = zoo.RECIPES["lenet300"]["lr"], {}
    for sparsity in EARLY:
        masks = top(score, sparsity)
        for name, mask in (("SNIP", masks), ("SNIP, shuffled", shuffled(masks, seed))):
            trained = fine_tune(sparse_training.apply_masks(model, mask), data, lr, seed, epochs)
            found.setdefault(name, []).append(evaluate(trained, data.test))
            bar.update()
    return found


def neurons(model, data, seed):
    """Accuracy when whole hidden neurons go, by criterion; with their means kept in the next bias, or not."""
    layers = (("fc1", "relu1", "fc2"), ("fc2", "relu2", "fc3"))
    outputs = probe.outputs(model, some(data, 2000, seed)[0], names=["relu1", "relu2"])
    found = {}
    for name, score in (
        ("random", lambda y, w: prune.random_score(y[0], seed)),
        ("L2 norm of the weights", lambda y, w: w.norm(dim=1)),
        ("mean", lambda y, w: prune.output_mean(y)),
        ("standard deviation", lambda y, w: prune.output_std(y)),
        ("activity", lambda y, w: prune.output_activity(y)),
    ):
        for removed in REMOVED:
            plain, absorbed = copy.deepcopy(model), copy.deepcopy(model)
            for before, relu, after in layers:
                y, w = outputs[relu], model.get_submodule(before).weight.detach()
                keep = prune.topk_mask(score(y, w), prune.kept_count(len(w), removed))
                for network in (plain, absorbed):
                    layer = network.get_submodule(after)
                    if network is absorbed:
                        layer.bias.data += layer.weight.data @ (y.mean(0) * ~keep)
                    layer.weight.data *= keep
            for network, how in ((plain, "zero"), (absorbed, "mean")):
                curve = found.setdefault(name, {"zero": [], "mean": []})[how]
                curve.append(evaluate(network, data.test))
    return found


def transpose(found):
    """From a list of seeds of nested dicts to nested dicts of lists with an entry a seed."""
    if isinstance(found[0], dict):
        return {key: transpose([seed[key] for seed in found]) for key in found[0]}
    return found


def main():
    data, found = mcomp.data.load("fashion-mnist"), []
    runs = len(RATES) * (1 + len(TUNED) * len(TUNED_AT)) + len(COUNTS) + 2 * len(EARLY)
    with tqdm(total=len(SEEDS) * runs, unit="run") as bar:
        for seed in SEEDS:
            model = zoo.load("lenet300", seed)
            methods, curves, plane = prune_trained(model, data, seed, bar)
            figures = {
                "methods": methods,
                "curves": curves,
                "taylor_images": images_for_taylor(model, data, seed, bar),
                "before_training": prune_untrained(data, seed, bar),
                "neurons": neurons(model, data, seed),
                "fc1": plane,
            }
            found.append(figures)
    figures = transpose(found)
    plane = found[0]["fc1"]
    write(
        __file__,
        question="Which criterion keeps the right weights of LeNet-300-100, before and after fine-tuning?",
        network="lenet300",
        seeds=SEEDS,
        sparsities=list(SPARSITIES),
        tuned_sparsities=list(TUNED_AT),
        early_sparsities=list(EARLY),
        image_counts=list(COUNTS),
        neurons_removed=list(REMOVED),
        rate_distortion={name: {k: v for k, v in plane[name].items() if k != "output"} for name in plane},
        **figures,
    )


if __name__ == "__main__":
    main()
