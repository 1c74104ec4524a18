"""Chapter 12's student: the files beside the result are what it says, and its test agrees with scipy's."""

from pathlib import Path

import pytest
import scipy.stats

import mcomp
import mcomp.data
from mcomp.course.results import read
from mcomp.measure import count_parameters
from mcomp.paired import paired
from mcomp.train import evaluate

RESULTS = Path(__file__).resolve().parent.parent / "experiments" / "results"
WAYS = {"labels": "from labels", "taught": "from the ResNet"}


def figures(name):
    """Those of the setting that validation images preferred for this way."""
    result = read("12_distillation_student")
    return result["methods"][result["chosen"][WAYS[name]]]


@pytest.mark.parametrize("name", WAYS)
def test_the_students_files_are_what_the_result_says(name):
    found = figures(name)
    path = RESULTS / f"12_student-{name}.safetensors"
    model = mcomp.load(path)
    assert path.stat().st_size == found["bytes_8"][0]
    assert count_parameters(model) == 12840
    # another machine's kernels round logits differently: a few images of 10,000 may change sides
    assert evaluate(model, mcomp.data.load().test) == pytest.approx(found["accuracy_8"][0], abs=5e-4)


def test_the_teacher_of_12_000_labels_lies_beside_its_result():
    found = read("12_teachers_student")["teachers"]["ResNet, 12,000, 6 epochs"]
    model = mcomp.load(RESULTS / "12_resnet-12000.safetensors")
    assert count_parameters(model) == found["parameters"]
    assert evaluate(model, mcomp.data.load().test) == pytest.approx(found["test"], abs=5e-4)  # as above


def test_no_network_taught_itself():
    """The uncompressed network is its own original: nothing to learn, so no arm."""
    result = read("12_repair")
    assert result["seeds"] == [0, 1, 2, 3, 4, 5]
    assert {name: len(tuned["chosen"]) for name, tuned in result["tuned"].items()} == {
        "float32": 2, "95 % pruned, 16 values": 3, "2 bits, a scale a row": 3,
    }  # fmt: skip
    assert {len(m["accuracy"]) for m in result["methods"].values()} == {6}


def test_the_gain_of_the_teacher_is_tested_as_scipy_does():
    labels, taught = (figures(name)["accuracy"] for name in WAYS)
    assert len(labels) == len(taught) == 6
    found, theirs = paired(taught, labels), scipy.stats.ttest_rel(taught, labels)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-6)
    interval = theirs.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6)


def test_both_ways_had_as_many_trials():
    tuned = read("12_distillation_student")["tuned"]
    for way in WAYS.values():
        assert sum(arm.startswith(way) for arm in tuned["scores"]) == 2
    assert {len(scores) for scores in tuned["scores"].values()} == {len(tuned["grid"])}
