"""One image at a time: how long is a call, by its place in a row of calls?

    python experiments/17_stream.py     (five minutes, on a quiet machine)

A camera or a server calls one network over and over; a program that does other things calls it now and then.
Between, other code and data take the caches and the processor's predictions. Here each arm is called CALLS
times in a row with one image, one thread, before the next arm has its row; each round begins with the next
arm, and each call is timed by itself, on the clock. Stored are, by place in the row, quartiles over rounds of
milliseconds: 1, right after other engines; 2, which `17_engines.py` times; and so on. "stream" is the median
of the second half of a row, and "times" torch's stream over it in the same round, so that a drift of the
machine's speed cancels. All arms get the same images, another one in each call.
"""

import tempfile
from pathlib import Path
from time import perf_counter

import arms
import numpy as np
import torch
from common import write
from tqdm.auto import tqdm

import mcomp.data

NETWORKS = ("lenet5", "resnet")
ROUNDS, CALLS = 24, 160
PLACES = (1, 2, 3, 5, 10, 20, 40, 80, 160)


def functions(name, data, folder):
    """Torch and every arm that is installed, but for the C file, as a function of one image."""
    model, found = arms.network(name, 0).eval(), {}
    whole = arms.integers(model, data)
    for arm in arms.OWN:
        found[arm] = arms.loaded(arm, None, model)
    for arm, how in tqdm(arms.found()[0].items(), desc=f"files of {name}", unit="file"):
        if how.engine != "c":
            path = how.file(folder, name, 1)
            arms.export(how, model, whole, path, data=data, batch=1)
            found[arm] = arms.loaded(arm, path, model)
    return found


def row(function, images):
    """Milliseconds of each call."""
    taken = []
    for x in images:
        begin = perf_counter()
        function(x)
        taken.append(1000 * (perf_counter() - begin))
    return taken


def rows(found, images):
    """Milliseconds by arm, (rounds, calls): arms in turn, each round begins with the next."""
    names, taken = list(found), {name: [] for name in found}
    for start in tqdm(range(-1, ROUNDS), desc="rounds", unit="round"):  # the first one is thrown away
        at = start % len(names)
        for name in names[at:] + names[:at]:
            taken[name].append(row(found[name], images))
    return {name: np.array(t[1:]) for name, t in taken.items()}


def quartiles(values):
    return [float(q) for q in np.quantile(values, [0.25, 0.5, 0.75])]


def told(taken):
    """By arm the quartiles of the docstring."""
    stream = {name: np.median(t[:, CALLS // 2 :], axis=1) for name, t in taken.items()}
    return {
        name: {
            "places": {str(place): quartiles(t[:, place - 1]) for place in PLACES},
            "stream": quartiles(stream[name]),
            "times": quartiles(stream["torch"] / stream[name]),
            "times, second call": quartiles(taken["torch"][:, 1] / t[:, 1]),
        }
        for name, t in taken.items()
    }


def main():
    torch.set_num_threads(1)
    data, found = mcomp.data.load("fashion-mnist"), {}
    images = [x[None].contiguous() for x in data.test[0][:CALLS]]
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        for name in NETWORKS:
            found[name] = told(rows(functions(name, data, Path(folder)), images))
    write(
        __file__,
        question="How long is a call of one image, by its place in a row of calls?",
        network=list(NETWORKS),
        methods={},
        seeds=(0,),
        calls=CALLS,
        rounds=ROUNDS,
        row=found,
        machine=arms.machine(),
        engines=arms.versions(),
    )


if __name__ == "__main__":
    main()
