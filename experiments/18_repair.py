"""What makes up for lost weights: the weights that stay, LoRA, or a short training of all. And the control.

    python experiments/18_repair.py      (25 minutes on one core; parts: 18_repair.py LoRA, trained, 0, 1, 2)

The three shipped TinyGPT; text, windows and bits per byte as in 18_weights.py. "Made up": what Wanda keeps
moves to where the layer's outputs are nearest to what they were. AWQ, all inputs: factors also between
values and attention's output layer, and inside the MLP. Dropped: the layers that the windows miss least,
one after the other. Low rank: half the weights of the layers, factors nearest in the weights or, "seen", in
the outputs (chapter 10). LoRA: rank 8 beside every matrix of the layers, whose codes stay; its factors go
to the file in 8 bits, a grid a tensor. Trained arms get 40 steps of 8 windows, at the rate that validation
prefers on the first network, of one grid for LoRA and one for whole networks. Each has a control: the
network as it came, with the same training at the same rate. What 18_weights.py has measured isn't measured
again. Some networks write 64 texts of 256 bytes, with the same draws: of whole lines, the part that Python
reads.
"""

import copy
import importlib
import json
import sys
import tempfile
from pathlib import Path

import torch
from common import by_seed, tune, write
from tqdm.auto import tqdm

import mcomp
from mcomp import zoo
from mcomp.codecs import GroupUniform, NMSparse, Sparse, Uniform, attach
from mcomp.course import results
from mcomp.data import load_text
from mcomp.files import write_atomic
from mcomp.language import CONTEXT, bits_per_byte, bootstrap, fit_text
from mcomp.prune import nm_mask
from mcomp.prune.sparsegpt import sparsegpt
from mcomp.prune.surgeon import damped_inverse, obs_update
from mcomp.ptq import awq, gptq_layers, linear_readers, norm_readers
from mcomp.structure import choose_ranks, drop, factorize, input_grams, lora
from mcomp.train import evaluating
from mcomp.transformers import Cache, chances, parses, run

weights = importlib.import_module("18_weights")
STEPS, BATCH, RANK, TUNING = 40, 8, 8, 0
GRIDS = {"LoRA": (3e-4, 1e-3, 3e-3), "trained": (3e-5, 1e-4, 3e-4)}
TEXTS, BEGIN = 64, b"\n\ndef "


def start(model, x):
    return model


def nearest(bits):
    return lambda model, x: weights.coded(model, GroupUniform(bits))


def gptq(bits):
    return lambda model, x: gptq_layers(weights.coded(model, GroupUniform(bits)), x)


def scaled(bits):
    codec = GroupUniform(bits)

    def method(model, x):
        pairs = norm_readers(model, x) | linear_readers(model, x)
        return weights.coded(awq(model, x, codec=codec, pairs=pairs), codec)

    return method


def made_up(keep, codec):
    """Pruned to what `keep` says of Wanda's scores; what stays moves."""

    def change(w, hessian):
        mask = keep(weights.by_input(w, hessian))
        return obs_update(w.double(), damped_inverse(hessian), keep=mask).to(w)

    return weights.pruned(change, codec)


def dropped(n):
    """Without n layers: those, one by one, that the windows miss least."""

    def method(model, x):
        for _ in range(n):
            stay = [i for i, layer in enumerate(model.layers) if not isinstance(layer, torch.nn.Identity)]
            without = {i: drop(model, [f"layers.{i}"], x=x[:2]) for i in stay}
            model = without[min(stay, key=lambda i: cost(without[i], {"": x.flatten()}))]
        return model

    return method


