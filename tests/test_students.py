"""Chapter 12's student: the files beside the result are what it says, and its test agrees with scipy's."""

from pathlib import Path

import pytest
import scipy.stats

import mcomp
import mcomp.data
from mcomp.course.results import read
from mcomp.measure import count_parameters
from mcomp.measure.paired import paired
from mcomp.train import evaluate

RESULTS = Path(__file__).resolve().parent.parent / "experiments" / "results"
METHODS = {"labels": "student, from labels", "taught": "student, from the ResNet"}


@pytest.mark.parametrize("name", METHODS)
def test_the_students_files_are_what_the_result_says(name):
    found = read("12_distillation_student")["methods"][METHODS[name]]
    path = RESULTS / f"12_student-{name}.safetensors"
    model = mcomp.load(path)
    assert path.stat().st_size == found["bytes"][0]
    assert count_parameters(model) == 2834
    # another machine's kernels round logits differently: a few images of 10,000 may change sides
    assert evaluate(model, mcomp.data.load().test) == pytest.approx(found["accuracy"][0], abs=5e-4)


def test_the_gain_of_the_teacher_is_tested_as_scipy_does():
    methods = read("12_distillation_student")["methods"]
    labels, taught = (methods[name]["accuracy"] for name in METHODS.values())
    assert len(labels) == len(taught) == 5
    found, theirs = paired(taught, labels), scipy.stats.ttest_rel(taught, labels)
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-6)
    interval = theirs.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-6)


def test_both_ways_had_as_many_trials():
    trials = read("12_distillation_student")["trials"]
    assert len(trials["labels"]) == len(trials["teacher"]) == 6
