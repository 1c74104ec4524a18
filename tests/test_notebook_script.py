"""`make notebooks`: what it writes depends on the cells alone, and a failure leaves the old file."""

import subprocess
import sys

import nbformat
import notebooks
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

SETUP = "import matplotlib.pyplot as plt\nfrom mcomp.plots import use_style\nuse_style()"
FIGURE = "plt.plot([1, 2])\nplt.xlabel('step')\nplt.ylabel('loss (nats)')\nplt.title('It rises')\nplt.show()"


def make(path, *sources):
    path.parent.mkdir(exist_ok=True)
    notebooks.write(path, new_notebook(cells=[new_markdown_cell("# Try"), *map(new_code_cell, sources)]))
    return path


@pytest.fixture(autouse=True)
def library(tmp_path):
    """A temporary course's library, one file."""
    file = tmp_path / "mcomp" / "a.py"
    file.parent.mkdir()
    file.write_text("a = 1\n")
    return file


def test_executing_twice_writes_the_same_bytes_and_nbval_agrees(tmp_path):
    path = make(
        tmp_path / "chapters" / "t.ipynb", SETUP, "for i in range(3):\n    print(i, flush=True)", FIGURE
    )
    assert notebooks.main([str(path)], tmp_path) == 0
    first = path.read_bytes()
    assert notebooks.main([str(path)], tmp_path) == 0
    assert path.read_bytes() == first
    book = nbformat.read(path, as_version=4)
    picture = book.cells[3].outputs[0]
    assert picture.metadata["image/png"]["alt"] == "It rises. loss (nats) against step"
    assert [cell.execution_count for cell in notebooks.code_cells(book)] == [1, 2, 3]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--nbval",
        "--nbval-current-env",
    ]
    result = subprocess.run([*command, path], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert result.returncode == 0, result.stdout
    assert "3 passed" in result.stdout


@pytest.mark.parametrize("bad", ["1 / 0", "plt.plot([1, 2])\nplt.show()"])
def test_a_failing_cell_is_named_and_the_file_stays(tmp_path, bad, capsys):
    path = make(tmp_path / "chapters" / "t.ipynb", SETUP, bad)
    before = path.read_bytes()
    assert notebooks.main([str(path)], tmp_path) == 1
    assert path.read_bytes() == before
    told = capsys.readouterr().out
    assert "ZeroDivisionError" in told or "no title" in told
    assert "1 failed" in told


def test_stale_follows_cells_and_library_but_not_the_text(tmp_path, library):
    path = make(tmp_path / "chapters" / "t.ipynb", "1 + 1")
    assert notebooks.stale(path, tmp_path)
    book = nbformat.read(path, as_version=4)
    book.cells[1].execution_count = 1
    notebooks.write(path, notebooks.normalise(book, tmp_path))
    assert not notebooks.stale(path, tmp_path)
    book.cells[0].source = "# Another title"
    notebooks.write(path, book)
    assert not notebooks.stale(path, tmp_path)
    library.write_text("a = 2\n")
    assert notebooks.stale(path, tmp_path)
    book = notebooks.normalise(book, tmp_path)
    book.cells[1].source = "1 + 2"
    notebooks.write(path, book)
    assert notebooks.stale(path, tmp_path)


def test_normalise_drops_what_differs_between_machines(tmp_path):
    data = {"text/plain": "IntSlider(value=1)", notebooks.WIDGET: {"model_id": "abc"}}
    cell = new_code_cell("x", outputs=[new_output("display_data", data)], metadata={"scrolled": True})
    cell.metadata.tags = ["timing", "nbval-ignore-output"]
    book = new_notebook(cells=[cell, new_code_cell("x"), new_markdown_cell("x")], metadata={"widgets": {}})
    once = nbformat.writes(notebooks.normalise(book, tmp_path))
    assert nbformat.writes(notebooks.normalise(nbformat.reads(once, as_version=4), tmp_path)) == once
    assert list(cell.outputs[0].data) == ["text/plain"]
    assert cell.metadata == {"tags": ["nbval-ignore-output", "timing"]}
    assert "widgets" not in book.metadata
    assert len({cell.id for cell in book.cells}) == 3


def test_find_lists_chapters_before_solutions(tmp_path):
    for name in ("solutions/02_b.ipynb", "chapters/02_b.ipynb", "chapters/01_a.ipynb"):
        make(tmp_path / name)
    found = [path.relative_to(tmp_path).as_posix() for path in notebooks.find(tmp_path)]
    assert found == ["chapters/01_a.ipynb", "chapters/02_b.ipynb", "solutions/02_b.ipynb"]


@pytest.mark.parametrize(
    ("environment", "cores", "wanted"),
    [
        ({}, 1, "2"),  # the outputs that are kept
        ({}, 8, "2"),
        ({"PYTEST_XDIST_WORKER_COUNT": "2"}, 2, "1"),
        ({"PYTEST_XDIST_WORKER_COUNT": "2"}, 4, "2"),
        ({"PYTEST_XDIST_WORKER_COUNT": "3"}, 2, "1"),
        ({"PYTEST_XDIST_WORKER_COUNT": "2", "MCOMP_THREADS": "4"}, 2, "4"),
    ],
)
def test_workers_share_the_cores(environment, cores, wanted):
    assert notebooks.threads(environment, cores) == wanted
