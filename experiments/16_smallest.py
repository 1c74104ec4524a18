"""How small does a network get if it is trained for its file? The recipe smallest on three seeds.

    python experiments/16_smallest.py lenet300             (about five CPU minutes a seed with AVX-512 BF16)
    python experiments/16_smallest.py lenet5

Sparsity, rates, epochs, batch, ramp, density, temperature and the number of values were chosen on validation
images (what was tried, on either side of each, is in CHOICES; on lenet5 less of it), the other settings
weren't searched. The test images are asked once, the file is loaded again. Beside it the control, the float
network with the same teachers, loss, rates and epochs; the front (other sparsities); on lenet300 the recipe
with one thing changed at a time; and seed 0 as a processor without vectors would do it, who rounds otherwise.
Figures are kept as they come, so a run that was stopped goes on; --again forgets them.
"""

import copy
import functools
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import torch
from common import RESULTS, by_seed, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import load, zoo
from mcomp.files import write_atomic
from mcomp.measure import float32_bytes
from mcomp.pipeline import compress, load_recipe, teachers, teaching
from mcomp.stages import can_halve, halved, on_features
from mcomp.train import evaluate, fit, predict

SEEDS = (0, 1, 2)
WHOLE, CONTROL, SMALL = "float32", "float32, trained on (control)", "smallest"
FRONT = {  # other sparsities, with what goes with them
    "lenet300": {0.955: {}, 0.986: {}, 0.992: {}, 0.997: {}},
    "lenet5": {0.968: {"trunk": {"sparsity": 0.9}}, 0.9945: {"trunk": {"sparsity": 0.975}}},
}
FORMER = {"prune": {"sparsity": 0.9803, "lr": 0.004}, "share": {"lr": 0.001}}  # of lenet300
STEEP = {"prune": {"sparsity": 0.9803, "lr": 0.014}, "share": {"lr": 0.0005}}
OLD = {"trunk": {"sparsity": 0.93, "epochs": 4}, "prune": {"sparsity": 0.986}, "share": {"lr": 0.001}}
FIVE = {"trunk": {"sparsity": 0.95, "epochs": 8}, "prune": {"sparsity": 0.9873}, "share": {"lr": 0.0005}}
CHOICES = {  # judged by validation and bytes, by the seeds that stand beside: --choose
    "lenet300": [
        ((0, 1, 2), {}),
        ((0, 1), {"share": {"lr": 0.00025}}),
        ((0, 1), {"share": {"epochs": 6}}),
        ((0, 1), {"batch_size": 128}),
        ((0, 1), {"batch_size": 512}),
        ((0, 1), {"prune": {"ramp": 0.75}}),
        ((0, 1), {"prune": {"ramp": 0.45}}),
        ((0, 1, 2), STEEP),
        ((0, 1, 2), STEEP, {"prune": {"epochs": 30}}),
        ((0, 1, 2), STEEP, {"prune": {"epochs": 8}}),
        ((0, 1, 2), STEEP, {"prune": {"lr": 0.02}}),
        ((0, 1, 2), FORMER),
        ((0, 1), FORMER, {"prune": {"lr": 0.002}}),
        ((0, 1), FORMER, {"prune": {"lr": 0.008}}),
        ((0, 1), FORMER, {"share": {"lr": 0.0005}}),
        ((0, 1, 2), FORMER, {"prune": {"sparsity": 0.982}}),
        ((0, 1, 2), FORMER, {"prune": {"sparsity": 0.9805, "epochs": 30, "lr": 0.002}}),
        ((0, 1, 2), FORMER, {"prune": {"sparsity": 0.9815, "epochs": 60}, "share": {"epochs": 8}}),
        ((0, 1, 2), FORMER, {"prune": {"sparsity": 0.98, "spread": 0.25}}),
        ((0, 1, 2), FORMER, {"prune": {"sparsity": 0.981}, "share": {"values": 3}}),
        ((0, 1, 2), FORMER, {"prune": {"sparsity": 0.982}, "temperature": 2.5}),
        ((0, 1, 2), FORMER, {"prune": {"sparsity": 0.979, "epochs": 8}}),
        ((0, 1, 2), FORMER, {"prune": {"spread": 0.06}}),
        ((0, 1, 2), FORMER, {"share": {"values": 7}}),
        ((0, 1, 2), FORMER, {"temperature": 1.0}),
    ],
    "lenet5": [
        ((0,), OLD),
        ((0,), OLD, {"trunk": {"epochs": 6}, "prune": {"epochs": 60}, "share": {"epochs": 4}}),
        ((0,), OLD, {"trunk": {"epochs": 6}, "share": {"epochs": 4}}),
        ((0,), OLD, {"trunk": {"sparsity": 0.95}, "prune": {"sparsity": 0.9855}}),
        ((0,), OLD, {"trunk": {"sparsity": 0.9}, "prune": {"sparsity": 0.988}}),
        ((0,), OLD, {"prune": {"lr": 0.002}}),
        ((0,), OLD, {"temperature": 2.5}),
        ((0,), OLD, {"trunk": {"sparsity": 0.95}, "prune": {"lr": 0.002}}),
        ((0,), OLD, {"trunk": {"sparsity": 0.95}, "prune": {"lr": 0.001}}),
        ((0,), OLD, {"trunk": {"sparsity": 0.95, "lr": 0.001}, "prune": {"lr": 0.002}}),
        ((0,), OLD, {"trunk": {"sparsity": 0.95}, "prune": {"lr": 0.002, "epochs": 30}}),
        ((0, 1), FIVE, {"trunk": {"epochs": 4}, "prune": {"sparsity": 0.9865}}),
        ((0, 1), FIVE, {"trunk": {"epochs": 4}, "prune": {"sparsity": 0.987, "lr": 0.008}}),
        ((0, 1), FIVE),
        ((0,), FIVE, {"prune": {"sparsity": 0.9865}}),
        ((0,), FIVE, {"trunk": {"lr": 0.004}}),
        ((0, 1), FIVE, {"trunk": {"epochs": 14}}),
    ],
}
IDEAS = {
    "one teacher": {"teachers": 1},
    "score without slope": {"prune": {"steepness": 0.0}},
    "score without density": {"prune": {"spread": 0.0}},
    "values without price": {"share": {"price": 0.0}},
    "as numbered": {"tidy": False},
    "four times the epochs": {"prune": {"epochs": 60}},
}
OTHER = {"ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "ONEDNN_MAX_CPU_ISA": "SSE41"}


def changed(network, *changes):
    """The recipe for this network as a dict, with each of these changes, the later over the earlier."""
    values = asdict(load_recipe("smallest", network))
    for key, value in (item for change in changes for item in change.items()):
        values[key] = values[key] | value if isinstance(value, dict) else value
    return values


@functools.cache
def answers(count):
    """The mean logits of so many teachers on the training images, made once for all seeds and runs."""
    path = Path(tempfile.gettempdir(), f"16_answers_{count}.pt")
    if not path.is_file():
        recipe, x = load_recipe({"teacher": "resnet", "teachers": count}), mcomp.data.load().train[0]
        torch.save(sum(predict(teacher, x) for teacher in teachers(None, recipe)) / count, path)
    return torch.load(path)


def control(model, recipe, data):
    """The same network, uncompressed, trained on as long and from the same teachers as the small one."""
    trained = copy.deepcopy(model)
    options = {
        "loss": teaching(model, recipe, data, answers=answers(recipe.teachers)),
        "seed": recipe.seed,
        "batch_size": recipe.batch_size,
    }
    learn = halved(recipe.half)(fit)
    stages = [recipe.trunk] * bool(recipe.trunk.until) + [recipe.prune, recipe.share]
    for stage in stages:
        rest, given = trained, data
        if stage is recipe.prune and recipe.trunk.until:
            rest, given = on_features(trained, data, recipe.trunk.until)
        learn(rest, given, epochs=stage.epochs, lr=stage.lr, progress=False, **options)
    return trained


def judged(model, nbytes, data, seconds):
    """One seed's figures."""
    return {
        "bytes": nbytes,
        "accuracy": evaluate(model, data.test),
        "validation": evaluate(model, data.validation),
        "cpu_seconds": seconds,
    }


def small(network, seed, data, *changes, path=None):
    """The figures of the file that the recipe, changed so, makes of this seed's network."""
    model, recipe = zoo.load(network, seed), load_recipe(changed(network, *changes))
    taught = answers(recipe.teachers)
    with tempfile.TemporaryDirectory() as folder:
        path = path or Path(folder, "small.safetensors")
        begin = time.process_time()
        nbytes = compress(model, recipe, data, answers=taught, progress=False).save(path)
        return judged(load(path), nbytes, data, time.process_time() - begin)


def whole(network, seed, data, trained):
    """The figures of the float network, or of the control."""
    model, begin = zoo.load(network, seed), time.process_time()
    recipe, nbytes = load_recipe("smallest", network), float32_bytes(model)
    model = control(model, recipe, data) if trained else model
    return judged(model, nbytes, data, time.process_time() - begin if trained else 0.0)


def jobs(network):
    """What is to be measured, by name: a function of seed and data."""
    kept = lambda seed: RESULTS / f"16_{network}-{seed}.safetensors"  # noqa: E731
    found = {
        SMALL: lambda seed, data: small(network, seed, data, path=kept(seed)),
        WHOLE: lambda seed, data: whole(network, seed, data, trained=False),
        CONTROL: lambda seed, data: whole(network, seed, data, trained=True),
    }
    for sparsity, more in FRONT[network].items():
        change = more | {"prune": {"sparsity": sparsity}}
        found[f"sparsity {sparsity}"] = lambda seed, data, c=change: small(network, seed, data, c)
    for name, change in IDEAS.items() if network == "lenet300" else ():
        found[name] = lambda seed, data, c=change: small(network, seed, data, c)
    return found


def choose(network):
    """Print what validation says of each choice; no test image is asked."""
    torch.set_num_threads(1)
    data = mcomp.data.load()
    for seeds, *changes in CHOICES[network]:
        for seed in seeds:
            found = small(network, seed, data, *changes)
            print(network, changes, seed, found["bytes"], found["validation"], flush=True)


def elsewhere(network):
    """The figures of seed 0 in a process that calls no kernel with wide vectors."""
    command = [sys.executable, __file__, network, "--one"]
    done = subprocess.run(command, env=os.environ | OTHER, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def one(network):
    """What `elsewhere` runs: prints the figures."""
    torch.set_num_threads(1)
    print(json.dumps(small(network, 0, mcomp.data.load()) | {"half": can_halve()}))


def main(network, again):
    """Measure what isn't kept yet, one after the other, and write the result."""
    torch.set_num_threads(1)
    data, made = mcomp.data.load(), Path(__file__).read_bytes() + json.dumps(changed(network)).encode()
    path = Path(tempfile.gettempdir(), f"16_{network}_{hashlib.sha256(made).hexdigest()[:8]}.json")
    kept = json.loads(path.read_text()) if path.is_file() and not again else {}
    for name, job in tqdm(jobs(network).items(), unit="method"):
        for seed in SEEDS:
            key = f"{name} {seed}"
            if key not in kept:
                kept[key] = job(seed, data)
                print(network, key, kept[key], flush=True)
                write_atomic(path, json.dumps(kept).encode())
    if "elsewhere" not in kept:
        kept["elsewhere"] = elsewhere(network)
        write_atomic(path, json.dumps(kept).encode())
    figures = [{name: kept[f"{name} {seed}"] for name in jobs(network)} for seed in SEEDS]
    write(
        __file__, question="How small does a network get if it is trained for its file?", network=network,
        methods=by_seed(figures), seeds=SEEDS, recipe=changed(network), half=can_halve(),
        elsewhere=kept["elsewhere"], ideas=[name for name in IDEAS if name in jobs(network)],
    )  # fmt: skip


if __name__ == "__main__":
    name = next((a for a in sys.argv[1:] if not a.startswith("-")), "lenet300")
    if "--one" in sys.argv:
        one(name)
    elif "--choose" in sys.argv:
        choose(name)
    else:
        main(name, again="--again" in sys.argv)
