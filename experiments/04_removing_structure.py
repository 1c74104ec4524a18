"""Half the arithmetic of the ResNet gone, channel by channel: what does it cost after fine-tuning?

    python experiments/04_removing_structure.py resnet       (about half an hour on one core)
    python experiments/04_removing_structure.py lenet300     (a minute or two)

ResNet: 0.3 of the channels of every group, by the length of their weights, removed by mcomp and by
torch-pruning, the same widths; and widths that suit two engines (multiples of 16 behind the first block, 8 in
it). Every network, the uncompressed control included, is trained on for four epochs. Seed 0 tries two
learning rates, the validation images choose, and all seeds take that rate; the test images are looked at
once. The widths for the engines are also trained from scratch, for twice as many epochs.

LeNet-300-100: half of the hidden neurons, two of every four weights, or the smaller half of all weights.
"""

import copy
import sys
import tempfile
from pathlib import Path

import torch
import torch_pruning
from common import RESULTS, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import channels, prune, save, zoo
from mcomp.codecs import NMSparse, Sparse, attach, bake
from mcomp.codecs.codes import code_to_bytes
from mcomp.measure import count_parameters, float32_bytes, macs_by_layer
from mcomp.train import evaluate, fit

SEEDS, EPOCHS, SCRATCH_EPOCHS, RATES = (0, 1, 2), 4, 8, (0.001, 0.005)
RATIO, PEER_RATIO = 0.3, 0.295  # the ratios of channels at which the two libraries keep the same widths
WIDTHS = {
    "conv": 8, "block1.conv1": 8, "block2.conv1": 16, "block2.conv2": 16,
    "block3.conv1": 32, "block3.conv2": 48,
}  # fmt: skip
CONTROL = f"float32, {EPOCHS} more epochs (control)"
HALF, PEER = "0.3 of the channels", "the same, torch-pruning"
ENGINE, SCRATCH = "widths for the engine", "these widths, from scratch"


def macs(model):
    return sum(macs_by_layer(model, torch.zeros(1, 1, 28, 28)).values())


def peer(model):
    """torch-pruning, its own importance and its own graph, at the ratio that gives our widths."""
    model = copy.deepcopy(model)
    importance = torch_pruning.importance.GroupMagnitudeImportance(p=2)
    x, options = torch.zeros(1, 1, 28, 28), {"pruning_ratio": PEER_RATIO, "ignored_layers": [model.fc]}
    torch_pruning.pruner.MagnitudePruner(model, x, importance=importance, **options).step()
    return model


def resnets(seed):
    """The networks before fine-tuning, by name."""
    dense = zoo.load("resnet", seed)
    graph = channels.channel_graph(dense, torch.zeros(1, 1, 28, 28))
    scores = channels.l2_scores(dense, graph)
    half = channels.remove_channels(dense, channels.plan_channels(graph, scores, ratio=RATIO))
    engine = channels.remove_channels(dense, channels.plan_widths(graph, scores, WIDTHS))
    made = {CONTROL: dense, HALF: half, PEER: peer(dense), ENGINE: engine}
    assert [p.shape for p in half.parameters()] == [p.shape for p in made[PEER].parameters()]
    return made


def lenets(seed):
    """The same for LeNet-300-100."""
    dense = zoo.load("lenet300", seed)
    graph = channels.channel_graph(dense, torch.zeros(1, 1, 28, 28))
    plan = channels.plan_channels(graph, channels.l2_scores(dense, graph), ratio=0.5)
    made = {CONTROL: dense, "half of the neurons": channels.remove_channels(dense, plan)}
    for name, codec in (("2:4", NMSparse(2, 4)), ("half of the weights", Sparse(0.5))):
        made[name] = copy.deepcopy(dense)
        attach(made[name], {"*.weight": codec}, refresh="never")
    return made


def tuned(model, data, *, lr, seed, epochs=EPOCHS):
    model = copy.deepcopy(model)
    decay = 0.01 if "block1" in dict(model.named_children()) else 0.0
    fit(model, data, epochs=epochs, lr=lr, weight_decay=decay, seed=seed, progress=False)
    return bake(model)


def figures(model, data):
    with tempfile.TemporaryDirectory() as folder:
        size = save(model, Path(folder, "model.safetensors"))
    return {
        "bytes": size, "accuracy": evaluate(model, data.test), "macs": macs(model),
        "parameters": count_parameters(model),
    }  # fmt: skip


def run(networks, data, bar):
    """Fine-tune all networks of all seeds; returns the figures by name and the networks of each seed."""
    rates, found, kept = {}, {}, []
    for seed in SEEDS:
        kept.append({})
        for name, model in networks(seed).items():
            tried = {}
            for lr in [rates[name]] if name in rates else RATES:
                made = tuned(model, data, lr=lr, seed=seed)
                tried[lr] = (evaluate(made, data.validation), made)
                bar.update()
            rates[name] = max(tried, key=lambda lr: tried[lr][0])
            kept[-1][name] = tried[rates[name]][1]
            row = {**figures(kept[-1][name], data), "lr": rates[name]}
            for key, value in row.items():
                found.setdefault(name, {}).setdefault(key, []).append(value)
    found[CONTROL]["bytes"] = [float32_bytes(seed[CONTROL]) for seed in kept]
    return found, kept


