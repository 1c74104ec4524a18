"""A small mixture of experts from two networks: one learned code, the other prose, a gate shares the bytes.

    python experiments/19_mixture.py      (about 12 minutes on one core)

Prose is the docstrings and the lines of comment in Python's standard library, code all other lines. A small
network (three layers, 64 wide) reads both for 300 steps. Copies of it go on: on code, or on prose, 150 steps
each; or on both for 300, which is the same windows. "mixture": as Sukhbaatar et al. 2024 (arXiv:2403.07816)
merge, MLPs of both as experts, everything else in the mean, a linear gate in front of each pair: it starts as
the linear discriminant between the inputs of the two kinds. Each byte goes to one expert, or to both.
"copies": the same from twice the network that read both (Komatsuzaki et al. 2022, arXiv:2212.05055): as many
bytes, as much training, no kinds apart. "averaged": the mean of the two. Then each of these, and the network
that read both, is trained on both for 100 steps. Batches of 16 windows of 128 bytes, half of each kind where
both are read; no balance loss. All rates but the first network's are chosen on validation with seed 0. Bits
per byte are those of the first 2 kB of each kind in each file, in windows of 128 that move on by 64.
"""

import ast
import copy
from itertools import chain

import torch
from common import by_seed, file_size, tune, write
from torch import nn
from tqdm.auto import tqdm

from mcomp.chance import own_seed, own_stream
from mcomp.data import load_text
from mcomp.data.text import stream
from mcomp.gpt import TinyGPT
from mcomp.language import Bits, bits_per_byte, next_byte_loss, windows
from mcomp.merge import Mixture, average
from mcomp.train import one_cycle, parameter_groups
from mcomp.watch import watch

