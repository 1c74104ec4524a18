"""How few parameters does LeNet-5 need as products of thin factors? Low rank on three seeds.

    python experiments/10_low_rank.py      (about six minutes on one core)

Ranks for 4, 8 and 16 times fewer parameters come from one pool of all singular values. At 8 times one thing
at a time is changed: how conv2 is cut (fc1 keeps its rank, conv2 about its number of weights), then whether
the factors look at the inputs (the ranks stay), then whether the ranks do. Sparse weights with sixteen shared
values stand beside them. All arms, the uncompressed control too, are trained on alike: one epoch of 12,000
images, from labels, the peak learning rate from one grid, by the mean over seeds 0 and 1 on the validation
images. Test images are looked at once. Without training, plain and activation-aware factors of fc1 are
compared, rank by rank.
"""

import copy
import tempfile
from pathlib import Path

import torch
from common import by_seed, tune, write
from torch import nn
from tqdm.auto import tqdm

import mcomp.data
from mcomp import load, save, zoo
from mcomp.codecs import Codebook, LowRank, Sparse, Uniform, attach
from mcomp.measure import count_parameters, float32_bytes, macs_by_layer
from mcomp.structure import choose_ranks, factorize, input_grams
from mcomp.train import evaluate, fit

SEEDS, TUNED, FACTORS, EPOCHS = (0, 1, 2), (0, 1), (4, 8, 16), 1
GRID, IMAGES = (0.0003, 0.001, 0.003), 12_000
RANKS = (2, 4, 8, 16, 24, 32, 48)
SAMPLE = 2000  # training images whose activations are looked at
EIGHT = Uniform(8, axis=0)
CONTROL = "float32, trained on (control)"
SHARED = {"95 % zeros": 0.95}


def budget(model, factor):
    """The weights that a network with `factor` times fewer parameters has; biases all stay."""
    biases = sum(p.numel() for p in model.parameters() if p.ndim == 1)
    return count_parameters(model) // factor - biases


def arms(model, x):
    """Every network that is trained on, by name."""
    made = {CONTROL: copy.deepcopy(model)}
    for factor in FACTORS:
        made[f"low rank, {factor}× fewer"] = factorize(model, choose_ranks(model, budget(model, factor)))
    ranks = choose_ranks(model, budget(model, 8))
    same = ranks | {"conv2": round(ranks["conv2"] * 350 / 550)}  # as many weights, by channel
    grams = input_grams(model, x, conv="channel")
    aware = choose_ranks(model, budget(model, 8), conv="channel", grams=grams)
    made |= {
        "channel": factorize(model, same, conv="channel"),
        "Tucker-2": factorize(model, ranks | {"conv2": (40, 18)}),  # 20,360 weights
        "channel, factors by inputs": factorize(model, same, conv="channel", grams=grams),
        "channel, factors and ranks by inputs": factorize(model, aware, conv="channel", grams=grams),
    }
    for name, sparsity in SHARED.items():
        made[name] = copy.deepcopy(model)
        attach(made[name], {"*.weight": Sparse(sparsity) | Codebook(16)}, refresh="never")
    return made


def written(model, like):
    """Bytes of the file of `model`, and what it holds when it is opened again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        return save(model, path), load(path, model=like)


def figures(model, data, like, **more):
    """What is known of a network: bytes of its file, test accuracy, parameters, MACs."""
    nbytes, opened = written(model, copy.deepcopy(like))
    return {
        "bytes": nbytes,
        "accuracy": evaluate(opened, data.test),
        "parameters": count_parameters(opened),
        "macs": sum(macs_by_layer(opened, data.test[0][:1]).values()),
        **more,
    }


def all_arms(begun, plain, data):
    """What the tuning found, and figures by seed of every arm; a run of the tuning isn't run again."""
    made = {}

    def run(name, lr, seed):
        if (name, lr, seed) not in made:
            model = made[name, lr, seed] = copy.deepcopy(begun[seed][name])
            fit(model, data, epochs=EPOCHS, lr=lr, seed=seed, progress=False)
        return made[name, lr, seed]

    def score(name, lr):
        return sum(evaluate(run(name, lr, s), data.validation) for s in TUNED) / len(TUNED)

    with tqdm(unit="rate") as bar:
        tuned = tune(list(begun[0]), GRID, score, bar=bar)
    found = []
    for seed in tqdm(SEEDS, unit="seed"):
        methods = {"float32": figures(plain[seed], data, plain[seed])}
        for name, start in begun[seed].items():
            model = run(name, tuned["chosen"][name], seed)
            like = plain[seed] if name in SHARED else start
            methods[name] = figures(model, data, like, before=evaluate(start, data.test))
            if name.startswith("low rank"):
                attach(model, {"*.weight": EIGHT})
                methods[f"{name}, 8 bit"] = figures(model, data, start)
        for name in ("float32", CONTROL):
            methods[name]["bytes"] = float32_bytes(plain[seed])
        found.append(methods)
    return tuned, found


def aware_by_rank(network, seed, data):
    """Test accuracy with only fc1 factorized and nothing trained: plain and activation-aware, by rank."""
    model = zoo.load(network, seed)
    model = nn.Sequential(*model.children())
    at = next(i for i, layer in enumerate(model) if isinstance(layer, nn.Linear))
    with torch.no_grad():  # what comes before fc1 is the same for all
        test, seen = (model[:at](x) for x in (data.test[0], data.train[0][:SAMPLE]))
    rest = nn.Sequential(*model[at:])
    gram = {"0": input_grams(rest, seen)["0"]}
    return {
        name: [evaluate(factorize(rest, {"0": r}, grams=g), (test, data.test[1])) for r in RANKS]
        for name, g in (("plain", None), ("activation-aware", gram))
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
    data = mcomp.data.load("fashion-mnist", subset=IMAGES)
    plain = [zoo.load("lenet5", seed) for seed in SEEDS]
    tuned, found = all_arms([arms(model, data.train[0][:SAMPLE]) for model in plain], plain, data)
    aware = {
        n: by_seed([{k: {"accuracy": v} for k, v in aware_by_rank(n, s, data).items()} for s in SEEDS])
        for n in ("lenet300", "lenet5")
    }
    write(
        __file__,
        question="How few parameters does LeNet-5 need as products of thin factors?",
        network="lenet5",
        methods=by_seed(found),
        seeds=SEEDS,
        epochs=EPOCHS,
        images=IMAGES,
        tuned=tuned,
        ranks=list(RANKS),
        aware=aware,
        rate_distortion=rate_distortion(),
    )


if __name__ == "__main__":
    main()