def low_rank(seen):
    """Half of the layers' weights, in factors of low rank; `seen`: nearest in the outputs for the windows."""

    def method(model, x):
        inside = sum(model.get_parameter(name).numel() for name in weights.layers(model))
        grams = input_grams(model, x) if seen else None
        ranks = choose_ranks(model, model.head.weight.numel() + inside // 2, grams=grams)
        return weights.halved(factorize(model, ranks, grams=grams))

    return method


BEGUN = {
    "as it came": start,
    **{f"{bits} bits, nearest": nearest(bits) for bits in (4, 3, 2)},
    **{f"{bits} bits, GPTQ": gptq(bits) for bits in (3, 2)},
    "3 bits, AWQ, all inputs": scaled(3),
    "half, SparseGPT": weights.pruned(lambda w, h: sparsegpt(w, h, sparsity=0.5)[0], Sparse(0.5)),
    "half, Wanda, made up": made_up(lambda s: nm_mask(s, s.shape[1] // 2, m=s.shape[1]), Sparse(0.5)),
    "2:4, Wanda, made up": made_up(lambda s: nm_mask(s, 2, m=4), NMSparse(2, 4)),
    "5 of 6 layers": dropped(1),
    "4 of 6 layers": dropped(2),
    "low rank": low_rank(seen=False),
    "low rank, seen": low_rank(seen=True),
}
KNOWN = ("as it came", "half, SparseGPT", *(f"{b} bits, {m}" for b in (4, 3, 2) for m in ("nearest", "GPTQ")))
LORA = ("3 bits, GPTQ", "2 bits, GPTQ", "half, SparseGPT")
WHOLE = ("5 of 6 layers", "low rank, seen")
TRAINED = {f"{name}, LoRA": name for name in LORA} | {f"{name}, trained": name for name in WHOLE}


def cost(model, files):
    return bits_per_byte(model, files, stride=weights.STRIDE).per_byte


def beside(model):
    """`model` with LoRA on all matrices of its layers."""
    names = [name.removesuffix(".weight") for name in weights.layers(zoo.build("tinygpt"))]
    return lora(model, names, rank=RANK)


def trained(model, arm, text, lr, seed):
    """A copy after the short training, as it goes to the file: 16 bits, LoRA's factors in 8."""
    model = beside(model) if arm.endswith("LoRA") else copy.deepcopy(model)
    fit_text(model, text.train, steps=STEPS, batch_size=BATCH, lr=lr, seed=seed, progress=False)
    weights.halved(model)
    if arm.endswith("LoRA"):
        attach(model, {"*.down.weight": Uniform(8), "*.up.weight": Uniform(8)})
    return model


def rates(text, kind):
    """The rate of each arm trained like this that validation prefers on the network `TUNING`."""
    part = {name: data[: weights.PART // 8] for name, data in text.validation.items()}
    x = weights.windows(text.train, weights.WINDOWS, TUNING)
    arms = [arm for arm in TRAINED if arm.endswith(kind)]
    begun = {arm: BEGUN[TRAINED[arm]](zoo.load("tinygpt", TUNING), x) for arm in arms}

    def score(arm, lr):
        return -cost(trained(begun[arm], arm, text, lr, TUNING), part)

    with tqdm(unit="rate") as bar:
        return tune(arms, GRIDS[kind], score, bar=bar)


def written(model, seed):
    """The whole lines of the texts that `model` writes, their first bytes given."""
    chance, cache = torch.Generator().manual_seed(seed), Cache(model)
    texts = new = torch.tensor([[*BEGIN]] * TEXTS)
    with evaluating(model):
        for _ in range(CONTEXT - len(BEGIN)):
            new = chances(run(model, new, cache=cache)[:, -1]).multinomial(1, generator=chance)
            texts = torch.cat([texts, new], dim=1)
    return [line for text in texts.tolist() for line in bytes(text).split(b"\n")[:-1]]


def figure(model, test, whole, shell=None):
    """Bytes of the file, and what the network that it gives costs above `whole`."""
    with tempfile.TemporaryDirectory() as folder:
        nbytes = mcomp.save(model, Path(folder, "model"))
        bits = bits_per_byte(mcomp.load(Path(folder, "model"), model=shell), test, stride=weights.STRIDE)
    return {
        "bytes": nbytes, "bits_per_byte": bits.per_byte, "above": bits.per_byte - whole.per_byte,
        "interval": bootstrap(bits, whole),
    }  # fmt: skip


def figures(seed, text, chosen):
    """Of one network: all methods, and the part of written lines that parse for some."""
    test = {name: data[: weights.PART] for name, data in text.test.items()}
    x = weights.windows(text.train, weights.WINDOWS, seed)
    whole, found, parsed = bits_per_byte(zoo.load("tinygpt", seed), test, stride=weights.STRIDE), {}, {}
    for name, method in tqdm(BEGUN.items(), unit="method", desc=f"seed {seed}"):
        model = method(zoo.load("tinygpt", seed), x)
        if name == "as it came" or "bits" in name:
            parsed[name] = parses(written(model, seed))
        arms = {arm: arm for arm, begun in TRAINED.items() if begun == name}
        if name == "as it came":
            arms = {f"control of {arm}": arm for arm in TRAINED}
        for label, arm in arms.items():
            shell = beside(zoo.build("tinygpt")) if arm.endswith("LoRA") else None
            found[label] = figure(trained(model, arm, text, chosen[arm], seed), test, whole, shell)
        if name not in KNOWN:
            found[name] = figure(model, test, whole)
    return {"found": found, "parsed": parsed}


def kept(what, make):
    """What an earlier run of this very script made, or ``make()``, kept for the next."""
    stamp = results.script_hash(Path(__file__))
    path = Path(tempfile.gettempdir(), f"mcomp-18_repair-{stamp}-{what}.json")
    if not path.is_file():
        write_atomic(path, json.dumps(make()).encode())
    return json.loads(path.read_text())


def main(parts=(*GRIDS, *weights.SEEDS)):
    torch.set_num_threads(1)
    text = load_text()
    kinds, seeds = [k for k in parts if k in GRIDS], [int(s) for s in parts if s not in GRIDS]
    tuned = {kind: kept(kind, lambda k=kind: rates(text, k)) for kind in (GRIDS if seeds else kinds)}
    chosen = {arm: lr for found in tuned.values() for arm, lr in found["chosen"].items()}
    made = [kept(seed, lambda s=seed: figures(s, text, chosen)) for seed in seeds]
    if tuple(seeds) != weights.SEEDS:
        return
    lines = [line for data in text.test.values() for line in bytes(data.tolist()).split(b"\n")]
    write(
        __file__, question="What makes up for lost weights?", network="tinygpt", data="python-source",
        methods=by_seed([one["found"] for one in made]), seeds=weights.SEEDS, tuned=tuned, steps=STEPS,
        batch=BATCH, rank=RANK, windows=weights.WINDOWS, stride=weights.STRIDE, part=weights.PART,
        parsed={name: [one["parsed"][name] for one in made] for name in made[0]["parsed"]},
        parsed_of_test=parses(lines), texts=TEXTS,
    )  # fmt: skip


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or (*GRIDS, *weights.SEEDS))
