"""All arms are tuned alike; results, and the files beside them, keep what the project promises."""

import importlib.util
import json
import math
from pathlib import Path

import pytest
import torch

import mcomp
import mcomp.data
from mcomp.course.results import read
from mcomp.measure import float32_bytes
from mcomp.train import evaluate

RESULTS = Path(__file__).resolve().parent.parent / "experiments" / "results"
# name of the result, of its method and of the files; times smaller at least, points lost on average at most
FILES = [
    ("00_a_hundred_times_smaller", "deep compression", "00_lenet300", 120, 0.5),
    ("00_a_hundred_times_smaller_lenet5", "deep compression", "00_lenet5", 100, 0.5),
    ("16_smallest", "smallest", "16_lenet300", 200, 0.5),
    ("16_smallest_lenet5", "smallest", "16_lenet5", 250, 0.5),
    ("16_tables", "as the paper", "16_tables", 39, 1.1),
]


@pytest.fixture(scope="module")
def common():
    """experiments/common.py, which no package holds."""
    spec = importlib.util.spec_from_file_location("common", RESULTS.parent / "common.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_arms_get_the_trials_that_one_needs(common):
    best, tried = {"a": 0.1, "b": 8.0}, []

    def score(arm, value):
        tried.append((arm, value))
        return -abs(math.log(value / best[arm]))

    tuned = common.tune(["a", "b"], (0.5, 1.0, 2.0), score)
    assert tuned["grid"] == [0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0]
    assert tuned["chosen"] == {"a": 0.125, "b": 8.0}
    assert sorted(tried) == [(arm, value) for arm in "ab" for value in tuned["grid"]]  # each once
    assert tuned["scores"]["b"] == [score("b", value) for value in tuned["grid"]]


@pytest.mark.parametrize("grid", [(1.0, 2.0), (0.0, 1.0, 2.0), (2.0, 1.0, 3.0), (1.0, 1.0, 2.0)])
def test_a_grid_that_cannot_be_searched_is_refused(common, grid):
    with pytest.raises(ValueError, match="at least three positive numbers in ascending order"):
        common.tune(["a"], grid, lambda arm, value: 0.0)


def test_a_score_without_a_maximum_ends_the_search(common):
    with pytest.raises(ValueError, match="one inside a grid of 12"):
        common.tune(["a"], (1.0, 2.0, 4.0), lambda arm, value: value)


def test_figures_by_seed(common):
    found = [{"a": {"bytes": 1, "accuracy": 0.5}}, {"a": {"bytes": 2, "accuracy": 0.75}}]
    assert common.by_seed(found) == {"a": {"bytes": [1, 2], "accuracy": [0.5, 0.75]}}


def test_a_network_beyond_the_shipped_ones_is_trained_once(common, monkeypatch, tmp_path):
    def trained(name, data, *, seed, progress):
        made.append((name, seed))
        return mcomp.zoo.load(name, 0)

    made = []
    monkeypatch.setattr(common.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(mcomp.zoo, "train", trained)
    common.network("lenet300", 2)
    assert not made
    first, again = (common.network("lenet300", 3).state_dict() for _ in range(2))
    assert made == [("lenet300", 3)]
    assert all(torch.equal(first[key], again[key]) for key in first)


def searches(node):
    """Every search by `common.tune` that a result holds, wherever it stands."""
    if isinstance(node, dict) and {"grid", "scores", "chosen"} <= node.keys():
        yield node
    elif isinstance(node, (dict, list)):
        for one in node.values() if isinstance(node, dict) else node:
            yield from searches(one)


def at_an_end(result):
    """The arms of a result whose chosen value lies at an end of the grid or is not the best on it."""
    for tuned in searches(result):
        grid, scores = tuned["grid"], tuned["scores"]
        for arm, value in tuned["chosen"].items():
            best = len(scores[arm]) == len(grid) and grid[scores[arm].index(max(scores[arm]))]
            if best != value or not grid[0] < value < grid[-1]:
                yield arm


def test_no_result_was_chosen_at_the_end_of_its_grid(common):
    tuned = common.tune(["a"], (0.5, 1.0, 2.0), lambda arm, value: -abs(value - 1))
    assert not list(at_an_end({"tuned": tuned}))
    for wrong in ({"chosen": {"a": 2.0}}, {"scores": {"a": [0.0, 1.0]}}, {"scores": {"a": [0.0, 1.0, 2.0]}}):
        assert list(at_an_end({"tuned": {"at 0.9": tuned | wrong}})) == ["a"]
    for path in sorted(RESULTS.glob("*.json")):
        assert not list(at_an_end(json.loads(path.read_text(encoding="utf-8")))), path.name


@pytest.fixture(scope="module")
def data():
    return mcomp.data.load()


@pytest.mark.parametrize(("stem", "method", "files", "times", "points"), FILES)
def test_the_small_files_are_what_the_result_says(stem, method, files, times, points, data):
    methods = read(stem)["methods"]
    whole, small = methods["float32"], methods[method]
    for seed in range(3):
        path = RESULTS / f"{files}-{seed}.safetensors"
        model = mcomp.load(path)
        assert path.stat().st_size == small["bytes"][seed]
        assert float32_bytes(model) == whole["bytes"][seed]
        assert whole["bytes"][seed] / path.stat().st_size >= times
        # another machine's kernels round logits differently: a few images of 10,000 may change sides
        assert evaluate(model, data.test) == pytest.approx(small["accuracy"][seed], abs=5e-4)
    lost = sum(whole["accuracy"]) / 3 - sum(small["accuracy"]) / 3
    assert 100 * lost <= points