SEEDS, TUNING, GRID, FIRST_RATE = (0, 1, 2), 0, (1e-3, 3e-3, 1e-2), 1e-2
BASE, APART, LAST, BATCH, WIDTH, PART, STRIDE = 300, 150, 100, 16, 128, 2_048, 64
SMALL = {"dim": 64, "layers": 3, "heads": 2, "hidden": 192}
KINDS, DOCUMENTED = ("code", "prose"), (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
APARTS = {"code alone": ("code",), "prose alone": ("prose",), "both": KINDS}
MERGED = ("both", "averaged", *(f"{what}, {k} of 2" for what in ("mixture", "copies") for k in (1, 2)))


def split(data):
    """The bytes of a file in two, (code, prose): whole lines."""
    source = bytes(data.tolist())
    lines, prose = source.split(b"\n"), set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            prose |= set(range(node.body[0].lineno - 1, node.body[0].end_lineno))
    prose |= {i for i, line in enumerate(lines) if line.lstrip().startswith(b"#")}
    parts = ([line for i, line in enumerate(lines) if (i in prose) == wanted] for wanted in (False, True))
    return [torch.tensor([*b"\n".join(part)], dtype=torch.uint8) for part in parts]


def kinds(files):
    """``{kind: {file: bytes}}``, files without lines of a kind left out."""
    found = {name: dict(zip(KINDS, split(data), strict=True)) for name, data in files.items()}
    return {kind: {name: part[kind] for name, part in found.items() if len(part[kind])} for kind in KINDS}


def batches(streams, of, steps, seed):
    """As many batches of windows, each shared by the kinds `of`."""
    chance = {kind: own_stream(f"windows of {kind}, {steps} {len(of)}", seed) for kind in of}
    for _ in range(steps):
        parts = [windows(streams[k], BATCH // len(of), context=WIDTH, generator=chance[k]) for k in of]
        yield torch.cat(parts)


def fit(model, some, steps, lr):
    """A copy of `model`, trained on the batches `some`, its weights in 16 bits."""
    model = copy.deepcopy(model).train()
    maker = torch.optim.AdamW(parameter_groups(model, 0.1), betas=(0.9, 0.95), fused=True)
    for step, x in enumerate(some):
        for group in maker.param_groups:
            group["lr"] = lr * one_cycle(step, steps, warm=0.1)
        loss = next_byte_loss(model(x[:, :-1]), x)
        maker.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        maker.step()
    for p in model.eval().parameters():
        p.data.copy_(p.data.half())
    return model


class Shared(nn.Module):
    """A `Mixture` that each position asks by itself."""

    def __init__(self, experts, gate, k):
        super().__init__()
        self.mixture = Mixture(experts, gate, k=k)

    def forward(self, x):
        return self.mixture(x.flatten(0, 1)).view_as(x)


def discriminants(model, x):
    """For each layer a gate that tells inputs of ``x["code"]`` from those of ``x["prose"]``: Fisher's."""
    seen = {}
    for kind, some in x.items():
        watch(model, some[:, :-1], lambda name, layer, a, k=kind: seen.update({(name, k): a.flatten(0, 1)}),
              names=[f"layers.{i}.mlp.up_proj" for i in range(len(model.layers))])  # fmt: skip
    gates = []
    for i in range(len(model.layers)):
        a, b = (seen[f"layers.{i}.mlp.up_proj", kind].double() for kind in KINDS)
        spread = (torch.cov(a.T) + torch.cov(b.T)) / 2 + 1e-4 * torch.eye(a.shape[1], dtype=a.dtype)
        direction, middle = torch.linalg.solve(spread, a.mean(0) - b.mean(0)), (a.mean(0) + b.mean(0)) / 2
        gate = nn.Linear(a.shape[1], 2)
        gate.weight.data = torch.stack([direction, -direction]).float() / 2
        gate.bias.data = torch.stack([-direction @ middle, direction @ middle]).float() / 2
        gates.append(gate)
    return gates


def mixed(pair, x, k):
    """The mixture of two networks, `k` of two experts asked."""
    model = average(pair)
    gates = discriminants(model, x)
    for i, (layer, gate) in enumerate(zip(model.layers, gates, strict=True)):
        layer.mlp = Shared([copy.deepcopy(one.layers[i].mlp) for one in pair], gate, k)
    return model


def cost(model, files):
    """Bits of each kind and of all, as `Bits`."""
    found = {kind: bits_per_byte(model, part, context=WIDTH, stride=STRIDE) for kind, part in files.items()}
    together = zip(*found.values(), strict=True)
    return found | {"all": Bits(*(tuple(chain(*part)) for part in together))}


def products(arm):
    """Multiplications by weights for one byte; the same for the networks that aren't mixtures."""
    d, h = SMALL["dim"], SMALL["hidden"]
    k = int(arm.split(", ")[1][0]) if "of 2" in arm else 0
    return SMALL["layers"] * (4 * d * d + 3 * d * h * max(k, 1) + (2 * d if k else 0)) + 256 * d


def shares(model, files):
    """Of the bytes of each kind the part whose first choice is the expert of code, by layer."""
    found = {}
    for kind, part in files.items():
        x = windows(stream(part), 64, context=WIDTH, generator=own_stream("routes", 0))
        with torch.no_grad():
            model(x[:, :-1])
        found[kind] = [float((layer.mlp.mixture.chosen[:, 0] == 0).double().mean()) for layer in model.layers]
    return found


class Trial:
    """One seed: its first network, what it becomes apart, and what is merged."""

    def __init__(self, seed, streams):
        self.seed, self.streams = seed, streams
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(own_seed("a network of two kinds", seed))
            start = TinyGPT(**SMALL)
        self.base = fit(start, batches(streams, KINDS, BASE, seed), BASE, FIRST_RATE)

    def apart(self, arm, lr):
        steps = APART * len(APARTS[arm])
        return fit(self.base, batches(self.streams, APARTS[arm], steps, self.seed), steps, lr)

    def merge(self, nets):
        """Every arm before its last training."""
        chance = own_stream("windows of a gate", self.seed)
        x = {k: windows(s, 64, context=WIDTH, generator=chance) for k, s in self.streams.items()}
        pairs = {"mixture": [nets["code alone"], nets["prose alone"]], "copies": [nets["both"]] * 2}
        found = {f"{what}, {k} of 2": mixed(pair, x, k) for what, pair in pairs.items() for k in (1, 2)}
        return {"both": nets["both"], "averaged": average(pairs["mixture"])} | found

    def last(self, model, lr):
        return fit(model, batches(self.streams, KINDS, LAST, self.seed), LAST, lr)


def tuned(trial, validation):
    """The rates of both trainings that validation prefers, each arm's on what it reads."""

    def score(arm, lr):
        of = {kind: validation[kind] for kind in APARTS[arm]}
        return -sum(bits.per_byte for kind, bits in cost(trial.apart(arm, lr), of).items() if kind in of)

    with tqdm(unit="rate") as bar:
        first = tune(list(APARTS), GRID, score, bar=bar)
        begun = trial.merge({arm: trial.apart(arm, lr) for arm, lr in first["chosen"].items()})

        def again(arm, lr):
            return -cost(trial.last(begun[arm], lr), validation)["all"].per_byte

        return {"apart": first, "last": tune(list(MERGED), GRID, again, bar=bar)}


def figures(trial, rates, test):
    nets, found = {arm: trial.apart(arm, lr) for arm, lr in rates["apart"]["chosen"].items()}, {}
    begun = trial.merge(nets)
    done = {arm: trial.last(model, rates["last"]["chosen"][arm]) for arm, model in begun.items()}
    told = {"first": trial.base} | {arm: nets[arm] for arm in APARTS if arm not in MERGED}
    told |= {f"{arm}, begun": model for arm, model in begun.items()} | done
    for arm, model in told.items():
        bits = {kind: found_bits.per_byte for kind, found_bits in cost(model, test).items()}
        found[arm] = bits | {"bytes": file_size(model), "products": products(arm)}
        if "of 2" in arm:
            found[arm]["to the first"] = shares(model, test)
    return found


def main():
    torch.set_num_threads(1)
    text = load_text()
    streams = {kind: stream(files) for kind, files in kinds(text.train).items()}
    validation, test = (
        {kind: {name: data[:PART] for name, data in files.items()} for kind, files in kinds(part).items()}
        for part in (text.validation, text.test)
    )
    trials = [Trial(seed, streams) for seed in SEEDS]
    rates = tuned(trials[SEEDS.index(TUNING)], validation)
    found = [figures(trial, rates, test) for trial in tqdm(trials, unit="seed")]
    write(
        __file__, question="Do two networks, as experts of one, write better than one?", network="tinygpt",
        data="python-source", methods=by_seed(found), seeds=SEEDS, tuned=rates, steps=[BASE, APART, LAST],
        batch=BATCH, width=WIDTH, small=SMALL, stride=STRIDE, part=PART, first_rate=FIRST_RATE,
        bytes_of={kind: len(data) for kind, data in streams.items()},
    )  # fmt: skip


if __name__ == "__main__":
    main()
