"""A learner in a real browser: JupyterLab, a chapter run whole, an answer typed, a slider moved."""

import json
import re
import shutil

import pytest
from lab import Notebook, find_browser, needed, start_browser, start_lab
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from notebooks import FORBIDDEN, ROOT, find, normalise, write

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

PATTERN = "02_magnitude_pruning.ipynb"
OTHERS = [path for path in find() if path.parent.name == "chapters" and path.name != PATTERN]
# A cell that is another one with a widget, or that writes the learner's marks.
COURSE = re.compile(r"^\s*(?:@exercise|predict|explore|quiz|progress_bar)\(", re.M)
STUB = '@exercise("02.1")\ndef magnitude_mask(w, theta):\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the course, as a learner has it, and a small notebook beside the chapters."""
    folder = tmp_path_factory.mktemp("course")
    for name in ("chapters", "solutions", "assets", "experiments"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    cells = [new_markdown_cell("# Try"), new_code_cell("print(6 * 7)"), new_code_cell(SMALL)]
    (folder / "chapters").mkdir(exist_ok=True)
    write(folder / "chapters" / "try.ipynb", normalise(new_notebook(cells=cells)))
    return folder


@pytest.fixture(scope="module")
def lab_home(tmp_path_factory):
    """Where this lab keeps its configuration and the learner's progress."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def lab(folder, lab_home):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MCOMP_STATIC", "TQDM_DISABLE", "MCOMP_CHECK_FIGURES", *FORBIDDEN):
            patch.delenv(name, raising=False)
        with start_lab(folder, lab_home, MCOMP_PROGRESS=lab_home / "progress.json") as address:
            yield address


@pytest.fixture(scope="module")
def browser():
    with start_browser() as browser:
        yield browser


@pytest.fixture
def open_notebook(browser, lab):
    """Opens a notebook by its path in the course, on a page of its own."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    yield lambda path: Notebook(page, *lab, path)
    page.close()


@pytest.fixture(scope="module")
def notebook(browser, lab):
    """One JupyterLab for all chapters, each opened in place of the last: loading it costs half."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    yield Notebook(page, *lab, "chapters/try.ipynb")
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


def runs_whole(notebook):
    """Run all cells; True if each ran once, in order, without an error."""
    notebook.run_all()
    counts = [cell["execution_count"] for cell in notebook.model()["cells"] if cell["cell_type"] == "code"]
    return notebook.errors() == [] and counts == list(range(1, len(counts) + 1))


@pytest.mark.parametrize("path", OTHERS, ids=lambda p: p.stem)
def test_a_chapter_opens_and_its_widgets_run(notebook, path):
    """The setup, all that mcomp.course shows, and what these need; nbval runs the other cells too."""
    notebook.open(f"chapters/{path.name}")
    code = [i for i, cell in enumerate(notebook.model()["cells"]) if cell["cell_type"] == "code"]
    sources = ["".join(notebook.model()["cells"][i]["source"]) for i in code]
    wanted = {0, *(i for i, source in enumerate(sources) if COURSE.search(source))}
    cells = [code[i] for i in needed(sources, wanted)]
    notebook.run_selected(cells)
    assert notebook.errors() == []
    after = notebook.model()["cells"]
    assert [after[cell]["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    for cell in (code[i] for i in wanted - {0}):
        assert notebook.output(cell).locator(".jupyter-widgets, .jp-RenderedHTMLCommon").count(), cell
    for i in (i for i in wanted if re.search(r"^explore\(", sources[i], re.M)):
        assert notebook.press_slider(code[i])


def test_what_a_cell_needs_is_found_by_names():
    sources = [
        "import a",
        "x = a.b",
        "y = [x for x in range(3)]",
        "x = 1",
        "def f():\n    return y",
        "f() + x",
    ]
    assert needed(sources, {5}) == [2, 3, 4, 5]
    assert needed(sources, {1}) == [0, 1]
    assert needed(["x = 1", "%time x\nx = x + 1", "print(x)"], {2}) == [0, 1, 2]


@pytest.fixture
def chapter(open_notebook):
    """Chapter 02, run whole, with a learner in front of it."""
    notebook = open_notebook(f"chapters/{PATTERN}")
    assert runs_whole(notebook)
    return notebook


def test_a_learner_works_through_chapter_02(chapter, lab_home):
    bar = chapter.find("progress_bar(")
    assert "0 of 8 exercises right" in chapter.read(bar)

    task = chapter.find('@exercise("02.1")')
    assert chapter.read(task).strip() == "02.1 magnitude_mask: to do"
    chapter.type(task, f"{STUB}    return w > theta")
    card = chapter.run(task)
    assert "02.1 magnitude_mask: wrong (3 of 20 right)" in card
    assert "you compared w, not |w|, so every negative weight went" in card
    assert "smallest failing case" in card
    assert "Traceback" not in card
    assert chapter.errors() == []  # Run All would go on
    assert "0 of 8 exercises right" in chapter.read(bar)

    chapter.type(task, f"{STUB}    return abs(w) > theta")
    assert chapter.run(task).strip() == "02.1 magnitude_mask: right (20 of 20)"
    assert chapter.errors() == []
    assert "1 of 8 exercises right" in chapter.read(bar)

    guess = chapter.find('predict("02.a"')
    chapter.output(guess).locator("input").fill("80")
    chapter.click(guess, "record")
    chapter.wait_for_text(guess, "recorded: 80 %")
    figure = chapter.find('reveal("02.a"')
    before = chapter.pictures(figure)
    chapter.run(figure)
    assert len(before) == 1 != chapter.pictures(figure).count(before[0])  # the guess stands in the picture

    assert chapter.press_slider(chapter.find("explore("))

    quiz = chapter.find('quiz("02")')
    chapter.click(quiz, "relative threshold and top-k")
    chapter.wait_for_text(quiz, "Not this one: a fixed theta does not grow with the weights")
    chapter.click(quiz, "b) relative threshold and top-k")
    chapter.wait_for_text(quiz, "Right: both depend only on the sizes relative to each other")
    chapter.click(quiz, "the smallest squared distance")
    chapter.click(quiz, "not at all")
    chapter.wait_for_text(quiz, "Right: same array, same multiplications")

    marks = json.loads((lab_home / "progress.json").read_text())
    assert marks["exercises"] == {"02.1": "right"}
    assert marks["predictions"] == {"02.a": 80.0}
    assert marks["quiz"] == {"02": "2 of 3"}


def test_a_reader_gets_hints_and_the_slow_loop(open_notebook):
    notebook = open_notebook("chapters/try.ipynb")
    notebook.type(1, "from mcomp.course import hint, spec")
    notebook.run(1)
    texts = []
    for _ in range(2):
        notebook.type(1, 'hint("02.1")')
        texts.append(notebook.run(1))
    assert "hint 1 of 3" in texts[0]
    assert "hint 2 of 3" in texts[1]
    assert texts[1].count("\n") > texts[0].count("\n")
    notebook.type(1, 'spec("02.1")')
    assert "for i in np.ndindex(w.shape):" in notebook.run(1)
