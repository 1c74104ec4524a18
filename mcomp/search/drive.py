"""Drive a search: ask for candidates, have them trained on an executor, stop the hopeless, remember all.

A trial climbs rungs: it is trained from the beginning with a few epochs, then with three times as many, and
so on. After each rung but the last it is stopped if it is far too large or three others there beat it in
both bytes and accuracy: successive halving (Jamieson & Talwalkar 2016, arXiv:1502.07943) without waiting for
the others (Li et al. 2020, arXiv:1810.05934).
"""

import os
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from hashlib import sha256
from pathlib import Path

from tqdm.auto import tqdm

from mcomp.arrays import bad_value, check_int
from mcomp.search.candidate import Candidate
from mcomp.search.executors import executor
from mcomp.search.goal import beaten_by, best
from mcomp.search.picture import draw
from mcomp.search.space import space_of
from mcomp.search.stages import carry_out
from mcomp.search.storage import Storage, only_one
from mcomp.search.trial import data_for, file_of, job

__all__ = ["rungs", "search", "smallest_bytes"]

LARGE = 0.25  # missed by more than this part of max_bytes, and no training brings it back
BEATEN = 3
FACTOR = 3
FEWEST = 2  # epochs of the first rung


def search(
    model, goal, *, folder, data="fashion-mnist", images=12_000, trials=50, epochs=18, space=None,
    sampler="tpe", seed=0, on=None, workers=2, progress=True,
):  # fmt: skip
    """Search recipes for `model` that meet `goal`; returns the `Storage`, which knows all that was tried.

    Called again with the same folder and settings it goes on where it was, also after the process was killed.
    Accuracy is that on the validation images; the test images aren't looked at.

    Parameters
    ----------
    model : torch.nn.Module
        A trained classifier. Not changed.
    goal : Goal
    folder : path-like
        For the database, the networks and ``front.png``; made if it isn't there.
    data, images : str, int or None
        The data set's name, and how many training images the trials see.
    trials : int
        Those already in the folder included.
    epochs : int
        Of the last rung.
    space : Space, optional
        Default: that of `space_of`.
    sampler : "tpe" (Optuna's, of several objectives with constraints) or "random"
    seed : int
        Of the sampler.
    on, workers
        Of `mcomp.search.executors.executor`.

    Raises
    ------
    ValueError
        If an argument is out of range, the folder belongs to another search, or no file of this space can be
        as small as the goal asks.
    OSError
        If a process that trains dies, as for want of memory. Nothing is lost.
    """
    space, folder = space or space_of(model), Path(folder)
    check_int("trials", trials, 1)
    climb = rungs(epochs)
    _check_possible(model, goal, space, data_for(data, images))
    folder.mkdir(parents=True, exist_ok=True)
    told = {"data": data, "images": images, "epochs": epochs, "sampler": sampler, "seed": seed}
    with only_one(folder):
        storage = Storage(
            folder, goal, space, settings=settings_of(model, goal, space, told), sampler=sampler, seed=seed
        )
        silent = not progress or os.environ.get("TQDM_DISABLE") == "1"
        shown = tqdm(total=trials, unit="trial", disable=silent)
        with executor(on, workers=workers) as (pool, count), shown as bar:
            send = lambda trial, n: pool.submit(  # noqa: E731
                job, model, _candidate(trial), data=data, images=images, epochs=n
            )
            _run(storage, send, climb, trials, count, bar)
    return storage


def rungs(epochs):
    """The epochs of each rung: a third of the next, `FEWEST` at least.

    Examples
    --------
    >>> rungs(18), rungs(5)
    ([2, 6, 18], [5])
    """
    found = [check_int("epochs", epochs, 1)]
    while found[0] >= FACTOR * FEWEST:
        found.insert(0, found[0] // FACTOR)
    return found


def smallest_bytes(model, space, data):
    """The smallest file of the space: every number at its least, in each order; nothing is trained."""
    sizes = []
    for candidate in space.smallest():
        try:
            sizes.append(len(file_of(carry_out(model, candidate, data, epochs=0))))
        except ValueError:  # this order doesn't fit the network
            continue
    return min(sizes, default=0)


def settings_of(model, goal, space, told):
    """What may not change while a search goes on, for JSON: the network, the goal, the space, `told`."""
    network = sha256(file_of(model)).hexdigest()[:16]
    return {"network": network, "goal": str(goal), "space": str(space)} | told


def _check_possible(model, goal, space, data):
    if goal.max_bytes is None:
        return
    least = smallest_bytes(model, space, data)
    if goal.max_bytes < 0.95 * least:  # training moves a file's size by a few per cent
        allowed = f"about {least:,} or more, the smallest file of this space"
        raise bad_value("max_bytes", f"{goal.max_bytes:,}", allowed)


def _run(storage, send, climb, trials, count, bar):
    """Keep `count` jobs running until all trials are over."""
    waiting, running = storage.unfinished(), {}
    bar.update(len(storage.trials()) - len(waiting))
    while True:
        while len(running) < count:
            if not waiting and len(storage.trials()) >= trials:
                break
            trial = waiting.pop() if waiting else storage.ask()
            _next(storage, send, climb, trial, running, bar)
        if not running:
            return
        done = wait(running, return_when=FIRST_COMPLETED).done
        for future in [future for future in running if future in done]:  # in the order of their start
            trial, epochs = running.pop(future)
            try:
                storage.record(trial, epochs, future.result())
            except BrokenExecutor as error:
                raise OSError(f"a process of the search died ({error}); call again, it goes on") from None
            except ValueError as error:
                storage.refuse(trial, str(error))
                bar.update()
                continue
            _next(storage, send, climb, trial, running, bar)


def _next(storage, send, climb, trial, running, bar):
    """Send the trial to its next rung, or end it."""
    done = [epochs for epochs in climb if f"rung {epochs}" in trial.user_attrs]
    left = climb[len(done) :]
    stopped = bool(done and left) and _hopeless(storage, trial, done[-1])
    if left and not stopped:
        running[send(trial, left[0])] = trial, left[0]
        return
    storage.finish(trial, done[-1], stopped=stopped)
    trained = storage.trained()
    draw(storage.folder / "front.png", trained, storage.goal)
    found = best(storage.goal, trained)
    said = f"best {found.nbytes:,} bytes, {found.accuracy:.2%}" if found else "none meets the goal yet"
    bar.set_postfix_str(said)
    bar.update()


def _hopeless(storage, trial, epochs):
    figures = trial.user_attrs[f"rung {epochs}"]
    point = figures["bytes"], figures["accuracy"]
    too_large = storage.goal.misses(*point)[0] > LARGE
    return too_large or beaten_by(point, storage.at_rung(epochs, but=trial.number)) >= BEATEN


def _candidate(trial):
    return Candidate.from_dict(trial.user_attrs["candidate"])
