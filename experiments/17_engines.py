"""Networks in other engines: do they compute the same, how many bytes, and how fast is each?

    python experiments/17_engines.py              everything, with the engines that are installed
    python experiments/17_engines.py agreement    files, agreement, accuracy      (any machine, busy or not)
    python experiments/17_engines.py nodes        where integers differ, operation by operation
    python experiments/17_engines.py memory       peak memory, three processes each        (Linux)
    python experiments/17_engines.py times        times, on a quiet machine       (a few minutes)
    python experiments/17_engines.py agreement resnet litert     of these networks and engines only

`make engines` runs it in the environment that has all engines. What isn't asked for stays in the result as
it was, if this script is still the same. All engines get the same integers: weights, scales and zero points
are mcomp's, nothing is calibrated by an engine. Agreement of floats is the largest difference of a logit from
torch's, over the largest logit; of integers, how many of the outputs on 500 test images aren't mcomp's, and
by how many steps of the last grid. "alone" feeds each operation with mcomp's own integers, and "up to" is the
network cut behind it.

Times are of one thread and of the clock on the wall. In every round each arm runs once to fetch its weights
and then is timed; each round begins with the next arm. Stored are quartiles in milliseconds. "load" is from
the file to the first logits. Memory is what loading and one run add at their peak to a process that has torch
and the engine imported, and the peak of the whole; stored are all processes, the smallest first (not of
torch.compile, whose compiler has processes of its own).
torch.compile compiles anew, without a cache. The C file is compiled by gcc -O2, and runs its batch image by
image.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["TORCHINDUCTOR_CACHE_DIR"] = tempfile.mkdtemp(prefix="mcomp-inductor-")

import arms
import numpy as np
import torch
from arms import ARMS, BATCHES, NETWORKS, OWN
from common import RESULTS, ROOT, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import deploy
from mcomp.course import results
from mcomp.integer.network import IntegerNetwork, Step
from mcomp.integer.steps import Average, Product, Sum
from mcomp.measure import roofline
from mcomp.quantize.grids import dequantize, quantize
from mcomp.train import predict

PARTS = ("agreement", "nodes", "memory", "times")
COMPARED, SHOWN = 500, 50  # test images: of whole networks, and of single operations
PROCESSES = 3  # that tell of an arm's memory
SECONDS, FEWEST, MOST = 12.0, 5, 200  # of rounds for a network and a batch
NODES = ("onnxruntime", "openvino", "litert")  # whose files are written in moments
FILES = ROOT / "build" / "17_engines"


def steps(logits, network):
    """The integers of the last tensor that some logits mean."""
    grid = network.steps[-1].grid
    return np.rint(np.asarray(logits) / np.float32(grid.scale)).astype(int) + grid.zero_point


def ours(network, q):
    """mcomp's own integers, with fixed-point and with float multipliers."""
    return {name: network(q, fixed=name == "fixed").numpy() for name in ("fixed", "float")}


def differ(logits, network, own):
    """How many outputs aren't mcomp's `own`, and by how many steps."""
    theirs, told = steps(logits, network), {"outputs": int(np.prod(logits.shape))}
    for name, q in own.items():
        away = abs(theirs - q)
        told |= {f"{name} differ": int((away > 0).sum()), f"{name} largest": int(away.max())}
    return told


def made(name, seed, data, *, anew=False):
    """The network in floats and in integers, its files by arm and batch, and what was refused."""
    model = arms.network(name, seed).eval()
    whole, paths, refused = arms.integers(model, data), {}, {}
    FILES.mkdir(parents=True, exist_ok=True)
    for arm, how in chosen_arms().items():
        for batch in how.batches(seed):
            path = how.file(FILES, f"{name}-{seed}", batch)
            try:
                if anew or not path.is_file():
                    arms.export(how, model, whole, path, data=data, batch=batch)
            except ValueError as error:
                refused[arm] = str(error).replace(str(FILES), "")
                break
            paths |= {(arm, other): path for other in ([batch] if how.fixed else BATCHES)}
    return model, whole, paths, refused


