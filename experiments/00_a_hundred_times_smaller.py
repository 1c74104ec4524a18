"""How small does a network get, and at what accuracy? The recipe deep-compression on three seeds.

    python experiments/00_a_hundred_times_smaller.py lenet300      (about ten minutes on two cores)
    python experiments/00_a_hundred_times_smaller.py lenet5        (about half an hour)

The control is the uncompressed network given the same extra training: the same teacher, loss, learning rate
and epochs as the stage that prunes. Two seeds run side by side, one thread each; the small files are kept.
"""

import copy
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context

import torch
from common import RESULTS, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import load, zoo
from mcomp.measure import float32_bytes, latency
from mcomp.pipeline import compress, load_recipe, teaching
from mcomp.train import evaluate, fit

SEEDS = (0, 1, 2)
WHOLE, CONTROL, SMALL = "float32", "float32, trained on (control)", "deep compression"


def control(model, recipe, data):
    """The same network, uncompressed, trained on as long and from the same teacher as the pruned one."""
    trained = copy.deepcopy(model)
    options = {"loss": teaching(model, recipe, data), "seed": recipe.seed, "batch_size": recipe.batch_size}
    fit(trained, data, epochs=recipe.prune.epochs, lr=recipe.prune.lr, progress=False, **options)
    return trained


def judged(model, nbytes, data, seconds):
    """One seed's figures: the file's bytes, accuracy on validation and test, latency at batch 1 and 256."""
    x = data.test[0]
    return {
        "bytes": nbytes,
        "accuracy": evaluate(model, data.test),
        "validation": evaluate(model, data.validation),
        "milliseconds": latency(model, x[:1], progress=False).median_ms,
        "milliseconds_256": latency(model, x[:256], progress=False).median_ms,
        "cpu_seconds": seconds,
    }


def one_seed(network, seed):
    """The three rows of one seed; writes its small file."""
    torch.set_num_threads(1)
    data, recipe, model = mcomp.data.load(), load_recipe("deep-compression", network), zoo.load(network, seed)
    whole, path = float32_bytes(model), RESULTS / f"00_{network}-{seed}.safetensors"
    rows = {WHOLE: judged(model, whole, data, 0.0)}
    begin = time.process_time()
    small = compress(model, recipe, data, progress=False)
    small.save(path)
    spent = time.process_time() - begin
    rows[SMALL] = judged(load(path), path.stat().st_size, data, spent)
    begin = time.process_time()
    trained = control(model, recipe, data)
    rows[CONTROL] = judged(trained, whole, data, time.process_time() - begin)
    return rows


def main(network):
    """Run the seeds two at a time and write the result."""
    found = {}
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        jobs = {pool.submit(one_seed, network, seed): seed for seed in SEEDS}
        for job in tqdm(as_completed(jobs), total=len(jobs), desc=network, unit="seed"):
            found[jobs[job]] = job.result()
            print(network, jobs[job], found[jobs[job]][SMALL], flush=True)
    methods = {
        name: {key: [found[seed][name][key] for seed in SEEDS] for key in found[0][name]}
        for name in (WHOLE, CONTROL, SMALL)
    }
    question = f"How small does {network} get, and at what accuracy?"
    recipe = asdict(load_recipe("deep-compression", network))
    write(__file__, question=question, network=network, methods=methods, seeds=SEEDS, recipe=recipe)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "lenet300")
