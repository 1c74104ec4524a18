"""The course's calls in a notebook, live and static, and in a terminal."""

import io
import json
import os
import subprocess
import sys

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from matplotlib.image import imread
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from mcomp.course import (
    WrongAnswer,
    exercise,
    exercises,
    explore,
    guess,
    hint,
    predict,
    quiz,
    quizzes,
    reveal,
    spec,
    store,
    widgets,
)
from mcomp.course import show as showing
from mcomp.course.harvest import answers
from mcomp.course.model import find, load
from mcomp.figures import MARKERS, PALETTE

SETUP = """import matplotlib.pyplot as plt
import numpy as np
from mcomp.course import *
progress_bar("02")"""
STUB = """@exercise("02.1")
def magnitude_mask(w, theta):
    raise NotImplementedError"""
RIGHT = """@exercise("02.5")
def total_sparsity(masks):
    return 1 - np.mean(np.concatenate([m.ravel() for m in masks.values()]))"""
DRAW = """def draw(fig):
    ax = fig.subplots()
    line, = ax.plot([0, 1])
    ax.set(xlabel="x", ylabel="y", title="a line")
    def update(height):
        line.set_ydata([0, height])
    return update
explore(draw, height=(0.0, 1.0), start={"height": 0.5}, alt="a line that rises")"""
CELLS = [SETUP, STUB, RIGHT, 'hint("02.1")', 'hint("02.1")', 'spec("02.3")', DRAW, 'quiz("02")']
CELLS += ['predict("02.a", "How much?", unit="%")', "guess('02.a')"]
WRONG = """@exercise("02.1")
def magnitude_mask(w, theta):
    print("here")
    display("there")
    return w > theta"""
BREAKS = {
    "timed out": "while True: pass",
    "printed too much": "while True: print('x' * 1000)",
    "crashed": "import sys; sys.exit()",
    "changed its input": "w *= 2; return abs(w) > theta",
}


def answer(body):
    return f'@exercise("02.1")\ndef magnitude_mask(w, theta):\n    {body}'


@pytest.fixture(autouse=True)
def course(tmp_path, monkeypatch):
    """A course folder for this test, nothing remembered from another."""
    (tmp_path / "chapters").mkdir()
    monkeypatch.chdir(tmp_path / "chapters")
    for name in ("MCOMP_STATIC", "MCOMP_PROGRESS", "MCOMP_CHECK_FIGURES", "MPLBACKEND"):
        monkeypatch.delenv(name, raising=False)
    for memory in (exercises._asked, widgets._guesses, widgets._units):
        memory.clear()
    return tmp_path


def execute(cells, allow_errors=False):
    book = new_notebook(cells=[new_code_cell(source) for source in cells])
    NotebookClient(book, kernel_name="python3", timeout=600, allow_errors=allow_errors).execute()
    return book


def nbval(path):
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "--nbval-current-env",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    result = subprocess.run(
        [*command, path.name], cwd=path.parent, capture_output=True, text=True, timeout=600
    )
    return result.stdout.strip().splitlines()[-1] if result.returncode == 0 else result.stdout


def test_strict_nbval_passes_static_and_live(course, monkeypatch):
    monkeypatch.setenv("MCOMP_STATIC", "1")
    book = execute(CELLS)
    outputs = [output for cell in book.cells for output in cell.outputs]
    assert not any(showing.WIDGET in output.data for output in outputs)
    assert [cell.outputs[0].data["text/plain"] for cell in book.cells[1:3]] == [
        "02.1 magnitude_mask: to do",
        "02.5 total_sparsity: right (20 of 20)",
    ]
    assert book.cells[6].outputs[0].metadata["image/png"] == {"alt": "a line that rises"}
    path = course / "chapters" / "t.ipynb"
    nbformat.write(book, path)
    assert nbval(path).startswith(f"{len(CELLS)} passed")
    assert not list(course.glob("*progress*"))
    monkeypatch.delenv("MCOMP_STATIC")
    assert nbval(path).startswith(f"{len(CELLS)} passed")
    assert json.loads((course / "progress.json").read_text())["exercises"] == {"02.5": "right"}


def test_a_live_kernel_survives_its_learner(course):
    calls = [
        "magnitude_mask(np.array([-2.0, 2.0]), 1.0).tolist()",
        "abs(-3)",
        "progress_bar('02')",
        'quiz("02")',
    ]
    bodies = [answer(body) for body in BREAKS.values()]
    cells = [SETUP, WRONG, *calls, *bodies, answer("return abs(w) > theta"), "6 * 7"]
    book = execute(cells, allow_errors=True)
    (card,) = (output for output in book.cells[1].outputs if "data" in output)
    assert "you compared w, not |w|" in card.data["text/plain"]
    assert "it printed\n    here\n" in card.data["text/plain"]
    assert not any(
        o.output_type == "error" for cell in book.cells[1:] for o in cell.outputs
    )  # Run All goes on
    assert book.cells[2].outputs[-1].data["text/plain"] == "[False, True]"  # the wrong function has its name
    assert showing.WIDGET in book.cells[5].outputs[0].data
    for cell, status in zip(book.cells[6:10], BREAKS, strict=True):
        assert cell.outputs[0].data["text/plain"].startswith(f"02.1 magnitude_mask: {status}")
    assert book.cells[-1].outputs[0].data["text/plain"] == "42"
    bar = book.cells[4].outputs[0].data["text/plain"]  # shown before anything was right
    assert "1 of 8 exercises right" in bar  # it moved by itself
    assert json.loads((course / "progress.json").read_text())["exercises"] == {"02.1": "right"}


