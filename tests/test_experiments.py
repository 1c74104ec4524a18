"""The small files beside the results are what the results say, and keep what the project promises of them."""

from pathlib import Path

import pytest

import mcomp
import mcomp.data
from mcomp.course.results import read
from mcomp.measure import float32_bytes
from mcomp.train import evaluate

RESULTS = Path(__file__).resolve().parent.parent / "experiments" / "results"
# network, name of the result, how many times smaller at least; the loss is at most 0.5 points for both
BARS = [
    ("lenet300", "00_a_hundred_times_smaller", 120),
    ("lenet5", "00_a_hundred_times_smaller_lenet5", 100),
]


@pytest.fixture(scope="module")
def data():
    return mcomp.data.load()


@pytest.mark.parametrize(("network", "stem", "times"), BARS)
def test_the_small_files_are_what_the_result_says(network, stem, times, data):
    methods = read(stem)["methods"]
    whole, small = methods["float32"], methods["deep compression"]
    for seed in range(3):
        path = RESULTS / f"00_{network}-{seed}.safetensors"
        model = mcomp.load(path)
        assert path.stat().st_size == small["bytes"][seed]
        assert float32_bytes(model) == whole["bytes"][seed]
        assert whole["bytes"][seed] / path.stat().st_size >= times
        # another machine's kernels round logits differently: a few images of 10,000 may change sides
        assert evaluate(model, data.test) == pytest.approx(small["accuracy"][seed], abs=5e-4)
    lost = sum(whole["accuracy"]) / 3 - sum(small["accuracy"]) / 3
    assert lost <= 0.005
