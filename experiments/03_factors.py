"""Which weight, which layer, or the update? Each changed alone, on LeNet-300-100 and six seeds.

    python experiments/03_factors.py      (about twenty minutes on one core)

A pruned network is a ranking (which weights of a layer stay), an allocation (how many stay in each layer)
and an update (the others stand still, or move as Optimal Brain Surgeon says). All combinations are measured
without retraining; some are trained on for two epochs, at a learning rate that validation chooses for each
alike. Scores see training images only, the test images are looked at once. Random masks have a stream of
their own. Files take long to write: bytes are those of two seeds, of four arms.
"""

import copy
import functools
import itertools

import torch
from common import file_size, network, tune, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import prune, sparse_training
from mcomp.codecs import bake
from mcomp.measure import float32_bytes
from mcomp.sparse_training import probe
from mcomp.train import evaluate, fit

SEEDS, TUNED_ON, EPOCHS = (0, 1, 2, 3, 4, 5), (0, 1), 2
RANKINGS = ("random", "magnitude", "Wanda", "OBD", "OBS")
ALLOCATIONS = ("uniform", "magnitude", "OBD", "OBS")
UPDATES = ("none", "OBS")
LEVELS = (0.9, 0.98)
CONTROL = "float32, trained on (control)"
HIGH = (  # at 98 %: every ranking with three allocations, then what Surgeon's update adds
    *itertools.product(RANKINGS[:4], ("uniform", "magnitude", "OBD"), ("none",)),
    ("magnitude", "Erdos-Renyi", "none"),
    *itertools.product(("magnitude", "OBD"), ("OBD",), ("OBS",)),
    ("OBS", "OBS", "OBS"),
)
LOW = (  # at 90 %: the criteria as they come
    *((name, name, "none") for name in ("magnitude", "OBD", "Wanda")),
    ("OBS", "OBS", "OBS"),
)
WEIGHED = [(f"{r} | {a} | none", 0.98) for r, a in itertools.product(("magnitude", "OBD"), repeat=2)]
GRIDS = {0.9: (0.0004, 0.0016, 0.0064), 0.98: (0.004, 0.012, 0.036)}


def some(data, n, seed):
    """`n` training images and their labels, drawn without replacement."""
    rows = torch.randperm(len(data.train[0]), generator=torch.Generator().manual_seed(1000 + seed))[:n]
    return data.train[0][rows], data.train[1][rows]


def look(seed, data):
    """The network of a seed, its scores by criterion, and what the update needs."""
    model = network("lenet300", seed, data)
    weights, (few, _) = sparse_training.prunable_weights(model), some(data, 2000, seed)
    named = weights.items()
    curvature, rms = probe.hessian_diagonal(model, few[:300]), probe.input_rms(model, few)
    hessians = probe.layer_hessians(model, data.train[0])
    inverse = {n: prune.damped_inverse(h.double(), damping=0.01).float() for n, h in hessians.items()}
    scores = {
        "random": {n: prune.random_score(w, 5000 + 10 * seed + i) for i, (n, w) in enumerate(named)},
        "magnitude": {n: prune.magnitude(w) for n, w in named},
        "Wanda": {n: prune.wanda(w, rms[n]) for n, w in named},
        "OBD": {n: prune.obd(w, curvature[n]) for n, w in named},
        "OBS": {n: prune.obs(w, inverse[n]) for n, w in named},
    }
    return model, scores, inverse


def counts(scores, allocation, sparsity):
    """How many weights stay in each layer: by a formula, or as one ranking over all layers has it."""
    shapes = {name: tuple(score.shape) for name, score in scores["magnitude"].items()}
    sizes = {name: score.numel() for name, score in scores["magnitude"].items()}
    total = prune.kept_count(sum(sizes.values()), sparsity)
    if allocation == "uniform":
        return {name: prune.kept_count(n, sparsity) for name, n in sizes.items()}
    if allocation == "Erdos-Renyi":
        return prune.erdos_renyi_counts(shapes, total)
    return {name: int(m.sum()) for name, m in prune.global_topk_masks(scores[allocation], total).items()}


