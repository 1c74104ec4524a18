"""Widths that suit two engines, trained for longer and from a teacher: how near to the control do they come?

    python experiments/04_longer.py     (about a quarter of an hour on one core)

All widths are multiples of 16 but the stem's, which is 8. The smaller network and the control, the network
uncompressed, get the same: twelve epochs, one learning rate (which validation preferred for both in
04_removing_structure.py), and as loss half the labels, half the answers of the network as it was.
"""

import copy
import tempfile
from pathlib import Path

import torch
from common import RESULTS, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import channels, save, zoo
from mcomp.distill import teaching
from mcomp.measure import count_parameters, float32_bytes, macs_by_layer
from mcomp.train import evaluate, fit

SEEDS, EPOCHS, LR, TEMPERATURE, ALPHA = (0, 1, 2), 12, 0.005, 2.0, 0.5
WIDTHS = {
    "conv": 8, "block1.conv1": 16, "block2.conv1": 16, "block2.conv2": 16,
    "block3.conv1": 32, "block3.conv2": 48,
}  # fmt: skip
CONTROL, SMALL = "float32, 12 more epochs and a teacher (control)", "widths for the engine"


def one_seed(seed, data, bar):
    """Figures and networks of one seed, by method."""
    dense = zoo.load("resnet", seed)
    graph = channels.channel_graph(dense, data.test[0][:1])
    plan = channels.plan_widths(graph, channels.l2_scores(dense, graph), WIDTHS)
    loss = teaching(dense, data, T=TEMPERATURE, alpha=ALPHA)
    rows, models = {"float32": {"bytes": float32_bytes(dense), "accuracy": evaluate(dense, data.test)}}, {}
    for name, model in ((SMALL, channels.remove_channels(dense, plan)), (CONTROL, copy.deepcopy(dense))):
        fit(model, data, epochs=EPOCHS, lr=LR, weight_decay=0.01, loss=loss, seed=seed, progress=False)
        models[name], x = model, torch.zeros(1, 1, 28, 28)
        with tempfile.TemporaryDirectory() as folder:
            size = save(model, Path(folder, "model.safetensors")) if name == SMALL else float32_bytes(model)
        rows[name] = {"bytes": size, "accuracy": evaluate(model, data.test)}
        rows[name] |= {"macs": sum(macs_by_layer(model, x).values()), "parameters": count_parameters(model)}
        bar.update()
    return rows, models


def main():
    data = mcomp.data.load("fashion-mnist")
    with tqdm(total=2 * len(SEEDS), unit="run") as bar:
        found = [one_seed(seed, data, bar) for seed in SEEDS]
    save(found[0][1][SMALL], RESULTS / "04_resnet-longer.safetensors")
    methods = {
        name: {key: [rows[name][key] for rows, _ in found] for key in figures}
        for name, figures in found[0][0].items()
    }
    write(
        __file__,
        question="How near to the control come widths that suit two engines, with a teacher?",
        network="resnet",
        methods=methods,
        seeds=SEEDS,
        epochs=EPOCHS,
        widths=WIDTHS,
        teacher={"T": TEMPERATURE, "alpha": ALPHA},
    )


if __name__ == "__main__":
    main()
