"""The course without torch: answers are checked and graded on numpy arrays, and no tensor is asked for."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mcomp.course.check import check
from mcomp.course.compare import has_torch
from mcomp.course.grade import grade
from mcomp.course.model import chapters, find, load

HEAD = "import numpy as np\nfrom mcomp.course import exercise\n"
BODIES = {  # the body of 02.1 -> the cell
    "return abs(w) > theta": "right",
    "return w > theta": "wrong: no_abs",
    "return [1]": "wrong: type",
    "raise NotImplementedError": "to do",
    "return w.nothing()": "crashed",
    "return np.abs(w) >= 2": "wrong",
}


@pytest.fixture
def no_torch(monkeypatch):
    """As where torch isn't installed; a Python that has none runs this file, too (conftest.NO_TORCH)."""
    check_module, grade_module = (sys.modules[f.__module__] for f in (check, grade))
    monkeypatch.setattr(check_module, "has_torch", lambda: False)
    monkeypatch.setattr(grade_module, "has_torch", lambda: False)


def test_answers_are_checked_on_numpy_arrays(no_torch):
    exercise = find("02.1")
    assert check(exercise, lambda w, theta: np.abs(w) > theta).ok
    assert check(exercise, lambda w, theta: w > theta).mistake == "no_abs"
    assert check(exercise, lambda w, theta: w.nothing()).status == "crashed"


def test_every_oracle_is_right(no_torch):
    """The mistakes, which take ten times as long, are told in test_course_specs.py."""
    for number in chapters():
        for exercise in load(number).exercises:
            assert check(exercise, exercise.oracle, seconds=60).ok, exercise.id


ALL_OF_THE_COURSE = """import importlib, pkgutil, sys
sys.modules["torch"] = None  # as if it weren't installed
import mcomp.course
for found in pkgutil.walk_packages(mcomp.course.__path__, "mcomp.course."):
    importlib.import_module(found.name)
    print(found.name)"""


def test_each_module_of_the_course_is_imported_where_torch_is_missing():
    command = [sys.executable, "-c", ALL_OF_THE_COURSE]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    assert {f"mcomp.course.specs.ch{number}" for number in chapters()} <= {*ended.stdout.split()}


def test_notebooks_are_graded_on_numpy_arrays(no_torch, tmp_path):
    for i, body in enumerate(BODIES):
        source = f'{HEAD}@exercise("02.1")\ndef magnitude_mask(w, theta):\n    {body}\n'
        cells = [{"cell_type": "code", "source": source}]
        (tmp_path / f"{i}.ipynb").write_text(json.dumps({"cells": cells}))
    rows = grade(tmp_path, seed=7, quiet=True)
    assert len(rows) == len(BODIES)
    for row, cell in zip(rows, BODIES.values(), strict=True):
        assert row.cells["02.1"].startswith(cell.partition(":")[0]), row
        assert row.cells["02.2"] == "missing"
    assert rows[1].cells["02.1"] == "wrong: no_abs"


def test_where_torch_is_installed_each_array_test_runs_on_it(pytestconfig):
    here = Path(__file__).parent
    shared = pytestconfig.pluginmanager.get_plugin(str(here / "conftest.py"))
    assert list(shared.LIBRARIES) == ["numpy", "strict", *["torch"] * has_torch()]
    assert [name for name in shared.NO_TORCH if not (here / f"test_{name}.py").is_file()] == []
