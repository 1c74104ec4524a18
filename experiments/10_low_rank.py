"""How few parameters does LeNet-5 need as products of thin factors? Low rank on three seeds.

    python experiments/10_low_rank.py      (about twenty minutes on one core)

Ranks for 4, 8 and 16 times fewer parameters come from one pool of all singular values. Each network, the
uncompressed control included, is trained on for three epochs, all alike tuned on one grid of learning rates
by seeds 0 and 1 on the validation images; the test images are looked at once. At 8 times the other ways to
cut a convolution are tried as well, the activation-aware one with training. Before any training, plain and
activation-aware factors of fc1 are compared, rank by rank. Milliseconds are medians on one thread of the
machine that ran it.
"""

import tempfile
from pathlib import Path

import torch
from common import by_seed, tuned_training, write

import mcomp.data
from mcomp import load, save, zoo
from mcomp.codecs import LowRank, Uniform, attach
from mcomp.measure import count_parameters, float32_bytes, latency, macs_by_layer
from mcomp.structure import choose_ranks, factorize, input_grams
from mcomp.train import evaluate

SEEDS, FACTORS = (0, 1, 2), (4, 8, 16)
TUNED, EPOCHS, GRID = (0, 1), 3, (0.0005, 0.0015, 0.0045)
CONTROL, AWARE = f"float32, {EPOCHS} more epochs (control)", "channel, activation-aware"
RANKS = (2, 4, 8, 16, 24, 32, 48)
SAMPLE = 2000  # training images whose activations are looked at
EIGHT = Uniform(8, axis=0)


def budget(model, factor):
    """The weights that a network with `factor` times fewer parameters has; biases all stay."""
    biases = sum(p.numel() for p in model.parameters() if p.ndim == 1)
    return count_parameters(model) // factor - biases


def variants(model, x):
    """Networks with 8 times fewer parameters, by name."""
    weights = budget(model, 8)
    by_channel = choose_ranks(model, weights, conv="channel")
    grams = input_grams(model, x, conv="channel")
    aware = choose_ranks(model, weights, conv="channel", grams=grams)
    tucker = {**choose_ranks(model, weights), "conv2": (40, 18)}  # 20,360 weights, where spatial has 21,350
    return {
        "channel": factorize(model, by_channel, conv="channel"),
        "channel, activation-aware": factorize(model, aware, conv="channel", grams=grams),
        "Tucker-2": factorize(model, tucker),
    }


def begun(seed, data):
    """Every network of a seed that is trained on, by name, and those that aren't."""
    model = zoo.load("lenet5", seed)
    ways = variants(model, data.train[0][:SAMPLE])
    small = {
        f"low rank, {k}× fewer": factorize(model, choose_ranks(model, budget(model, k))) for k in FACTORS
    }
    return {CONTROL: factorize(model, {}), **small, AWARE: ways.pop(AWARE)}, {"float32": model, **ways}


def written(model, like):
    """Bytes of the file of `model`, and what it holds when it is opened again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        return save(model, path), load(path, model=like)


def figures(model, data, **more):
    """What is known of a network: bytes of its file, test accuracy, parameters, MACs, milliseconds."""
    nbytes, opened = written(model, factorize(model, {}))
    x = data.test[0]
    return {
        "bytes": nbytes,
        "accuracy": evaluate(opened, data.test),
        "parameters": count_parameters(opened),
        "macs": sum(macs_by_layer(opened, x[:1]).values()),
        "milliseconds": latency(opened, x[:1], progress=False).median_ms,
        "milliseconds_256": latency(opened, x[:256], progress=False).median_ms,
        **more,
    }


def one_seed(before, trained, others, data):
    """All figures of one seed, by method, and those of the other ways to cut."""
    model = others.pop("float32")
    methods = {"float32": figures(model, data), CONTROL: figures(trained[CONTROL], data)}
    for row in methods.values():
        row["bytes"] = float32_bytes(model)
    for name in (name for name in trained if name.startswith("low rank")):
        methods[name] = figures(trained[name], data, before=evaluate(before[name], data.test))
        rounded, plain = (factorize(trained[name], {}) for _ in range(2))
        attach(rounded, {"*.weight": EIGHT})
        nbytes, opened = written(rounded, plain)
        methods[f"{name}, 8 bit"] = {"bytes": nbytes, "accuracy": evaluate(opened, data.test)}
    ways = {AWARE: figures(trained[AWARE], data, before=evaluate(before[AWARE], data.test))}
    for name, small in others.items():
        macs = sum(macs_by_layer(small, data.test[0][:1]).values())
        ways[name] = {"before": evaluate(small, data.test), "macs": macs}
    return methods, ways


def aware_by_rank(network, seed, data):
    """Test accuracy with only fc1 factorized and nothing trained: plain and activation-aware, by rank."""
    model = zoo.load(network, seed)
    grams = {"fc1": input_grams(model, data.train[0][:SAMPLE])["fc1"]}
    return {
        name: [evaluate(factorize(model, {"fc1": r}, grams=g), data.test) for r in RANKS]
        for name, g in (("plain", None), ("activation-aware", grams))
    }


def rate_distortion():
    """Bits per weight and mean squared error on fc1 of LeNet-300-100, in units of its variance."""
    w = zoo.load("lenet300").fc1.weight.detach().numpy()
    w, curves = w / w.std(), {}
    for name, then in (
        ("LowRank", None),
        ("LowRank | Uniform(8)", EIGHT),
        ("LowRank | Uniform(6)", Uniform(6, axis=0)),
    ):
        codecs = [LowRank(r) if then is None else LowRank(r) | then for r in (4, 8, 16, 32, 64, 128)]
        codes = [codec.encode(w) for codec in codecs]
        errors = [
            float(((w - codec.decode(code)) ** 2).mean()) for codec, code in zip(codecs, codes, strict=True)
        ]
        curves[name] = {"bits": [code.nbits() / w.size for code in codes], "mse": errors}
    return curves


def main():
    torch.set_num_threads(1)
    data = mcomp.data.load("fashion-mnist")
    starts, others = zip(*(begun(seed, data) for seed in SEEDS), strict=True)
    tuned, models = tuned_training(starts, data, grid=GRID, tuning=TUNED, epochs=EPOCHS)
    found = [one_seed(*three, data) for three in zip(starts, models, others, strict=True)]
    write(
        __file__,
        question="How few parameters does LeNet-5 need as products of thin factors?",
        network="lenet5",
        methods=by_seed([methods for methods, _ in found]),
        seeds=SEEDS,
        tuned=tuned,
        variants=by_seed([ways for _, ways in found]),
        ranks=list(RANKS),
        aware={n: by_seed([{k: {"accuracy": v} for k, v in aware_by_rank(n, s, data).items()} for s in SEEDS])
               for n in ("lenet300", "lenet5")},
        rate_distortion=rate_distortion(),
    )  # fmt: skip


if __name__ == "__main__":
    main()
