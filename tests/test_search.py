"""A search over recipes: what a candidate does, what is drawn, who is chosen; a kill loses nothing."""

import copy
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mcomp
from mcomp import cli, zoo
from mcomp.codecs.attachment import attached
from mcomp.layers import matrices
from mcomp.prune import kept_count, topk_mask
from mcomp.search import (
    METHODS,
    ORDERS,
    Candidate,
    Goal,
    Space,
    Trained,
    best,
    carry_out,
    drive,
    executors,
    on_front,
    report,
    search,
    smallest_bytes,
    space_of,
)
from mcomp.search.goal import beaten_by
from mcomp.search.stages import split_epochs
from mcomp.search.storage import Storage, only_one
from mcomp.search.trial import data_for
from mcomp.train import evaluate

TINY = '''
"""Few images of three classes that a tiny network learns; a worker marked so never comes back."""
import os, time
from pathlib import Path
from types import SimpleNamespace
import torch

def data():
    if os.environ.get("MARK"):
        try:
            with open(os.environ["MARK"], "x") as file:
                file.write(str(os.getpid()))
        except FileExistsError:
            pass
        else:
            time.sleep(3600)
    chance = torch.Generator().manual_seed(0)
    def some(n):
        y = torch.arange(n) % 3
        x = torch.randn(n, 1, 28, 28, generator=chance)
        x[torch.arange(n), 0, y] += 2.0
        return x, y
    return SimpleNamespace(train=some(96), validation=some(60), test=some(60))
'''
QUICK = {"data": "tiny_images:data", "images": None, "epochs": 6, "progress": False}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the module of the images, and the process in it."""
    Path(tmp_path, "tiny_images.py").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tiny_images", raising=False)
    data_for.cache_clear()
    return tmp_path


@pytest.fixture
def model():
    torch.manual_seed(0)
    return zoo.build("lenet300", hidden=(12, 8))


class Inline(Executor):
    """Runs a job at once, in this thread."""

    def submit(self, function, *args, **options):
        future = Future()
        try:
            future.set_result(function(*args, **options))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture
def inline(monkeypatch):
    """Jobs run here, and nothing is measured before the first."""

    @contextmanager
    def here(on, *, workers):
        yield Inline(), 2

    monkeypatch.setattr(drive, "executor", here)
    monkeypatch.setattr(drive, "smallest_bytes", lambda *_: 0)


# --- candidates and stages


def test_prune_and_quantize_do_what_the_candidate_says(place, model):
    before = copy.deepcopy(model.state_dict())
    wanted = Candidate(("prune", "quantize"), sparsity={"fc1": 0.9, "fc2": 0.5}, values={"fc1": 3, "fc2": 5})
    small = carry_out(model, wanted, data_for("tiny_images:data", None), epochs=4)
    assert all(torch.equal(before[name], x) for name, x in model.state_dict().items())
    assert not attached(small)
    for name, values in (("fc1", 3), ("fc2", 5)):
        w = small.get_submodule(name).weight
        assert int((w != 0).sum()) == kept_count(w.numel(), wanted.sparsity[name])
        assert len(w[w != 0].unique()) <= values
    assert len(small.fc3.weight.unique()) > 5  # not named, so left as it is
    assert torch.equal(small.fc1.bias, small.fc1.bias.half().float())  # shared values take two bytes


def test_zeros_and_shared_values_outlive_a_later_stage_but_not_a_factorization(place, model):
    data, knobs = data_for("tiny_images:data", None), {"sparsity": {"fc1": 0.9}, "values": {"fc1": 4}}
    seen = {}
    watch = lambda method, network: seen.setdefault(method, matrices(network))  # noqa: E731
    order = ("quantize", "prune", "distil", "factorize")
    carry_out(model, Candidate(order, rank=0.3, **knobs), data, epochs=4, watch=watch)
    assert list(seen) == list(order)
    for method in ("prune", "distil"):
        w = seen[method]["fc1.weight"].value
        assert int((w != 0).sum()) == kept_count(w.numel(), 0.9)
        assert len(w[w != 0].unique()) <= 4
    down, w = seen["factorize"]["fc1.down.weight"].value, seen["distil"]["fc1.weight"].value
    assert len(down.unique()) > 100  # no values are shared any more
    read = (w != 0).any(0)  # the zeros that are left are those of inputs that nobody read
    assert bool((down[:, read] != 0).all())


def test_pruning_after_sharing_goes_by_the_floats_below(place, model):
    """Nothing is trained: who stays are the largest float weights; forgotten, equal values go by place."""
    data, knobs = data_for("tiny_images:data", None), {"sparsity": {"fc1": 0.9}, "values": {"fc1": 4}}
    wanted, w = Candidate(("quantize", "prune"), **knobs), model.fc1.weight.detach()
    largest = topk_mask(w.abs(), kept_count(w.numel(), 0.9))
    kept, forgot = (
        carry_out(model, wanted, data, epochs=0, hidden=hidden).fc1.weight != 0 for hidden in (True, False)
    )
    assert torch.equal(kept, largest)
    assert not torch.equal(forgot, largest)


def test_narrow_and_factorize_make_a_smaller_network_whose_file_opens(place, model, tmp_path):
    wanted = Candidate(("narrow", "factorize", "prune"), width=0.5, rank=0.3, sparsity={"fc1": 0.5})
    small = carry_out(model, wanted, data_for("tiny_images:data", None), epochs=0)
    total = sum(m.value.numel() for m in matrices(small).values())
    assert small.fc2.weight.shape[0] < 8 if hasattr(small.fc2, "weight") else True
    assert total < 0.5 * 0.3 * sum(m.value.numel() for m in matrices(model).values()) * 1.5
    mcomp.save(small, tmp_path / "small.safetensors")
    x = data_for("tiny_images:data", None).test[0]
    assert torch.equal(mcomp.load(tmp_path / "small.safetensors")(x), small.eval()(x))


def test_one_weight_of_a_layer_stays_however_few_are_wanted(place, model):
    wanted = Candidate(
        ("prune", "quantize"), sparsity={"fc3": 0.999, "fc2": 0.5}, values={"fc3": 2, "fc2": 2}
    )
    small = carry_out(model, wanted, data_for("tiny_images:data", None), epochs=4)
    assert int((small.fc3.weight != 0).sum()) == 1  # of 80


def test_no_method_is_the_identity(place, model):
    same = carry_out(model, Candidate(()), data_for("tiny_images:data", None), epochs=3)
    assert all(torch.equal(model.state_dict()[name], x) for name, x in same.state_dict().items())


def test_training_brings_the_accuracy_back(place, model):
    data = data_for("tiny_images:data", None)
    wanted = Candidate(("prune", "quantize"), sparsity={"fc1": 0.8}, values={"fc1": 4}, lr=5e-3)
    scores = [evaluate(carry_out(model, wanted, data, epochs=n), data.validation) for n in (0, 40)]
    assert scores[1] > scores[0] + 0.2


@given(st.integers(0, 99), st.integers(1, 6))
@settings(derandomize=True)
def test_epochs_are_shared_out_evenly(epochs, stages):
    parts = split_epochs(epochs, stages)
    assert len(parts) == stages
    assert sum(parts) == epochs
    assert parts == sorted(parts)
    assert parts[-1] - parts[0] <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": ("prune", "prune")}, "each at most once"),
        ({"order": ("shrink",)}, "allowed: a tuple of narrow"),
        ({"order": ["prune"]}, "a tuple"),
        ({"order": (), "width": 1.5}, "width"),
        ({"order": (), "sparsity": {"fc1": 1.2}}, r"sparsity\['fc1'\]"),
        ({"order": (), "values": {"fc1": 0}}, r"values\['fc1'\]"),
        ({"order": (), "teacher": "nobody"}, "self, lenet300"),
    ],
)
def test_a_candidate_out_of_range_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Candidate(**options)


# --- the space


def test_every_order_puts_structure_first_and_uses_a_method_once():
    assert len(ORDERS) == len({*ORDERS}) == 12
    for order in ORDERS:
        rank = [("narrow", "factorize", "prune", "quantize").index(m) // 2 for m in order]
        assert rank == sorted(rank)
        assert "quantize" in order


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_what_is_drawn_lies_in_the_space(model, sampler):
    space = space_of(model, teacher="self")
    samplers = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}
    study, seen = optuna.create_study(sampler=samplers[sampler](seed=0)), set()
    for _ in range(60):
        c = space.drawn(study.ask())
        seen |= {c.order[c.order[0] == "distil" :]}
        assert ("prune" in c.order) == bool(c.sparsity)
        assert {*c.values} == {"fc1", "fc2", "fc3"}
        assert all(0.5 <= s <= 0.99 for s in c.sparsity.values())
        assert all(2 <= k <= 32 for k in c.values.values())
        assert Candidate.from_dict(json.loads(json.dumps(c.to_dict()))) == c
    assert seen <= {*ORDERS}
    assert len(seen) > 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ("melt",)}, "one of narrow"),
        ({"methods": ("prune",)}, "with quantize"),
        ({"kept": (0.5, 0.1)}, "kept"),
        ({"values": (0, 4)}, "values"),
    ],
)
def test_a_space_that_is_none_is_refused(model, changes, message):
    with pytest.raises(ValueError, match=message):
        space_of(model, **changes)


# --- the goal

POINTS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), max_size=12)


def trained(points):
    return [Trained(i, n, a / 10, None) for i, (n, a) in enumerate(points)]


@given(POINTS)
@settings(derandomize=True)
def test_the_front_is_who_nobody_beats(points):
    found = on_front(trained(points))
    free = {p for p in points if not any(n <= p[0] and a >= p[1] and (n, a) != p for n, a in points)}
    assert {(t.nbytes, round(10 * t.accuracy)) for t in found} == free
    assert [t.nbytes for t in found] == sorted({t.nbytes for t in found})
    assert all(beaten_by((t.nbytes, t.accuracy), [(u.nbytes, u.accuracy) for u in found]) == 0 for t in found)


@given(POINTS, st.integers(1, 9), st.integers(0, 9))
@settings(derandomize=True)
def test_the_best_meets_the_goal_and_lies_on_the_front_of_those_that_do(points, most, least):
    goal, all_of_them = Goal(most, least / 10), trained(points)
    fit = [t for t in all_of_them if t.nbytes <= most and t.accuracy >= least / 10]
    found = best(goal, all_of_them)
    assert (found is None) == (not fit)
    if fit:
        assert found in on_front(fit)
        assert found.nbytes == min(t.nbytes for t in fit)
        top = best(Goal(max_bytes=most), all_of_them)
        assert top.accuracy == max(t.accuracy for t in all_of_them if t.nbytes <= most)


@pytest.mark.parametrize("options", [{}, {"max_bytes": 0}, {"min_accuracy": 1.2}, {"max_bytes": 10.5}])
def test_a_goal_that_is_none_is_refused(options):
    with pytest.raises(ValueError, match="allowed"):
        Goal(**options)


# --- the driver


def test_rungs_are_a_third_of_the_next():
    assert drive.rungs(54) == [2, 6, 18, 54]
    assert drive.rungs(1) == [1]
    with pytest.raises(ValueError, match="epochs"):
        drive.rungs(0)


def test_a_search_remembers_every_network_and_stops_the_hopeless(place, model, inline):
    storage = search(model, Goal(max_bytes=3000), folder="found", trials=14, sampler="random", **QUICK)
    trials, full = storage.trials(), storage.trained()
    assert len(trials) == 14
    stopped = [t for t in trials if t.user_attrs.get("stopped")]
    refused = [t.user_attrs["refused"] for t in trials if "refused" in t.user_attrs]
    assert stopped
    assert len(full) + len(stopped) + len(refused) == 14
    assert all("allowed" in why for why in refused)
    assert len(full) > 2
    for t in stopped:  # not one epoch more than the first rung's
        assert "rung 6" not in t.user_attrs
    for t in full:
        assert storage.file(t.number).stat().st_size == t.nbytes
        network = mcomp.load(storage.file(t.number))
        assert evaluate(network, data_for("tiny_images:data", None).validation) == pytest.approx(t.accuracy)
    assert Path("found/front.png").read_bytes().startswith(b"\x89PNG")
    assert len(on_front(full)) >= 1


class Crash(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("method", ["ask", "record", "finish"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", [1, 3])
def test_a_crash_at_any_write_loses_nothing(place, model, inline, monkeypatch, method, after, call):
    """A process that ends before or after any write goes on as if nothing had been, with the same draws."""
    told = {"trials": 3, "sampler": "random", "seed": 3, **QUICK}
    if not UNCUT:
        UNCUT.extend(figures(search(model, Goal(max_bytes=3000), folder="whole", **told)))
    real, calls = getattr(Storage, method), []

    def crashing(self, *args, **options):
        calls.append(method)
        if len(calls) == call and not after:
            raise Crash
        result = real(self, *args, **options)
        if len(calls) == call:
            raise Crash
        return result

    monkeypatch.setattr(Storage, method, crashing)
    with pytest.raises(Crash):
        search(model, Goal(max_bytes=3000), folder="cut", **told)
    monkeypatch.setattr(Storage, method, real)
    cut = search(model, Goal(max_bytes=3000), folder="cut", **told)
    assert figures(cut) == UNCUT


UNCUT = []  # what the search finds that nobody cuts: the same for every place of the crash


def figures(storage):
    """What was tried: candidates, which rungs they climbed, and whether they were stopped."""
    kept = ("candidate", "stopped", "rung 2", "rung 6")
    found = [[t.user_attrs.get(name) for name in kept] for t in storage.trials()]
    return sorted([[c, stopped, bool(two), bool(six)] for c, stopped, two, six in found], key=str)


def test_a_trial_that_died_before_its_candidate_is_drawn_again(place, model, inline, monkeypatch):
    told = {"trials": 3, "sampler": "random", **QUICK}
    whole = search(model, Goal(max_bytes=3000), folder="whole", **told)
    real = Space.drawn

    def crashing(self, trial):
        raise Crash

    monkeypatch.setattr(Space, "drawn", crashing)
    with pytest.raises(Crash):
        search(model, Goal(max_bytes=3000), folder="cut", **told)
    monkeypatch.setattr(Space, "drawn", real)
    cut = search(model, Goal(max_bytes=3000), folder="cut", **told)
    assert len(cut.study.trials) == 4  # one of them was given up
    assert figures(cut) == figures(whole)


KILLED = """
import sys, torch
from mcomp import zoo
from mcomp.search import Goal, search
torch.manual_seed(0)
if __name__ == "__main__":
    search(zoo.build("lenet300", hidden=(12, 8)), Goal(max_bytes=3000), folder="found", trials=6,
           sampler="random", data="tiny_images:data", images=None, epochs=6, progress=False, workers=1)
