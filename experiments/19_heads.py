"""Fewer heads of keys and values: from the mean of the heads or from the first, then a little training.

    python experiments/19_heads.py      (about 8 minutes on one core)

The three shipped TinyGPT with four heads of keys and values get two or one, each the mean of its group or the
group's first head, and are trained for 90 steps, a fortieth of their own training, on the same windows, at a
third of its rate (for all; not tuned). The control is the network with its four heads and the same training.
Bits per byte of the first 4 kB of each test file, in windows of 256 that move on by 128, before and after;
"above" the control with a bootstrap over files (95 %); bytes of the cache at 256 positions.
"""

import copy

import torch
from common import by_seed, write
from tqdm.auto import tqdm

from mcomp import zoo
from mcomp.data import load_text
from mcomp.language import CONTEXT, bits_per_byte, bootstrap, fit_text
from mcomp.transformers import cache_bytes, share_heads

SEEDS, STEPS, RATE, BATCH, STRIDE, PART = (0, 1, 2), 90, 1e-3, 8, 128, 4_096


def first_heads(model, kv_heads):
    """As `share_heads`, but each group becomes its first head."""
    model = copy.deepcopy(model)
    before, size = model.config["kv_heads"], model.config["dim"] // model.config["heads"]
    for layer in model.layers:
        for projection in (layer.attention.k_proj, layer.attention.v_proj):
            heads = projection.weight.data.view(kv_heads, before // kv_heads, size, -1)
            heads.copy_(heads[:, :1].clone().expand_as(heads))  # the mean of equal heads is the first
    return share_heads(model, kv_heads)


def arms(model):
    return {
        "four heads": copy.deepcopy(model),
        "two, means": share_heads(model, 2), "one, mean": share_heads(model, 1),
        "one, the first": first_heads(model, 1),
    }  # fmt: skip


def figures(seed, text):
    test = {name: data[:PART] for name, data in text.test.items()}
    found, control = {}, None
    for name, model in tqdm(arms(zoo.load("tinygpt", seed)).items(), unit="arm", desc=f"seed {seed}"):
        before = bits_per_byte(model, test, stride=STRIDE)
        fit_text(model, text.train, steps=STEPS, lr=RATE, batch_size=BATCH, seed=seed, progress=False)
        after = bits_per_byte(model, test, stride=STRIDE)
        control = control or after
        found[name] = {
            "before": before.per_byte, "bits_per_byte": after.per_byte,
            "above": after.per_byte - control.per_byte, "interval": bootstrap(after, control),
            "cache": cache_bytes(model, CONTEXT), "weights": sum(p.numel() for p in model.parameters()),
        }  # fmt: skip
    return found


def main():
    torch.set_num_threads(1)
    text = load_text()
    found = [figures(seed, text) for seed in SEEDS]
    write(
        __file__, question="What do fewer heads of keys and values cost?", network="tinygpt",
        data="python-source", methods=by_seed(found), seeds=SEEDS, steps=STEPS, rate=RATE,
        trained=zoo.RECIPES["tinygpt"]["steps"], stride=STRIDE, context=CONTEXT,
    )  # fmt: skip


if __name__ == "__main__":
    main()