def test_a_terminal_gets_plain_text(course):
    code = "\n".join([*CELLS, WRONG.replace('    display("there")\n', "")])
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8")
    for line in (
        "02.1 magnitude_mask: to do",
        "02.1 magnitude_mask: hint 2 of 3",
        "def topk_mask(score, k):",
        "a line that rises",
        '  guess("02.a", number) records yours in %',
        'quiz("02", answers=True) gives the answers',
        "  you compared w, not |w|, so every negative weight went",
    ):
        assert line in result.stdout.splitlines()
    assert (result.returncode, result.stderr) == (0, "")


def test_a_wrong_answer_raises_one_line_where_nobody_watches_and_keeps_its_name(capsys, monkeypatch):
    monkeypatch.setenv("MCOMP_STATIC", "1")
    scope = {"exercise": exercise, "display": print}
    with pytest.raises(WrongAnswer, match=r"^02\.1 wrong: see the card above$") as caught:
        exec(WRONG, scope)
    assert caught.value._render_traceback_() == ["02.1 wrong: see the card above"]
    assert scope["magnitude_mask"](np.array([-2.0]), 1.0).tolist() == [False]
    assert "smallest failing case" in capsys.readouterr().out


def test_the_decorator_gives_the_function_back(capsys):
    def magnitude_mask(w, theta):
        return abs(w) > theta

    assert exercise("02.1")(magnitude_mask) is magnitude_mask
    assert capsys.readouterr().out == "02.1 magnitude_mask: right (20 of 20)\n"
    with pytest.raises(ValueError, match=r"allowed: 02\.1"):
        exercise("02.0")


def test_progress_that_cannot_be_saved_is_said_below_the_card(capsys, monkeypatch, course):
    monkeypatch.setenv("MCOMP_PROGRESS", str(course / "nowhere" / "p.json"))
    exercise("02.1")(lambda w, theta: abs(w) > theta)
    assert "progress was not saved: " in capsys.readouterr().out.splitlines()[-1]


def test_hints_come_one_by_one_and_then_the_loop(capsys):
    for count in (1, 2, 3, 3):
        hint("02.3")
        text = capsys.readouterr().out
        assert [line in text for line in find("02.3").hints] == [i < count for i in range(3)]
        assert ('spec("02.3") shows the slow loop' in text) == (count == 3)
    spec("02.3")
    assert find("02.3").source() in capsys.readouterr().out


def test_the_quiz_answers_and_is_remembered(course):
    questions = load("02").quiz
    box = quizzes._widget("02", questions)
    buttons, replies = box.children[1::3], box.children[2::3]
    rights = [next(i for i, o in enumerate(q.options) if o.right) for q in questions]
    for question, button, reply, right in zip(questions, buttons, replies, rights, strict=True):
        assert (button.value, reply.value) == (None, "")
        for i, option in enumerate(question.options):
            button.value = i
            assert showing.escape(option.why) in reply.value
            assert ("Right: " in reply.value) == (i == right)
    firsts = sum(right == 0 for right in rights)  # the first click counts
    assert store.read()[0]["quiz"] == {"02": f"{firsts} of 3"}


def test_the_quiz_as_text_and_as_html(capsys):
    quiz("02")
    closed = capsys.readouterr().out
    quiz("02", answers=True)
    opened = capsys.readouterr().out
    page = quizzes._html("02", load("02").quiz)
    for question in load("02").quiz:
        assert question.text in closed
        for option in question.options:
            assert option.text in closed
            assert option.why not in closed
            assert option.why in opened
            assert f"{showing.escape(option.why)}</div></details>" in page
    assert page.count("<details>") == page.count("<summary>") == sum(len(q.options) for q in load("02").quiz)


def test_a_prediction_is_kept_and_drawn(capsys):
    predict("02.a", "How much is left?", unit="%")
    assert "Predict: How much is left?" in capsys.readouterr().out
    ax = plt.figure().subplots()
    reveal("02.a", 47.3, ax=ax, at=0.9)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["measured: 47.3 %"]
    assert guess("02.a") is None
    assert guess("02.a", 80) == 80.0
    widgets._guesses.clear()  # another kernel
    assert guess("02.a") == 80.0
    ax = plt.figure().subplots()
    reveal("02.a", 47.3, ax=ax, at=0.9)
    assert [line.get_xydata().tolist() for line in ax.lines] == [[[0.9, 47.3]], [[0.9, 80.0]]]
    assert ax.lines[1].get_markerfacecolor() == "none"
    assert {line.get_marker() for line in ax.lines} == {"*"}.difference(MARKERS)  # no series is drawn so
    assert ax.lines[0].get_color() not in {*PALETTE, *(f"C{i}" for i in range(10))}
    ax = plt.figure().subplots()
    reveal("02.a", 47.3, ax=ax)
    assert [line.get_ydata() for line in ax.lines] == [[47.3, 47.3], [80.0, 80.0]]
    plt.close("all")