def baseline(name, data):
    models = [zoo.load(name, seed) for seed in SEEDS]
    found = {
        "bytes": [float32_bytes(m) for m in models],
        "accuracy": [evaluate(m, data.test) for m in models],
    }
    return {**found, "macs": [macs(m) for m in models], "parameters": [count_parameters(m) for m in models]}


def scratch(models, data, bar):
    """The architectures of `models`, trained from random weights."""
    found = {}
    for seed, model in zip(SEEDS, models, strict=True):
        torch.manual_seed(seed)
        model = copy.deepcopy(model)
        for module in model.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
        made = tuned(model, data, lr=zoo.RECIPES["resnet"]["lr"], seed=seed, epochs=SCRATCH_EPOCHS)
        bar.update()
        for key, value in figures(made, data).items():
            found.setdefault(key, []).append(value)
    return found


def untrained(data):
    """Validation accuracy of half the ResNet before fine-tuning, as it is and recalibrated, by score."""
    few = (data.train[0][:3000], data.train[1][:3000])
    found = {}
    for seed in SEEDS:
        dense = zoo.load("resnet", seed)
        graph = channels.channel_graph(dense, few[0][:1])
        scores = {
            "L1": channels.l1_scores(dense, graph), "L2": channels.l2_scores(dense, graph),
            "γ": channels.gamma_scores(dense, graph), "Taylor": channels.taylor_scores(dense, graph, few),
            "activation": channels.activation_scores(dense, graph, few[0]),
            "random": channels.random_scores(graph, seed),
        }  # fmt: skip
        for name, score in scores.items():
            smaller = channels.remove_channels(dense, channels.plan_channels(graph, score, ratio=RATIO))
            again = channels.recalibrate(smaller, few[0])
            for key, model in (("as it is", smaller), ("recalibrated", again)):
                accuracy = evaluate(model, data.validation)
                found.setdefault(name, {}).setdefault(key, []).append(accuracy)
    return found


def rate_distortion():
    """fc1 of LeNet-300-100, variance 1: bits per weight of the code against mean squared error."""
    w = zoo.load("lenet300", 0).fc1.weight.detach()
    w = w / w.std(correction=0)
    rows = w.norm(dim=1)
    curves = {"N of 4": [NMSparse(n, 4).encode(w) for n in (1, 2, 3)]}
    curves["single weights"] = [Sparse(s).encode(w) for s in (0.75, 0.5, 0.25)]
    codes = {"bits": {}, "mse": {}}
    for name, made in curves.items():
        codes["bits"][name] = [8 * len(code_to_bytes(code)) / w.numel() for code in made]
        codes["mse"][name] = [float(((w - Sparse(0.0).decode(code)) ** 2).mean()) for code in made]
    kept = [prune.topk_mask(rows, round(300 * part)) for part in (0.25, 0.5, 0.75)]
    name = "whole neurons"
    codes["bits"][name] = [8 * len(code_to_bytes(Sparse(0.0).encode(w[keep]))) / w.numel() for keep in kept]
    codes["mse"][name] = [float((w[~keep] ** 2).sum() / w.numel()) for keep in kept]
    return {name: {"bits": codes["bits"][name], "mse": codes["mse"][name]} for name in codes["bits"]}


def lenet300(data, bar):
    found, _ = run(lenets, data, bar)
    write(
        __file__,
        question="Half of LeNet-300-100: whole neurons, two of four weights, or any weights?",
        network="lenet300",
        methods={"float32": baseline("lenet300", data), **found},
        epochs=EPOCHS,
        rate_distortion=rate_distortion(),
    )


def resnet(data, bar):
    found, kept = run(resnets, data, bar)
    found[SCRATCH] = scratch([seed[ENGINE] for seed in kept], data, bar)
    for name, file in ((HALF, "half"), (ENGINE, "engine")):
        save(kept[0][name], RESULTS / f"04_resnet-{file}.safetensors")
    write(
        __file__,
        question="What does half the arithmetic of the ResNet cost, removed channel by channel?",
        network="resnet",
        methods={"float32": baseline("resnet", data), **found},
        epochs=EPOCHS,
        scratch_epochs=SCRATCH_EPOCHS,
        ratio=RATIO,
        widths=WIDTHS,
        untrained=untrained(data),
    )


def main():
    networks = {"lenet300": (lenet300, 16), "resnet": (resnet, 19)}
    if len(sys.argv) != 2 or sys.argv[1] not in networks:
        sys.exit(f"give one of {', '.join(networks)}")
    work, runs = networks[sys.argv[1]]
    with tqdm(total=runs, unit="run") as bar:
        work(mcomp.data.load("fashion-mnist"), bar)


if __name__ == "__main__":
    main()