def agreement(data):
    """Of every network, arm and seed: bytes, accuracy, and how its outputs differ from mcomp's."""
    told = {}
    for name, seeds in tqdm(NETWORKS.items(), desc="agreement", unit="network"):
        if name == "empty" or name not in CHOSEN:
            continue
        told[name] = {"seeds": list(seeds), "arms": {}, "refused": {}}
        for seed in seeds:
            model, whole, paths, refused = made(name, seed, data, anew=True)
            told[name]["refused"] |= refused
            for arm, figures in one_agreement(model, whole, paths, data).items():
                for key, value in figures.items():
                    told[name]["arms"].setdefault(arm, {}).setdefault(key, []).append(value)
        save({"agreement": told})


def one_agreement(model, whole, paths, data):
    x, y = data.test
    floating = predict(model, x)
    most, found = float(floating.abs().max()), {}
    found["torch"] = {"accuracy": float((floating.argmax(1) == y).float().mean())}
    own = {part: ours(network, quantize(x[:COMPARED], network.grid)) for part, network in whole.items()}
    for (arm, batch), path in paths.items():
        if batch != BATCHES[-1]:
            continue
        logits = arms.in_batches(arms.loaded(arm, path, model), x)
        found[arm] = {"bytes": deploy.nbytes(path)}
        found[arm]["accuracy"] = float((logits.argmax(1) == y).float().mean())
        found[arm]["relative"] = float((logits - floating).abs().max()) / most
        if (part := ARMS[arm].grids) is not None:
            found[arm] |= differ(logits[:COMPARED], whole[part], own[part])
    return found


def nodes(data):
    """Of two networks: every operation that computes, alone and with all before it, by arm of integers."""
    told = {}
    for name in CHOSEN & {"lenet5", "resnet"}:
        whole = arms.integers(arms.network(name, 0).eval(), data)["plain"]
        q = quantize(data.test[0][:SHOWN], whole.grid)
        tensors, told[name] = whole.run(q), {}
        for place, step in enumerate(tqdm(whole.steps, desc=f"operations of {name}", unit="operation")):
            if not isinstance(step.run, (Product, Sum, Average)):
                continue
            cut = {"up to": (IntegerNetwork(whole.grid, whole.steps[: place + 1]), q)}
            if len(step.inputs) == 1:
                alone = Step(step.name, ("input",), step.run, step.grid)
                cut["alone"] = IntegerNetwork(step.run.source, (alone,)), tensors[step.inputs[0]]
            for key, (part, source) in cut.items():
                told[name].setdefault(step.name, {})[key] = one_node(part, source)
    save({"nodes": told})


def one_node(part, q):
    x, own, told = dequantize(q, part.grid), ours(part, q), {}
    with tempfile.TemporaryDirectory() as folder:
        for arm, how in chosen_arms().items():
            if how.grids == "plain" and how.engine in NODES:
                path = how.file(folder, "part", len(x))
                options = how.options | ({"batch": len(x)} if how.fixed else {})
                try:
                    deploy.export(how.engine, part, path, example=x, **options)
                    told[arm] = differ(deploy.run(how.engine, path, x), part, own)
                except ValueError as error:
                    told[arm] = {"refused": str(error).replace(folder, "")}
    return told


def memory(data):
    """Of every network, batch and arm: bytes that loading and one run add to a process, and its peak."""
    told = {}
    for name in tqdm([name for name in NETWORKS if name in CHOSEN], desc="memory", unit="network"):
        _, _, paths, _ = made(name, 0, data)
        told[name] = {str(batch): {} for batch in BATCHES}
        own = [("torch", batch) for batch in BATCHES if "torch" in CHOSEN]
        for arm, batch in [*own, *paths]:
            told[name][str(batch)][arm] = one_memory(name, batch, arm, paths.get((arm, batch), ""))
    save({"memory": told})


def one_memory(name, batch, arm, path):
    command = [sys.executable, __file__, "child", name, str(batch), arm, str(path)]
    done = [subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True) for _ in range(PROCESSES)]
    found = [json.loads(one.stdout.splitlines()[-1]) for one in done]
    return {key: sorted(one[key] for one in found) for key in found[0]}


