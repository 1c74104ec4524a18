"""How long `mcomp.pipeline.compress` will take on this machine: every part of it, tried for a moment."""

import copy
import math
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

from mcomp import distill
from mcomp.calling import take
from mcomp.codecs.attachment import bake
from mcomp.file.container import save
from mcomp.pipeline import start_sharing, teachers
from mcomp.recipes.fitting import recipe_for
from mcomp.stages import Settle, halved, start_pruning, with_moved
from mcomp.train import evaluate, fit

__all__ = ["estimate"]

SPENT = 0.5  # processor seconds for which each kind of training is tried
MOST = 50  # epochs of it


def estimate(model, recipe, data):
    """Seconds that `compress`, then `Result.save` and `Result.table`, will take here, as busy as it is now.

    Each part is tried on a copy: the teacher on four batches or so, both kinds of training, one choice of
    masks, the file, and what the table evaluates. What grows with the data and the epochs are processor
    seconds, which other programs hardly change; how long each of them takes is asked of the trial as a whole.

    Examples
    --------
    >>> from mcomp import data, zoo
    >>> nothing = {"prune": {"epochs": 0}, "share": {"epochs": 0}}
    >>> 0 < estimate(zoo.load("lenet300"), nothing, data.load(subset=2_000))
    True
    """
    recipe, _ = recipe_for(recipe, model, data)
    trial, log, (x, y) = copy.deepcopy(model), [], data.train
    y_few = y[: math.ceil(4 * recipe.batch_size / (1 + recipe.moved))]
    few = with_moved(SimpleNamespace(train=(take(x, slice(0, len(y_few))), y_few)), recipe.moved, recipe.seed)
    asked, more = teachers(model, recipe), len(y) / len(y_few)
    answer = lambda: distill.teaching(asked, few, T=recipe.temperature)  # noqa: E731
    loss = answer()
    options = {"batch_size": recipe.batch_size, "loss": loss, "progress": False}
    learn = halved(recipe.half)(fit)
    train = lambda epochs, *callbacks: learn(trial, few, epochs=epochs, callbacks=callbacks, **options)  # noqa: E731
    total = more * _tried(answer, log)
    pruning = start_pruning(trial, recipe.prune)
    total += more * _epochs(train, recipe.prune.epochs, log)
    steps = math.ceil(len(y) * (1 + recipe.moved) / recipe.batch_size) * recipe.prune.epochs
    total += _tried(pruning.finish, log) * pruning.choices(steps)
    total += _tried(lambda: start_sharing(trial, recipe), log)
    settled = lambda epochs: train(epochs, Settle(trial, recipe.share.settle))  # noqa: E731
    total += more * _epochs(settled, recipe.share.epochs, log)
    with tempfile.TemporaryDirectory() as folder:
        total += _tried(lambda: save(bake(trial), Path(folder, "trial.safetensors")), log)
    shown = 2 * (len(data.validation[1]) + len(data.test[1])) / len(few.train[1])
    total += shown * _tried(lambda: evaluate(trial, few.train), log)
    wall, spent = map(sum, zip(*log, strict=True))
    return total * wall / spent


def _tried(work, log):
    """The processor seconds of `work()`; the log gets them too, behind those by the clock on the wall."""
    wall, spent = time.perf_counter(), time.process_time()
    work()
    log.append((time.perf_counter() - wall, time.process_time() - spent))
    return log[-1][1]


def _epochs(train, epochs, log):
    """The processor seconds of so many epochs on the few images: of some of them, times the rest."""
    if epochs == 0:
        return 0.0
    train(1)  # warm up
    once = _tried(lambda: train(1), log)
    tried = math.ceil(SPENT / max(once, SPENT / MOST))
    return _tried(lambda: train(tried), log) / tried * epochs
