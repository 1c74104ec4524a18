"""How small does a network get if it is trained for its file? The recipe smallest on three seeds.

    python experiments/16_smallest.py lenet300             (a CPU minute a run with AVX-512 BF16, 46 runs)
    python experiments/16_smallest.py lenet5               (ten, 10 runs)

Sparsity, rates, epochs, copies, batch, ramp, density, temperature and the number of values were chosen on
validation images (experiments/16_choices.py; on lenet5 less of it, but the price too), the other settings
weren't searched. The test images are asked once, the file is loaded again. Beside it the control, the float
network with the same teachers, images, loss, rates and epochs; the front (other sparsities); the recipe with
one thing changed at a time; and seed 0 as a processor without wide vectors would do it, who rounds otherwise.
Two runs at a time, a thread each. Figures are kept as they come, so a run that was stopped goes on; --again
forgets them.
"""

import copy
import functools
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import torch
from common import RESULTS, by_seed, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import load, zoo
from mcomp.files import write_atomic
from mcomp.measure import float32_bytes
from mcomp.pipeline import compress, load_recipe, teachers, teaching
from mcomp.stages import can_halve, halved, with_moved
from mcomp.train import evaluate, fit, predict

SEEDS = (0, 1, 2)
WHOLE, CONTROL, SMALL = "float32", "float32, trained on (control)", "smallest"
FRONT = {"lenet300": (0.955, 0.986, 0.992, 0.997), "lenet5": ()}  # other sparsities
IDEAS = {  # what is changed, one thing at a time; images as they are come as often as all come with copies
    "lenet300": {
        "images as they are": {"moved": 0, "prune": {"epochs": 32}, "share": {"epochs": 8}},
        "images as they are, best settings for them": {
            "moved": 0,
            "prune": {"epochs": 15, "lr": 0.008},
            "share": {"epochs": 3},
        },
        "one teacher": {"teachers": 1},
        "score without slope": {"prune": {"steepness": 0.0}},
        "score without density": {"prune": {"spread": 0.0}},
        "values without price": {"share": {"price": 0.0}},
        "as numbered": {"tidy": False},
        "twice the epochs": {"prune": {"epochs": 16}},
    },
    "lenet5": {},
}
OTHER = {"ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "ONEDNN_MAX_CPU_ISA": "SSE41"}


def changed(network, *changes):
    """The recipe for this network as a dict, with each of these changes, the later over the earlier."""
    values = asdict(load_recipe("smallest", network))
    for key, value in (item for change in changes for item in change.items()):
        values[key] = values[key] | value if isinstance(value, dict) else value
    return values


@functools.cache
def answers(count, moved):
    """The mean logits of so many teachers on the images and moved copies, once for all seeds and runs."""
    path = Path(tempfile.gettempdir(), f"16_answers_{count}_{moved}.pt")
    if not path.is_file():
        recipe, (x, _) = load_recipe({"teacher": "resnet", "teachers": count}), images(moved).train
        found = io.BytesIO()
        torch.save(sum(predict(teacher, x) for teacher in teachers(None, recipe)) / count, found)
        write_atomic(path, found.getvalue())
    return torch.load(path)


def images(moved):
    """The training images with the copies that a recipe of seed 0 puts beside them."""
    return with_moved(mcomp.data.load(), moved, seed=0)


def right():
    """The part of the training images, and of their moved copies, that the teachers are right on."""
    hit = answers(3, 1).argmax(1) == images(1).train[1]
    return dict(zip(("as they are", "moved"), hit.float().reshape(2, -1).mean(1).tolist(), strict=True))


def control(model, recipe):
    """The same network, uncompressed, trained on as long and from the same teachers as the small one."""
    trained, data = copy.deepcopy(model), images(recipe.moved)
    options = {
        "loss": teaching(model, recipe, data, answers=answers(recipe.teachers, recipe.moved)),
        "seed": recipe.seed,
        "batch_size": recipe.batch_size,
    }
    learn = halved(recipe.half)(fit)
    for stage in (recipe.prune, recipe.share):
        learn(trained, data, epochs=stage.epochs, lr=stage.lr, progress=False, **options)
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
    taught = answers(recipe.teachers, recipe.moved)
    with tempfile.TemporaryDirectory() as folder:
        path = path or Path(folder, "small.safetensors")
        begin = time.process_time()
        nbytes = compress(model, recipe, data, answers=taught, progress=False).save(path)
        return judged(load(path), nbytes, data, time.process_time() - begin)


def whole(network, seed, data, trained):
    """The figures of the float network, or of the control."""
    model, begin = zoo.load(network, seed), time.process_time()
    recipe, nbytes = load_recipe("smallest", network), float32_bytes(model)
    model = control(model, recipe) if trained else model
    return judged(model, nbytes, data, time.process_time() - begin if trained else 0.0)


def jobs(network):
    """What is to be measured, by name: what is changed in the recipe, or None for the network in floats."""
    front = {f"sparsity {s}": ({"prune": {"sparsity": s}},) for s in FRONT[network]}
    return {SMALL: (), WHOLE: None, CONTROL: None} | front | {n: (c,) for n, c in IDEAS[network].items()}


def measured(network, name, seed):
    """One seed's figures of one job, on one thread."""
    torch.set_num_threads(1)
    data, changes = mcomp.data.load(), jobs(network)[name]
    if changes is None:
        return whole(network, seed, data, trained=name == CONTROL)
    path = RESULTS / f"16_{network}-{seed}.safetensors" if name == SMALL else None
    return small(network, seed, data, *changes, path=path)


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
    """Measure what isn't kept yet, two at a time, and write the result."""
    made = Path(__file__).read_bytes() + json.dumps(changed(network)).encode()
    path = Path(tempfile.gettempdir(), f"16_{network}_{hashlib.sha256(made).hexdigest()[:8]}.json")
    kept = json.loads(path.read_text()) if path.is_file() and not again else {}
    for recipe in [load_recipe(changed(network, *changes or ())) for changes in jobs(network).values()]:
        answers(recipe.teachers, recipe.moved)  # before two ask for them
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        runs = {"elsewhere": (elsewhere, network)}
        runs |= {
            f"{name} {seed}": (measured, network, name, seed) for name in jobs(network) for seed in SEEDS
        }
        asked = {pool.submit(*run): key for key, run in runs.items() if key not in kept}
        for run in tqdm(as_completed(asked), total=len(asked), unit="run"):
            kept[asked[run]] = run.result()
            print(network, asked[run], kept[asked[run]], flush=True)
            write_atomic(path, json.dumps(kept).encode())
    figures = [{name: kept[f"{name} {seed}"] for name in jobs(network)} for seed in SEEDS]
    write(
        __file__, question="How small does a network get if it is trained for its file?", network=network,
        methods=by_seed(figures), seeds=SEEDS, recipe=changed(network), half=can_halve(),
        elsewhere=kept["elsewhere"], ideas=list(IDEAS[network]), teachers_right=right(),
    )  # fmt: skip


if __name__ == "__main__":
    name = next((a for a in sys.argv[1:] if not a.startswith("-")), "lenet300")
    if "--one" in sys.argv:
        one(name)
    else:
        main(name, again="--again" in sys.argv)
