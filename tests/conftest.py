"""What all tests share, and what a Python without torch runs: NO_TORCH, by `python -m pytest tests`."""

import importlib.util
import sys
import types
from pathlib import Path

import array_api_strict
import numpy as np
import pytest

# The array rooms, the grader and the course: test_<name>.py. In these a test that makes a tensor is left out
# where torch isn't installed; all other files are.
NO_TORCH = (
    "allocate", "arith", "arrays", "binary", "bits", "codebooks", "codecs", "course_check", "course_clock",
    "course_progress", "course_results", "entropy", "floats", "formats", "gptq", "grade", "grids", "groups",
    "harvest", "house", "huffman", "lloyd", "masks", "moves", "paired", "plots", "positions", "powers",
    "product", "ranges", "ranks", "rans", "rate", "schedules", "sparsegpt", "streams", "svd", "tensors",
    "ternary", "universal", "without_torch",
)  # fmt: skip
# Tests of these files whose answers are written in torch.
TORCH_ANSWERS = (
    "test_a_bad_answer_gets_its_card[misspells_torch",
    "test_a_number_may_be_an_array_without_axes_but_not_with_one",
    "test_a_tuple_is_compared_one_by_one", "test_an_answer_takes_along_what_it_refers_to_and_no_more",
    "test_an_honest_submission_is_right[ben]", "test_arrays_survive_the_way_to_torch_and_back",
    "test_right_answers_pass_on_the_cases_of_many_seeds",
)  # fmt: skip
HAS_TORCH = importlib.util.find_spec("torch") is not None
LIBRARIES = {"numpy": np, "strict": array_api_strict}
if HAS_TORCH:
    LIBRARIES["torch"] = importlib.import_module("torch")
else:
    names = {path.name: path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("*.py")}
    collect_ignore = ["answers", *(file for file, name in names.items() if name not in NO_TORCH)]


@pytest.fixture(scope="session", params=LIBRARIES.values(), ids=LIBRARIES)
def xp(request):
    """Each array library in turn; `xp.asarray(a)` turns a numpy array into one of its own."""
    return request.param


def pytest_collection_modifyitems(config, items):
    """Without torch, leave out the tests in `TORCH_ANSWERS`, and say so in the count of deselected ones."""
    gone = [item for item in items if not HAS_TORCH and item.name.startswith(TORCH_ANSWERS)]
    if gone:
        config.hook.pytest_deselected(items=gone)
        items[:] = [item for item in items if item not in gone]


class Absent(types.ModuleType):
    """In place of torch while a test file is imported: it has every name, and who calls one needs torch."""

    __path__ = ()
    Tensor = type("Tensor", (), {})  # other libraries ask whether an array is one

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(name)

    def __call__(self, *args, **options):
        pytest.skip("torch is not installed")


class Finder:
    """Finds the stand-in for torch and what is in it."""

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name.partition(".")[0] == "torch" else None

    def create_module(self, spec):
        return Absent(spec.name)

    def exec_module(self, module):
        """There is nothing to run."""


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """Only test files see the stand-in; when their tests run, torch is missing as it is."""
    if HAS_TORCH or not isinstance(collector, pytest.Module):
        return (yield)
    finder = Finder()
    sys.meta_path.append(finder)
    try:
        return (yield)
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.partition(".")[0] == "torch"]:
            del sys.modules[name]