"""


def test_a_search_killed_by_the_system_goes_on(place, model, inline):
    """kill -9 on the whole process group once something is written; the same candidates come out."""
    Path("killed.py").write_text(KILLED)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(place), *sys.path])}
    child = subprocess.Popen([sys.executable, "killed.py"], env=env, start_new_session=True)
    while not [*Path("found").glob("0001*.safetensors")]:  # the second trial's first rung
        assert child.poll() is None, "it ended by itself"
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    told = {"trials": 6, "sampler": "random", **QUICK}
    cut = search(model, Goal(max_bytes=3000), folder="found", **told)
    whole = search(model, Goal(max_bytes=3000), folder="whole", **told)
    assert [c for c, *_ in figures(cut)] == [c for c, *_ in figures(whole)]
    assert len(cut.trials()) == 6
    assert len(cut.trained()) == len(whole.trained()) > 0


def test_a_process_that_dies_is_told_and_the_search_goes_on(place, model, inline, monkeypatch):
    told = {"trials": 2, "sampler": "random", **QUICK}
    real = drive.job

    def dies(*args, **options):
        raise BrokenExecutor("out of memory")

    monkeypatch.setattr(drive, "job", dies)
    with pytest.raises(OSError, match="call again, it goes on"):
        search(model, Goal(max_bytes=3000), folder="found", **told)
    monkeypatch.setattr(drive, "job", real)
    assert len(search(model, Goal(max_bytes=3000), folder="found", **told).trials()) == 2


def test_two_searches_in_one_folder_are_refused(tmp_path):
    with only_one(tmp_path), pytest.raises(ValueError, match="no other search runs"), only_one(tmp_path):
        pass
    with only_one(tmp_path):
        pass  # free again


def test_a_folder_of_another_search_is_refused(place, model, inline):
    search(model, Goal(max_bytes=3000), folder="found", trials=1, **QUICK)
    with pytest.raises(ValueError, match=r"begun with .*3,000.*another folder"):
        search(model, Goal(max_bytes=4000), folder="found", trials=1, **QUICK)


def test_a_file_that_cannot_be_so_small_is_said_before_anything_is_trained(place, model):
    least = smallest_bytes(model, space_of(model), data_for("tiny_images:data", None))
    assert 300 < least < 2000
    with pytest.raises(ValueError, match=f"about {least:,} or more"):
        search(model, Goal(max_bytes=200), folder="found", trials=1, **QUICK)
    assert not Path("found").exists()


def test_a_goal_that_nobody_met_is_told_with_what_came_nearest(place, model, inline):
    storage = search(model, Goal(3000, 1.0), folder="found", trials=5, sampler="random", **QUICK)
    assert report.chosen(storage, model, data_for("tiny_images:data", None), "out") is None
    assert not Path("out").exists()
    said = report.why_none(storage)
    assert "no trial meets at most 3,000 bytes and at least 100.00%" in said
    assert "the most accurate has" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [({"trials": 0}, "trials"), ({"sampler": "grid"}, "tpe, random"), ({"workers": 0}, "workers")],
)
def test_a_search_asked_for_nonsense_is_refused(place, model, options, message):
    with pytest.raises(ValueError, match=message):
        search(model, Goal(max_bytes=3000), folder="found", **{"trials": 1, **QUICK, **options})


# --- a cluster


@pytest.mark.parametrize("address", ["localhost", "http://localhost:1", "tcp://nowhere"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ValueError, match="the address of a Dask scheduler"), executors.executor(address):
        pass


def test_a_cluster_that_does_not_answer_is_told(monkeypatch):
    monkeypatch.setattr(executors, "SECONDS", 1)
    with (
        pytest.raises(ValueError, match="no Dask scheduler answers"),
        executors.executor("tcp://127.0.0.1:9"),
    ):
        pass


def started(place, *words, **env):
    """A process of Dask, in the folder."""
    paths = os.pathsep.join([str(place), *sys.path])
    command = [sys.executable, "-m", "dask", *words]
    env = {**os.environ, "PYTHONPATH": paths, **env}
    with open(Path(place, f"{words[0]}.log"), "ab") as log:
        return subprocess.Popen(command, cwd=place, env=env, stdout=log, stderr=log)


def test_a_cluster_loses_a_worker_in_the_middle_of_a_trial_and_no_trial(place, model):
    """A scheduler and two workers as processes; the first to get a job is killed while it is at it."""
    mark = Path(place, "first.pid")
    scheduler = started(place, "scheduler", "--port", "0", "--scheduler-file", "where.json", "--no-dashboard")
    processes = [scheduler]
    try:
        wait_for(lambda: Path("where.json").is_file(), scheduler)
        one = ("worker", "--scheduler-file", "where.json", "--nthreads", "1", "--no-nanny", "--no-dashboard")
        processes += [started(place, *one, MARK=str(mark)) for _ in range(2)]
        address = json.loads(Path("where.json").read_text())["address"]
        wait_for_workers(address, 2)
        code = KILLED.replace("workers=1", f"on={address!r}").replace('"found"', '"cluster"')
        Path("clustered.py").write_text(code)
        paths = os.pathsep.join([str(place), *sys.path])
        driver = subprocess.Popen([sys.executable, "clustered.py"], env={**os.environ, "PYTHONPATH": paths})
        processes.append(driver)
        wait_for(lambda: mark.is_file() and mark.read_text(), driver)
        os.kill(int(mark.read_text()), signal.SIGKILL)
        assert driver.wait() == 0
    finally:
        for process in processes:
            process.kill()
            process.wait()
    goal, space = Goal(max_bytes=3000), space_of(model)
    told = {"data": "tiny_images:data", "images": None, "epochs": 6, "sampler": "random", "seed": 0}
    settings = drive.settings_of(model, goal, space, told)
    storage = Storage("cluster", goal, space, settings=settings, sampler="random")
    assert len(storage.trials()) == 6
    assert all({"stopped", "refused"} & {*t.user_attrs} for t in storage.trials())


def wait_for(holds, process):
    while not holds():
        assert process.poll() is None, "a process ended by itself"
        time.sleep(0.05)


def wait_for_workers(address, count):
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(count)


# --- the command


def test_the_command_writes_the_chosen_network_and_tells_its_test_accuracy(place, model, capsys, monkeypatch):
    mcomp.save(model, "tiny.safetensors")
    words = "--network tiny.safetensors --max-bytes 3_000 --trials 3 --epochs 2 --workers 1 --sampler random"
    argv = ["mcomp", "search", *words.split(), "--data", "tiny_images:data", "--out", "small.safetensors"]
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr().out
    assert end.value.code == 0, said
    size = Path("small.safetensors").stat().st_size
    assert size <= 3000
    assert f"small.safetensors: {size:,} bytes, validation" in said
    test = evaluate(mcomp.load("small.safetensors"), data_for("tiny_images:data", None).test)
    assert f"test {test:.2%}" in said


def test_methods_are_those_that_a_candidate_knows():
    assert {m for order in ORDERS for m in order} < {*METHODS}
