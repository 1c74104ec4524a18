"""`mcomp release`: the assignment goes through the real nbgrader, and its marks are the right ones."""

import ast
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.apps import NbGraderAPI
from nbgrader.nbgraderformat import MetadataValidator
from notebooks import ROOT
from traitlets.config import Config

from mcomp.course.grade import grade
from mcomp.course.harvest import harvest
from mcomp.course.model import load
from mcomp.course.release import release

NAME = "02_magnitude_pruning"
HELPER = "BIG = 1\n\ndef size(x):\n    return BIG * abs(x)  # given to the learner"


def answer_cells():
    """The right answers of tests/answers as the cells of a solution notebook."""
    tree = ast.parse((Path(__file__).parent / "answers" / "ch02.py").read_text())
    functions = {node.name: ast.unparse(node) for node in tree.body if isinstance(node, ast.FunctionDef)}
    exercises = load("02").exercises
    sources = [functions[f"numpy_{e.name}"].replace("numpy_", "") for e in exercises]
    sources[0] = "def magnitude_mask(w, theta):\n    # a comment that stays\n    return size(w) > theta"
    return [f'@exercise("{e.id}")\n{source}' for e, source in zip(exercises, sources, strict=True)]


@pytest.fixture
def solutions(tmp_path):
    """A folder with a solution notebook."""
    folder = tmp_path / "answers"
    folder.mkdir()
    cells = ["import numpy as np\nfrom mcomp.course import exercise", HELPER, *answer_cells()]
    book = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    nbformat.write(book, folder / f"{NAME}.ipynb")
    return folder


def cell_of(book, grade_id):
    (cell,) = (c for c in book.cells if c.metadata.nbgrader.grade_id == grade_id)
    return cell


def test_the_source_notebook_is_as_nbgrader_wants_it(tmp_path, solutions):
    path = release("02", tmp_path / "course", solutions=solutions, points=2)
    assert path == tmp_path / "course" / "source" / NAME / f"{NAME}.ipynb"
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    MetadataValidator().validate_nb(book)
    assert {cell.metadata.nbgrader.schema_version for cell in book.cells} == {3}
    assert len(book.cells) == 2 + 3 * len(load("02").exercises)
    answer, test = cell_of(book, "answer-02-1"), cell_of(book, "test-02-1")
    assert answer.metadata.nbgrader.solution
    assert answer.source.splitlines() == [
        '@exercise("02.1")',
        "def magnitude_mask(w, theta):",
        f'    """{load("02").exercises[0].oracle.__doc__}"""',
        "    ### BEGIN SOLUTION",
        "    # a comment that stays",
        "    return size(w) > theta",
        "    ### END SOLUTION",
    ]
    assert (test.metadata.nbgrader.locked, test.metadata.nbgrader.points) == (True, 2)
    assert "def size(x):" in cell_of(book, "setup").source
    assert "array([ True,  True])" in cell_of(book, "question-02-1").source


def test_a_release_is_the_same_each_time_and_writes_over_nothing(tmp_path, solutions):
    path = release("02", tmp_path / "course", solutions=solutions)
    first = path.read_bytes()
    with pytest.raises(ValueError, match="--force"):
        release("02", tmp_path / "course", solutions=solutions)
    assert release("02", tmp_path / "course", solutions=solutions, force=True).read_bytes() == first


def test_a_release_that_cannot_be_made_says_why(tmp_path, solutions):
    with pytest.raises(ValueError, match="chapter is '77'"):
        release("77", tmp_path / "course", solutions=solutions)
    with pytest.raises(ValueError, match=r"a folder with one 02_\*\.ipynb"):
        release("02", tmp_path / "course", solutions=tmp_path)
    with pytest.raises(ValueError, match="points is 0"):
        release("02", tmp_path / "course", solutions=solutions, points=0)
    book = nbformat.read(solutions / f"{NAME}.ipynb", as_version=4)
    del book.cells[-1]
    nbformat.write(book, solutions / f"{NAME}.ipynb")
    with pytest.raises(ValueError, match=r"doesn't solve 02\.8"):
        release("02", tmp_path / "course", solutions=solutions)
    assert not (tmp_path / "course").exists()


