"""How small does a network get, and at what accuracy? The recipe deep-compression on three seeds.

    python experiments/00_a_hundred_times_smaller.py lenet300      (about six minutes on two cores)
    python experiments/00_a_hundred_times_smaller.py lenet5        (about half an hour)

The control is the uncompressed network given the same extra training: the same teacher, loss, learning rate
and number of epochs as the stage that prunes. The small files are kept beside the figures.
"""

import copy
import sys

from common import RESULTS, write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import load, zoo
from mcomp.measure import float32_bytes, latency
from mcomp.pipeline import compress, load_recipe, teaching
from mcomp.train import evaluate, fit

SEEDS = (0, 1, 2)


def control(model, recipe, data):
    """The same network, uncompressed, trained on as long and from the same teacher as the pruned one."""
    trained = copy.deepcopy(model)
    loss = teaching(model, recipe, data)
    fit(trained, data, epochs=recipe.prune.epochs, lr=recipe.prune.lr, loss=loss, seed=recipe.seed)
    return trained


def judged(model, nbytes, data, **more):
    """One seed's figures: the file's bytes, accuracy on validation and test, latency at batch 1 and 256."""
    x = data.test[0]
    return {
        "bytes": nbytes,
        "accuracy": evaluate(model, data.test),
        "validation": evaluate(model, data.validation),
        "milliseconds": latency(model, x[:1], progress=False).median_ms,
        "milliseconds_256": latency(model, x[:256], progress=False).median_ms,
        **more,
    }


def main(network):
    data, recipe = mcomp.data.load(), load_recipe("deep-compression", network)
    rows = {"float32": [], "float32, trained on (control)": [], "deep compression": []}
    for seed in tqdm(SEEDS, desc=network, unit="seed"):
        model = zoo.load(network, seed)
        whole = float32_bytes(model)
        rows["float32"].append(judged(model, whole, data))
        rows["float32, trained on (control)"].append(judged(control(model, recipe, data), whole, data))
        result = compress(model, recipe, data)
        path = RESULTS / f"00_{network}-{seed}.safetensors"
        result.save(path)
        small = load(path)
        rows["deep compression"].append(judged(small, path.stat().st_size, data, seconds=result.seconds))
    methods = {name: {key: [row[key] for row in found] for key in found[0]} for name, found in rows.items()}
    question = f"How small does {network} get, and at what accuracy?"
    write(__file__, question=question, network=network, methods=methods, seeds=SEEDS)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "lenet300")