def child(name, batch, arm, path):
    """What `memory` runs: prints the bytes."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = torch.randn(int(batch), 1, 28, 28)
    if arm != "torch":
        deploy.engine(ARMS[arm].engine)
    before = arms.memory()[0]
    arms.forget_peak()
    model = arms.network(name, 0).eval() if arm == "torch" else None
    with torch.no_grad():
        arms.loaded(arm, path, model)(x)
    peak = arms.memory()[1]
    print(json.dumps({"added": peak - before, "peak": peak}))


def times(data):
    """Of every network, batch and arm: quartiles of milliseconds; and how long until the first logits."""
    told, load = {}, {}
    for name in tqdm([name for name in NETWORKS if name in CHOSEN], desc="times", unit="network"):
        model, _, paths, _ = made(name, 0, data)
        told[name], load[name] = {}, {}
        for batch in BATCHES:
            x, functions = data.test[0][:batch].contiguous(), {}
            for arm in (
                *(arm for arm in OWN if arm in CHOSEN),
                *(arm for arm, other in paths if other == batch),
            ):
                functions[arm], first = loaded(arm, name, model, paths.get((arm, batch)), x)
                load[name].setdefault(str(batch), {})[arm] = first
            told[name][str(batch)] = rounds(functions, x)
    ceilings = {str(n): vars(roofline(seconds=2.0, threads=1, nbytes=n)) for n in (2**18, 2**27)}
    found = {"milliseconds": told, "load": load, "roofline": ceilings, "machine": arms.machine()}
    save({"times": found})


def loaded(arm, name, model, path, x):
    """The function of an arm, and the milliseconds from the file to its first logits."""
    begin = perf_counter()
    if arm == "torch":
        model = arms.network(name, 0).eval()
    function = arms.loaded(arm, path, model)
    function(x)
    return function, 1000 * (perf_counter() - begin)


def rounds(functions, x):
    """Quartiles of milliseconds, and how many rounds, by arm."""
    names, taken = list(functions), {name: [] for name in functions}
    for function in functions.values():
        function(x)
    end, start = perf_counter() + SECONDS, 0
    while start < FEWEST or (start < MOST and perf_counter() < end):
        at = start % len(names)
        for name in names[at:] + names[:at]:
            functions[name](x)  # once to bring its weights into the cache
            begin = perf_counter()
            functions[name](x)
            taken[name].append(1000 * (perf_counter() - begin))
        start += 1
    return {name: [float(v) for v in np.quantile(t, [0.25, 0.5, 0.75])] for name, t in taken.items()}


def chosen_arms():
    """The arms that were asked for and whose engine is installed."""
    return {name: arm for name, arm in arms.found()[0].items() if arm.engine in CHOSEN}


def save(new):
    """Into the result, beside what it has from this very script."""
    path = RESULTS / f"{Path(__file__).stem}.json"
    told = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    if told.get("script_sha256") != results.script_hash(__file__):
        told = {}
    told = merged({part: told.get(part, {}) for part in (*PARTS, "engines")}, new)
    told["engines"] = merged(told["engines"], arms.versions())
    write(
        __file__,
        question="Do other engines compute what mcomp computes, and how fast?",
        network=list(NETWORKS),
        methods={},
        compared=COMPARED,
        shown=SHOWN,
        **told,
    )


def merged(old, new):
    """Two dicts of dicts as one; where both have a figure, the new one."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return old | {key: merged(old.get(key, {}), value) for key, value in new.items()}


def main(parts):
    torch.set_num_threads(1)
    data = mcomp.data.load("fashion-mnist")
    with torch.no_grad():
        for part in PARTS:
            if part in parts:
                globals()[part](data)


WORDS = (set(PARTS), set(NETWORKS), {arm.engine for arm in ARMS.values()} | set(OWN))
CHOSEN = set()

if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(*sys.argv[2:])
    elif wrong := set(sys.argv[1:]) - set().union(*WORDS):
        sys.exit(f"asked for: {', '.join(sorted(wrong))}; allowed: {', '.join(sorted(set().union(*WORDS)))}")
    else:
        for words in WORDS:  # of each kind those that were asked for, or all
            CHOSEN |= words & set(sys.argv[1:]) or words
        main(CHOSEN)