@pytest.fixture
def course(tmp_path, monkeypatch):
    """nbgrader for a course folder of its own: (its API, the folder)."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")  # alembic
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.chdir(tmp_path)
    config, root = Config(), tmp_path / "course"
    config.CourseDirectory.root = str(root)
    config.CourseDirectory.db_url = f"sqlite:///{tmp_path}/gradebook.db"
    config.Execute.timeout = 600  # a test cell imports torch, and the machine may be busy
    api = NbGraderAPI(config=config)
    api.log.setLevel(logging.ERROR)
    return api, root


def submit(root, student, answers):
    """Hand in the released notebook with `answers` (grade id -> source) typed in."""
    book = nbformat.read(root / "release" / NAME / f"{NAME}.ipynb", as_version=4)
    for grade_id, source in answers.items():
        cell_of(book, grade_id).source = source
    folder = root / "submitted" / student / NAME
    folder.mkdir(parents=True)
    nbformat.write(book, folder / f"{NAME}.ipynb")


def test_nbgrader_gives_the_marks_that_the_answers_deserve(tmp_path, solutions, course):
    api, root = course
    found = sorted((ROOT / "solutions").glob("02_*.ipynb"))
    if found:  # the course's own, as soon as there is one
        shutil.copy(found[0], solutions / f"{NAME}.ipynb")
    source = nbformat.read(release("02", root, solutions=solutions, points=3), as_version=4)
    done = api.generate_assignment(NAME)
    assert done["success"], done
    released = nbformat.read(root / "release" / NAME / f"{NAME}.ipynb", as_version=4)
    for text in (cell.source for cell in released.cells):
        assert "_check" not in text
        assert "return abs" not in text
    assert "raise NotImplementedError()" in cell_of(released, "answer-02-1").source
    full = {c.metadata.nbgrader.grade_id: c.source for c in source.cells if c.metadata.nbgrader.solution}
    wrong = '@exercise("02.1")\ndef magnitude_mask(w, theta):\n    return w > theta'
    submit(root, "ann", full)
    broken = '@exercise("02.5")\ndef total_sparsity(:'
    submit(root, "ben", full | {"answer-02-1": wrong, "answer-02-5": broken})
    for student in ("ann", "ben"):
        done = api.autograde(NAME, student)
        assert done["success"], done
    with api.gradebook as book:
        marks = {name: book.find_submission(NAME, name) for name in ("ann", "ben")}
        assert {name: (mark.score, mark.max_score) for name, mark in marks.items()} == {
            "ann": (24.0, 24.0),
            "ben": (18.0, 24.0),
        }
        (notebook,) = marks["ben"].notebooks
        assert sorted(g.name for g in notebook.grades if g.score == 0) == ["test-02-1", "test-02-5"]
    rows = {row.file.split("/")[0]: row for row in grade(root / "submitted", quiet=True)}
    assert rows["ann"].right == 8
    assert (rows["ben"].cells["02.1"], rows["ben"].cells["02.5"]) == ("wrong: no_abs", "crashed")


def test_an_assignment_as_released_is_to_do(tmp_path, solutions):
    """nbgrader's stub raises NotImplementedError(): the checker must take it for one."""
    path = release("02", tmp_path / "course", solutions=solutions)
    text = path.read_text()
    assert text.count("BEGIN SOLUTION") == text.count("END SOLUTION") == len(harvest(path).sources)
    book = nbformat.read(path, as_version=4)
    for cell in book.cells:
        head, mark, _ = cell.source.partition("    ### BEGIN SOLUTION")
        cell.source = head + ("    # YOUR CODE HERE\n    raise NotImplementedError()" if mark else "")
    nbformat.write(book, tmp_path / "course" / "blank.ipynb")
    path.unlink()
    (row,) = grade(tmp_path / "course", quiet=True)
    assert set(row.cells.values()) == {"to do"}
    assert row.notes == []


def test_the_command_line_releases(tmp_path, solutions):
    command = [sys.executable, "-c", "from mcomp.cli import main; main()", "release", "02"]
    command += ["--nbgrader", str(tmp_path / "course"), "--solutions", str(solutions)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "nbgrader generate_assignment" in done.stdout
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr + done.stdout) == (2, False)