@pytest.mark.parametrize(
    ("typed", "number"),
    [("47", 47.0), (" 47,5 % ", 47.5), ("-1e2%", -100.0), ("", None), ("a lot", None), ("nan", None)],
)
def test_the_box_of_a_prediction(typed, number):
    _, row = widgets._prediction_box("02.a", "How much?", "%").children
    box, _, button, reply = row.children
    box.value = typed
    button.click()
    assert guess("02.a") == number
    assert (reply.value == "that is not a number") == (number is None)
    if number is not None:
        assert (
            widgets._prediction_box("02.a", "How much?", "%").children[1].children[0].value == f"{number:g}"
        )


@pytest.mark.parametrize("number", ["47", True, float("nan"), float("inf")])
def test_a_guess_is_a_number(number):
    with pytest.raises(ValueError, match="number is "):
        guess("02.a", number)


def test_a_progress_file_with_odd_predictions_does_no_harm(course):
    marks = {**store.EMPTY, "predictions": {"02.a": "many", "02.b": 3}}
    (course / "progress.json").write_text(json.dumps(marks))
    assert (guess("02.a"), guess("02.b")) == (None, 3)


def drawing(calls):
    def draw(fig):
        calls.append("draw")
        ax = fig.subplots()
        (line,) = ax.plot([0, 1])

        def update(height, name, bold):
            calls.append((height, name, bold))
            line.set(ydata=[0, height], linewidth=5 if bold else 1)
            ax.set_title(name)

        return update

    return draw


def test_a_slider_redraws_the_same_figure():
    calls = []
    picture = widgets._painter(drawing(calls), (3, 2), 50)
    limits = {"height": (0, 4), "name": ["a", "b"], "bold": False}
    values = {name: widgets._start(limit) for name, limit in limits.items()}
    box = widgets._sliders(picture, values, limits, picture(values), "a <line>")
    *controls, image, words = box.children
    first = image.value
    controls[0].value = 3
    assert image.value != first
    assert imread(io.BytesIO(image.value)).shape == (100, 150, 3)
    controls[0].value = 0
    assert image.value == first  # nothing of the last picture is left
    controls[1].value, controls[2].value = "b", True
    assert calls[0] == "draw"
    assert "draw" not in calls[1:]
    assert calls[-1] == (0, "b", True)
    assert "a &lt;line&gt;" in words.value


@pytest.mark.parametrize(
    ("limits", "kind", "step"),
    [
        ((0, 0.99), "FloatSlider", 0.01),
        ((0, 10), "IntSlider", 1),
        ((0, 10, 5), "IntSlider", 5),
        ((0.0, 1.0, 0.25), "FloatSlider", 0.25),
    ],
)
def test_sliders_follow_their_limits(limits, kind, step):
    control = widgets._control("x", limits, limits[1])
    assert (type(control).__name__, control.min, control.max, control.value) == (kind, *limits[:2], limits[1])
    assert control.step == pytest.approx(step)


def test_explore_in_a_terminal_and_with_a_wrong_start(capsys):
    explore(drawing([]), alt="a line", start={"height": 1}, height=(0, 2), name=["a"], bold=True)
    assert capsys.readouterr().out == "a line\n"
    with pytest.raises(ValueError, match=r"start is .'hight'.; allowed: some of height"):
        explore(drawing([]), alt="a line", start={"hight": 1}, height=(0, 2))


def test_an_explorer_without_labels_is_refused_where_figures_are_checked(monkeypatch):
    monkeypatch.setenv("MCOMP_CHECK_FIGURES", "1")
    with pytest.raises(ValueError, match="title"):
        explore(drawing([]), alt="a line", height=(0, 2), name=[""], bold=True)


def test_answers_are_taken_out_of_a_notebook(course):
    cells = [
        "import numpy as np\n%matplotlib inline\n!ls",
        "def helper(x):\n    return x + 1\nprint('not taken')",
        "this is not python",
        STUB,
        RIGHT,
        '@exercise("02.1")\ndef magnitude_mask(w, theta):\n    return helper(w) > theta',
        "magnitude_mask = lambda w, theta: w",
    ]
    path = course / "chapters" / "t.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells]), path)
    found = answers(path)
    assert list(found) == ["02.1", "02.5"]
    scope = {}
    exec(found["02.1"], scope)
    assert scope["magnitude_mask"](1, 1) is True
    assert "print" not in found["02.1"]
    assert "exercise" not in found["02.1"]
    for text in ("", "{}", "[]", '{"cells": 3}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"t\.ipynb is not a notebook"):
            answers(path)


def test_importing_the_course_is_cheap():
    heavy = "'torch', 'IPython', 'ipywidgets', 'matplotlib'"
    code = f"import sys, mcomp.course; print([m for m in ({heavy}) if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert result.stdout.strip() == "[]"
