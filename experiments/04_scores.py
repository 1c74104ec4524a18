"""Half the ResNet gone, nothing trained: which score leaves most, and does batch norm mislead length?

    python experiments/04_scores.py     (two minutes on one core)

The three shipped networks lose 0.3 of the channels of every group, by each score and by eight random draws,
and are asked as they are and after `recalibrate`. "folded" is the length of the same filters after
batch norm has been multiplied into them: the one thing changed against "length" is batch norm's factor.
LeNet-5, which has no batch norm, is asked the same.
"""

import torch
from common import write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import channels, zoo
from mcomp.structure.fold import fold_batchnorm
from mcomp.train import evaluate

SEEDS, DRAWS, RATIO, FEW = (0, 1, 2), 8, 0.3, 3000


def scores(dense, graph, few):
    """By name: the scores of the groups' channels."""
    found = {
        "sum of |w|": channels.l1_scores(dense, graph),
        "length": channels.l2_scores(dense, graph),
        "Taylor": channels.taylor_scores(dense, graph, few),
        "activation": channels.activation_scores(dense, graph, few[0]),
    }
    if any(isinstance(module, torch.nn.BatchNorm2d) for module in dense.modules()):
        folded = fold_batchnorm(dense)
        found["folded"] = channels.l2_scores(folded, channels.channel_graph(folded, few[0][:1]))
        found["γ"] = channels.gamma_scores(dense, graph)
    return found


def one_seed(name, seed, data, bar):
    """Validation accuracy by score, as it is and recalibrated; of chance, a list with one entry a draw."""
    few = (data.train[0][:FEW], data.train[1][:FEW])
    asked = (data.validation[0][::2], data.validation[1][::2])
    dense = zoo.load(name, seed)
    graph = channels.channel_graph(dense, few[0][:1])
    named = scores(dense, graph, few)
    assert all(set(score) == set(graph.groups) for score in named.values())
    draws = {f"chance {i}": channels.random_scores(graph, 1000 * (seed + 1) + i) for i in range(DRAWS)}
    found = {}
    for key, score in (named | draws).items():
        smaller = channels.remove_channels(dense, channels.plan_channels(graph, score, ratio=RATIO))
        right = {"as it is": evaluate(smaller, asked)}
        if name == "resnet":
            right["recalibrated"] = evaluate(channels.recalibrate(smaller, few[0]), asked)
        found.setdefault("chance" if key.startswith("chance") else key, []).append(right)
        bar.update()
    return {key: {when: [r[when] for r in rows] for when in rows[0]} for key, rows in found.items()}


def experiment(name, data, bar):
    """By score: by moment, one value a seed, which for chance is the mean of its draws; and all draws."""
    found = [one_seed(name, seed, data, bar) for seed in SEEDS]
    means = {
        key: {when: [sum(one[key][when]) / len(one[key][when]) for one in found] for when in found[0][key]}
        for key in found[0]
    }
    return means, [one["chance"] for one in found]


def main():
    data = mcomp.data.load("fashion-mnist")
    with tqdm(total=len(SEEDS) * (6 + 4 + 2 * DRAWS), unit="network") as bar:
        resnet, draws = experiment("resnet", data, bar)
        lenet5, plain = experiment("lenet5", data, bar)
    write(
        __file__,
        question="Without training, which score leaves most, and does batch norm mislead length?",
        network="resnet",
        methods={},
        seeds=SEEDS,
        ratio=RATIO,
        draws=DRAWS,
        untrained={"resnet": resnet, "lenet5": lenet5},
        chance={"resnet": draws, "lenet5": plain},
    )


if __name__ == "__main__":
    main()