def pruned(seen, arm, sparsity):
    """The network of one arm (ranking, allocation, update), and its masks."""
    (model, scores, inverse), (ranking, allocation, update) = seen, arm
    kept = counts(scores, allocation, sparsity)
    masks = {name: prune.topk_mask(score, kept[name]) for name, score in scores[ranking].items()}
    if update == "none":
        return sparse_training.apply_masks(model, masks), masks
    model = copy.deepcopy(model)
    for name, w in sparse_training.prunable_weights(model).items():
        w.copy_(prune.obs_update(w, inverse[name], keep=masks[name]))  # the copy's own memory
    return model, masks


def trained(seen, arm, sparsity, data, *, lr, seed):
    """A copy of the arm's network trained on with its zeros kept; of the control's, trained on."""
    model, masks = (copy.deepcopy(seen[0]), None) if arm == CONTROL else pruned(seen, arm, sparsity)
    model = sparse_training.attach_masks(model, masks)
    fit(model, data, epochs=EPOCHS, lr=lr, seed=seed, progress=False)
    return bake(model)


def title(arm):
    """An arm's name in the result."""
    return arm if arm == CONTROL else " | ".join(arm)


def compete(arms, sparsity, seen, data, bar):
    """All arms of one sparsity, tuned alike and trained: figures by arm, one a seed; what tune found."""
    named = {title(arm): arm for arm in arms}

    @functools.cache
    def run(name, lr, seed):
        bar.update()
        return trained(seen[seed], named[name], sparsity, data, lr=lr, seed=seed)

    def score(name, lr):
        return sum(evaluate(run(name, lr, seed), data.validation) for seed in TUNED_ON) / len(TUNED_ON)

    tuned = tune(list(named), GRIDS[sparsity], score)
    bar.write(f"{sparsity}: {tuned['grid']} {tuned['chosen']}")
    found = {}
    for name in named:
        models = [run(name, tuned["chosen"][name], seed) for seed in SEEDS]
        found[name] = {"accuracy": [evaluate(model, data.test) for model in models]}
        if (name, sparsity) in WEIGHED:
            found[name]["bytes"] = [file_size(models[seed]) for seed in TUNED_ON]
    return found, tuned


def untrained(seen, data):
    """Test accuracy of every combination without retraining, by sparsity and arm, one a seed."""
    return {
        str(sparsity): {
            title(arm): [evaluate(pruned(seen[seed], arm, sparsity)[0], data.test) for seed in SEEDS]
            for arm in itertools.product(RANKINGS, ALLOCATIONS, UPDATES)
        }
        for sparsity in LEVELS
    }


def main():
    torch.set_num_threads(1)
    data = mcomp.data.load("fashion-mnist")
    seen = {seed: look(seed, data) for seed in SEEDS}
    before = untrained(seen, data)
    with tqdm(unit="run") as bar:
        low, tuned_low = compete((CONTROL, *LOW), 0.9, seen, data, bar)
        high, tuned = compete(HIGH, 0.98, seen, data, bar)
    whole = {"bytes": [float32_bytes(seen[seed][0]) for seed in TUNED_ON]}
    methods = {
        "float32": whole | {"accuracy": [evaluate(seen[seed][0], data.test) for seed in SEEDS]},
        CONTROL: whole | low.pop(CONTROL),
    }
    for sparsity, found in ((0.9, low), (0.98, high)):
        methods |= {f"{name}, {100 * sparsity:g} %": figures for name, figures in found.items()}
    kept = {
        str(sparsity): {a: [counts(seen[s][1], a, sparsity) for s in SEEDS] for a in ALLOCATIONS}
        for sparsity in LEVELS
    }
    write(
        __file__,
        question="Which weight, which layer, or the update: what makes a pruned LeNet-300-100 good?",
        network="lenet300",
        seeds=SEEDS,
        methods=methods,
        tuned=tuned,
        tuned_at_90=tuned_low,
        untrained=before,
        counts=kept,
        epochs=EPOCHS,
        tuned_on=list(TUNED_ON),
    )


if __name__ == "__main__":
    main()
