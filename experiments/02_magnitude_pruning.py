"""How many weights of LeNet-300-100 can go, before and after fine-tuning? Magnitude pruning on three seeds.

    python experiments/02_magnitude_pruning.py      (about ten minutes on two cores)

Three rules at each sparsity: the largest |w| of each layer, the largest |w| of the whole network, and random
weights, as many in each layer as the global rule keeps. Every network, the uncompressed control included, is
trained on for three epochs at three learning rates; the validation images choose the rate, the test images
are looked at once. Sensitivity by layer is measured on validation images, because one chooses by it.
"""

import tempfile
from pathlib import Path

import torch
from common import write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import prune, save, sparse_training, zoo
from mcomp.codecs import Sparse, attach, bake
from mcomp.measure import float32_bytes
from mcomp.train import evaluate, fit

SEEDS = (0, 1, 2)
SPARSITIES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
EPOCHS, RATES = 3, (0.0005, 0.002, 0.004)


def choose(weights, rule, sparsity, seed):
    """The masks of one rule."""
    sizes = {name: w.abs() for name, w in weights.items()}
    if rule == "local":
        return {n: prune.topk_mask(w, prune.kept_count(w.numel(), sparsity)) for n, w in sizes.items()}
    total = sum(w.numel() for w in sizes.values())
    masks = prune.global_topk_masks(sizes, prune.kept_count(total, sparsity))
    if rule == "global":
        return masks
    chance = torch.Generator().manual_seed(seed)
    return {n: prune.topk_mask(torch.rand(m.shape, generator=chance), int(m.sum())) for n, m in masks.items()}


def fine_tune(model, data, lr, seed):
    """A copy trained on with its zeros kept; of a network without zeros, a copy trained on."""
    tuned = sparse_training.apply_masks(model, {})
    rules = {name: Sparse(prune.sparsity(w)) for name, w in sparse_training.prunable_weights(tuned).items()}
    attach(tuned, rules, refresh="never")
    fit(tuned, data, epochs=EPOCHS, lr=lr, seed=seed, progress=False)
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


def one_seed(seed, data, bar):
    """All figures of one seed: methods by name, curves by rule, the sensitivity scan."""
    model = zoo.load("lenet300", seed)
    control, lr = best(model, data, seed, bar)
    whole = float32_bytes(model)
    methods = {
        "float32": {"bytes": whole, "accuracy": evaluate(model, data.test)},
        f"float32, {EPOCHS} more epochs (control)": {
            "bytes": whole, "accuracy": evaluate(control, data.test), "lr": lr,
        },
    }  # fmt: skip
    curves = {}
    for rule in ("local", "global", "random"):
        curves[rule] = {"before": [], "after": [], "lr": []}
        for sparsity in SPARSITIES:
            masks = choose(sparse_training.prunable_weights(model), rule, sparsity, seed)
            pruned = sparse_training.apply_masks(model, masks)
            tuned, lr = best(pruned, data, seed, bar)
            after = evaluate(tuned, data.test)
            for key, value in (("before", evaluate(pruned, data.test)), ("after", after), ("lr", lr)):
                curves[rule][key].append(value)
            if rule == "global":
                name = f"prune {100 * sparsity:g} %, fine-tune"
                methods[name] = {"bytes": file_size(tuned), "accuracy": after, "lr": lr}
    scan = sparse_training.sensitivity_scan(model, lambda m: evaluate(m, data.validation), progress=False)
    return methods, curves, scan


def main():
    data = mcomp.data.load("fashion-mnist")
    runs = len(SEEDS) * len(RATES) * (1 + 3 * len(SPARSITIES))
    with tqdm(total=runs, unit="run") as bar:
        found = [one_seed(seed, data, bar) for seed in SEEDS]
    methods = {
        name: {key: [seed[0][name][key] for seed in found] for key in figures}
        for name, figures in found[0][0].items()
    }
    curves = {
        rule: {key: [seed[1][rule][key] for seed in found] for key in ("before", "after", "lr")}
        for rule in found[0][1]
    }  # by rule and key: (seeds, sparsities)
    write(
        __file__,
        question="How many weights of LeNet-300-100 can go, before and after fine-tuning?",
        network="lenet300",
        methods=methods,
        seeds=SEEDS,
        sparsities=list(SPARSITIES),
        curves=curves,
        sensitivity=[seed[2] for seed in found],
    )


if __name__ == "__main__":
    main()
