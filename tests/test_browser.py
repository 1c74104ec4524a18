"""A learner in a real browser: JupyterLab, a chapter run whole, an answer typed, a slider moved."""

import shutil

import pytest
from lab import FLAGS, Notebook, find_browser, start_lab
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from notebooks import FORBIDDEN, ROOT, find, normalise, write
from playwright.sync_api import sync_playwright

pytestmark = pytest.mark.skipif(
    find_browser() is None,
    reason="no Chromium or Chrome found: install one, or set MCOMP_BROWSER to its path",
)
SMALL = """import io
import ipywidgets, matplotlib.pyplot as plt
from IPython.display import display
def picture(k):
    figure, ax = plt.subplots()
    ax.plot(range(k))
    file = io.BytesIO()
    figure.savefig(file, format="png")
    plt.close(figure)
    return file.getvalue()
image = ipywidgets.Image(value=picture(2))
slider = ipywidgets.IntSlider(2, 2, 9)
slider.observe(lambda change: setattr(image, "value", picture(change.new)), "value")
display(ipywidgets.VBox([slider, image]))"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the course, as a learner has it, and a small notebook beside the chapters."""
    folder = tmp_path_factory.mktemp("course")
    for name in ("chapters", "solutions", "assets", "experiments/results"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    cells = [new_markdown_cell("# Try"), new_code_cell("print(6 * 7)"), new_code_cell(SMALL)]
    (folder / "chapters").mkdir(exist_ok=True)
    write(folder / "chapters" / "try.ipynb", normalise(new_notebook(cells=cells)))
    return folder


@pytest.fixture(scope="module")
def lab(folder, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MCOMP_STATIC", "TQDM_DISABLE", "MCOMP_CHECK_FIGURES", *FORBIDDEN):
            patch.delenv(name, raising=False)
        with start_lab(folder, home, MCOMP_PROGRESS=home / "progress.json") as address:
            yield address


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def open_notebook(browser, lab):
    """Opens a notebook by its path in the course, on a page of its own."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    yield lambda path: Notebook(page, *lab, path)
    page.close()


def test_a_small_notebook_runs_answers_and_moves(open_notebook):
    notebook = open_notebook("chapters/try.ipynb")
    notebook.run_all()
    assert notebook.errors() == []
    assert notebook.read(1).strip() == "42"
    assert notebook.press_slider(2)
    notebook.type(1, "for i in range(2):\n    print('wrong', i)")
    assert notebook.run(1).split() == ["wrong", "0", "wrong", "1"]
    notebook.type(1, "1 / 0")
    assert "ZeroDivisionError" in notebook.run(1)
    assert [(number, name) for number, name, _ in notebook.errors()] == [(1, "ZeroDivisionError")]


@pytest.mark.parametrize("path", [p for p in find() if p.parent.name == "chapters"], ids=lambda p: p.stem)
def test_a_chapter_runs_whole(open_notebook, path):
    notebook = open_notebook(f"chapters/{path.name}")
    notebook.run_all()
    assert notebook.errors() == []
    counts = [cell["execution_count"] for cell in notebook.model()["cells"] if cell["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))
