"""What every experiment shares: all arms tuned alike, figures by seed, and the result with what made it.

A result is written with its command, the versions and the hash of its script.
"""

import copy
import json
import platform
import sys
import tempfile
from pathlib import Path

import numpy
import torch
from tqdm.auto import tqdm

import mcomp
import mcomp.data
from mcomp import train
from mcomp.arrays import bad_value
from mcomp.course import results
from mcomp.files import write_atomic

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
MOST = 12  # values on a grid; a score that still grows there has no maximum worth a search


def tune(arms, grid, score, *, bar=None):
    """Every arm on one grid, with the same number of trials: the value that validation prefers for each.

    While the best value of any arm lies at an end of the grid, the grid grows there by its own ratio, for all
    arms. So no arm wins because its rivals stopped searching early.

    Parameters
    ----------
    arms : sequence of str
    grid : sequence of float
        At least three positive numbers in ascending order, such as learning rates.
    score : callable
        ``score(arm, value)`` is what is maximised: the accuracy on validation images, a mean over seeds.
    bar : tqdm bar, optional
        Moves on by one a trial.

    Returns
    -------
    tuned : dict
        "grid", "scores" by arm (one a value), "chosen" by arm: for the result file, under the key "tuned".

    Raises
    ------
    ValueError
        If the grid is too short, not ascending, or would grow beyond `MOST` values.
    """
    grid = [float(value) for value in grid]
    if len(grid) < 3 or grid[0] <= 0 or sorted(set(grid)) != grid:
        raise bad_value("grid", grid, "at least three positive numbers in ascending order")
    scores = {arm: {} for arm in arms}
    while True:
        for arm, value in ((arm, value) for value in grid for arm in scores if value not in scores[arm]):
            scores[arm][value] = float(score(arm, value))
            if bar is not None:
                bar.update()
        chosen = {arm: max(grid, key=found.get) for arm, found in scores.items()}
        ends = {grid[0], grid[-1]} & set(chosen.values())
        if not ends:
            listed = {arm: [found[value] for value in grid] for arm, found in scores.items()}
            return {"grid": grid, "scores": listed, "chosen": chosen}
        if len(grid) >= MOST:
            raise bad_value("the best value of an arm", sorted(ends), f"one inside a grid of {MOST}: {grid}")
        below = [grid[0] ** 2 / grid[1]] if grid[0] in ends else []
        above = [grid[-1] ** 2 / grid[-2]] if grid[-1] in ends else []
        grid = [*below, *grid, *above]


def tuned_training(begun, data, *, grid, tuning, epochs):
    """Every arm trained on from where it begins, at the learning rate that `tune` finds for it on validation.

    Parameters
    ----------
    begun : list of dict
        By seed, the network of each arm by name. Not changed.
    data, epochs
        As `mcomp.train.fit` takes them; the seed is that of the place in `begun`.
    grid, tuning : sequences
        Learning rates; the seeds whose mean validation accuracy decides.

    Returns
    -------
    tuned : dict, of `tune`
    models : list of dict, as `begun`
    """
    made = {}

    def run(arm, lr, seed):
        if (arm, lr, seed) not in made:
            model = made[arm, lr, seed] = copy.deepcopy(begun[seed][arm])
            train.fit(model, data, epochs=epochs, lr=lr, seed=seed, progress=False)
        return made[arm, lr, seed]

    def score(arm, lr):
        return sum(train.evaluate(run(arm, lr, seed), data.validation) for seed in tuning) / len(tuning)

    with tqdm(unit="rate") as bar:
        tuned = tune(list(begun[0]), grid, score, bar=bar)
    seeds = tqdm(range(len(begun)), unit="seed")
    return tuned, [{arm: run(arm, lr, seed) for arm, lr in tuned["chosen"].items()} for seed in seeds]


def network(name, seed, data=None):
    """The shipped network; beyond its three seeds one trained as those were, kept for the next script.

    `data` has all training images, and is loaded where it isn't given.
    """
    if seed in mcomp.zoo.SEEDS:
        return mcomp.zoo.load(name, seed)
    path = Path(tempfile.gettempdir(), f"mcomp-{name}-{seed}.safetensors")
    if not path.is_file():
        data = mcomp.data.load("fashion-mnist") if data is None else data
        mcomp.save(mcomp.zoo.train(name, data, seed=seed, progress=False), path)
    return mcomp.load(path)


def by_seed(found):
    """Figures of one seed each, ``{name: {key: value}}``, as ``{name: {key: [a value a seed]}}``."""
    return {
        name: {key: [one[name][key] for one in found] for key in figures}
        for name, figures in found[0].items()
    }


def file_size(model):
    """Bytes of the file that mcomp writes for `model`, nothing lost."""
    with tempfile.TemporaryDirectory() as folder:
        return mcomp.save(model, Path(folder, "model.safetensors"))


def write(script, *, question, network, methods, seeds=(0, 1, 2), data="fashion-mnist", **more):
    """Write the figures of the experiment `script` (its ``__file__``) beside the others; returns the path.

    `network` is a name, or a list where one file tells of several. `methods` maps a name to lists with one
    entry a seed: "bytes" of the file, test "accuracy" in [0, 1], and what else was measured. `more` are
    further keys.
    """
    script = Path(script).resolve()
    result = {
        "question": question,
        "network": network,
        "data": data,
        "script": script.relative_to(ROOT).as_posix(),
        "script_sha256": results.script_hash(script),
        "command": " ".join(["python", *sys.argv]),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__.split("+")[0],
            "numpy": numpy.__version__,
            "mcomp": mcomp.__version__,
        },
        "threads": torch.get_num_threads(),
        "seeds": list(seeds),
        "methods": methods,
        **more,
    }
    plain = network == "lenet300" or isinstance(network, list)
    stem = script.stem if plain else f"{script.stem}_{network}"
    text = json.dumps(result, indent=1, sort_keys=True) + "\n"
    return write_atomic(RESULTS / f"{stem}.json", text.encode())


def read(stem):
    """The result ``results/STEM.json``; ValueError if its script has changed since."""
    return results.read(stem, folder=ROOT)
