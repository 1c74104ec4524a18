"""What a search remembers: an Optuna study in an SQLite file, written after every step, so a kill loses none.

A trial's candidate, and the figures of each of its rungs, are its user attributes. Its network lies beside
the database as a file of its own, written before the figures are.
"""

import logging
import sqlite3
import warnings
from contextlib import contextmanager
from pathlib import Path

from mcomp.arrays import bad_value
from mcomp.files import write_atomic
from mcomp.search.candidate import Candidate
from mcomp.search.goal import Trained

__all__ = ["SAMPLERS", "Storage", "only_one"]

SAMPLERS = ("tpe", "random")
STRIDE = 1_000_003


def optuna():
    """The module, quiet; ValueError says how to install it."""
    try:
        import optuna
    except ImportError:
        raise bad_value("optuna", "not installed", "pip install 'mcomp[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


@contextmanager
def only_one(folder):
    """Nobody else searches in this folder meanwhile; the lock goes with the process, however that ends."""
    lock = sqlite3.connect(Path(folder, "lock.sqlite"), timeout=0)
    try:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            raise bad_value("folder", str(folder), "one in which no other search runs") from None
        yield
    finally:
        lock.close()


class Storage:
    """The study in `folder`, made if it isn't there.

    Parameters
    ----------
    folder : path-like
        Of this search alone; it must exist.
    goal, space : Goal, Space
    settings : dict
        Of JSON. A study that was begun with others is refused: its trials couldn't be compared.
    sampler : "tpe" or "random"
    seed : int
    """

    def __init__(self, folder, goal, space, *, settings, sampler="tpe", seed=0):
        if sampler not in SAMPLERS:
            raise bad_value("sampler", sampler, f"one of {', '.join(SAMPLERS)}")
        self.folder, self.goal, self.space = Path(folder), goal, space
        self.sampler, self.seed, self.optuna = sampler, seed, optuna()
        self.study = self.optuna.create_study(
            study_name="search", storage=f"sqlite:///{self.folder.resolve()}/search.sqlite",
            directions=["minimize", "maximize"], load_if_exists=True,
        )  # fmt: skip
        before = self.study.user_attrs.get("settings")
        if before is None:
            self.study.set_user_attr("settings", settings)
        elif before != settings:
            other = {k: before.get(k) for k in {**before, **settings} if before.get(k) != settings.get(k)}
            raise bad_value("the search in this folder", f"begun with {other}", "the same, or another folder")

    def trials(self):
        """All trials that have a candidate, in the order of their numbers."""
        return [t for t in self.study.get_trials(deepcopy=False) if "candidate" in t.user_attrs]

    def unfinished(self):
        """The trials that a process before this one left undone, to be gone on with.

        One that died before it had a candidate is given up: the next draw is the one that it would have had.
        """
        running = self.study.get_trials(deepcopy=False, states=(self.optuna.trial.TrialState.RUNNING,))
        for t in running:
            if "candidate" not in t.user_attrs:
                self.study.tell(t.number, state=self.optuna.trial.TrialState.FAIL)
        return [self._trial(t.number) for t in running if "candidate" in t.user_attrs]

    def _trial(self, number):
        return self.optuna.trial.Trial(self.study, self.study.get_trials(deepcopy=False)[number]._trial_id)

    def ask(self):
        """A new trial with its candidate; what is drawn depends on the seed and the trials so far."""
        self.study.sampler = self._sampler(STRIDE * self.seed + len(self.trials()))
        trial = self.study.ask()
        candidate = self.space.drawn(trial)
        trial.set_user_attr("candidate", candidate.to_dict())
        return trial

    def _sampler(self, seed):
        if self.sampler == "random":
            return self.optuna.samplers.RandomSampler(seed=seed)
        return self.optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)

    def record(self, trial, epochs, found):
        """Keep what a rung found: the network's file first, then its figures."""
        write_atomic(self.file(trial.number), found["file"])
        figures = {key: found[key] for key in ("bytes", "accuracy", "seconds")}
        trial.set_user_attr(f"rung {epochs}", figures)

    def finish(self, trial, epochs, *, stopped):
        """The trial is over, in full or `stopped` after so many epochs; the sampler learns from both."""
        figures = trial.user_attrs[f"rung {epochs}"]
        trial.set_user_attr("stopped", stopped)
        misses = self.goal.misses(figures["bytes"], figures["accuracy"])
        with warnings.catch_warnings():  # set before by a process that died right here
            warnings.simplefilter("ignore")
            for name, missed in zip(("bytes", "accuracy"), misses, strict=True):
                trial.set_constraint(name, missed)
        self.study.tell(trial, [figures["bytes"], figures["accuracy"]])

    def refuse(self, trial, why):
        """The candidate can't be carried out on this network."""
        trial.set_user_attr("refused", why)
        self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)

    def file(self, number):
        """Where the network of a trial is."""
        return self.folder / f"{number:04d}.safetensors"

    def at_rung(self, epochs, *, but=None):
        """(bytes, accuracy) of every trial that was trained for so many epochs, except number `but`."""
        key = f"rung {epochs}"
        found = [t.user_attrs[key] for t in self.trials() if key in t.user_attrs and t.number != but]
        return [(figures["bytes"], figures["accuracy"]) for figures in found]

    def trained(self):
        """Every trial trained in full, a `Trained` each."""
        done = self.optuna.trial.TrialState.COMPLETE
        return [
            Trained(t.number, int(t.values[0]), t.values[1], Candidate.from_dict(t.user_attrs["candidate"]))
            for t in self.trials()
            if t.state == done and not t.user_attrs["stopped"]
        ]
