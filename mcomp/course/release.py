"""A chapter's exercises as an nbgrader assignment: `mcomp release 02 --nbgrader DIR`.

The source notebook of DIR/source/NAME/NAME.ipynb: for each exercise a text, an answer cell whose body is the
solution between BEGIN SOLUTION and END SOLUTION, and a locked cell with points whose hidden test calls the
course's checker. nbgrader runs a submission in its own kernel, where a learner could tamper with the checker;
`mcomp grade` can be run on the same files and can't be tampered with in that way.
"""

import ast
import inspect
from pathlib import Path
from textwrap import dedent, indent

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mcomp.arrays import check_int
from mcomp.course.harvest import harvest
from mcomp.course.model import load
from mcomp.files import write_atomic

SCHEMA = 3  # of nbgrader's cell metadata, in nbgrader 0.8 and 0.9
ROOT = Path(__file__).resolve().parents[2]
TEST = """# {id}: {points} point{s} if the answer is right
### BEGIN HIDDEN TESTS
from mcomp.course.check import check as _check
from mcomp.course.model import find as _find

_verdict = _check(_find("{id}"), {name})
assert _verdict.ok, f"{{_verdict.status}}: {{_verdict.diagnosis or _verdict.message}}"
### END HIDDEN TESTS"""


def release(chapter, folder, *, points=1, solutions=None, force=False):
    """Write the assignment of a chapter into an nbgrader course folder; returns the notebook's path.

    Parameters
    ----------
    chapter : str
        Such as "02".
    folder : path
        The course folder, made if it doesn't exist. The assignment has the solution notebook's name.
    points : int
        For each exercise.
    solutions : path or None
        The folder of the solution notebooks; by default the one of this checkout.
    force : bool
        Write over an assignment that is there.

    Raises
    ------
    ValueError
        If the chapter or its solution notebook doesn't exist, an exercise isn't solved in it, or the
        assignment exists.
    """
    spec, check = load(chapter), check_int("points", points, 1)
    solution = _solution(chapter, Path(solutions) if solutions else ROOT / "solutions")
    path = Path(folder) / "source" / solution.stem / f"{solution.stem}.ipynb"
    if path.exists() and not force:
        raise ValueError(f"{path} exists; --force writes over it")
    book = _notebook(spec, harvest(solution), check)
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_atomic(path, nbformat.writes(book).encode())


def _solution(chapter, folder):
    found = sorted(folder.glob(f"{chapter}_*.ipynb"))
    if len(found) != 1:
        raise ValueError(f"solutions is {str(folder)!r}; allowed: a folder with one {chapter}_*.ipynb")
    return found[0]


def _notebook(chapter, solved, points):
    unsolved = [exercise.id for exercise in chapter.exercises if exercise.id not in solved.sources]
    if unsolved:
        raise ValueError(f"the solution notebook doesn't solve {', '.join(unsolved)}")
    title = f"# {chapter.number} {chapter.title}: exercises\n\nRun each cell after you have filled it in."
    cells = [_locked(new_markdown_cell(title), "title"), _locked(new_code_cell(_setup(solved)), "setup")]
    for exercise in chapter.exercises:
        name = exercise.id.replace(".", "-")
        text = new_markdown_cell(_question(exercise, points))
        answer = new_code_cell(_answer(exercise, solved))
        test = TEST.format(id=exercise.id, name=exercise.name, points=points, s="s" * (points > 1))
        cells.append(_locked(text, f"question-{name}"))
        cells.append(_with(answer, f"answer-{name}", solution=True))
        cells.append(_with(new_code_cell(test), f"test-{name}", grade=True, locked=True, points=points))
    for cell in cells:  # ids that don't change from one release to the next
        cell.id = cell.metadata.nbgrader.grade_id
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _with(cell, grade_id, *, grade=False, solution=False, locked=False, points=None):
    """The cell with nbgrader's metadata."""
    data = {"schema_version": SCHEMA, "grade_id": grade_id, "cell_type": cell.cell_type, "task": False}
    data |= {"grade": grade, "solution": solution, "locked": locked}
    cell.metadata["nbgrader"] = data | ({"points": points} if grade else {})
    return cell


def _locked(cell, grade_id):
    return _with(cell, grade_id, locked=True)


def _statements(solved):
    """Every statement that the solutions need, once, in order, with the names of the answers."""
    texts = dict.fromkeys(
        ast.unparse(n) for source in solved.sources.values() for n in ast.parse(source).body
    )
    return [(text, ast.parse(text).body[0]) for text in texts]


def _setup(solved):
    """Imports, and the constants and helper functions that the solutions use: these are given."""
    answers = set(solved.names.values())
    given = [text for text, node in _statements(solved) if getattr(node, "name", None) not in answers]
    lines = ["import numpy as np", "import torch", "from mcomp.course import exercise, hint", *given]
    return "\n".join(dict.fromkeys(lines))


def _answer(exercise, solved):
    """The answer cell: decorator, signature and docstring for the learner, the body for the teacher."""
    node = ast.parse(solved.written[exercise.id]).body[0]
    doc = ast.Expr(ast.Constant(inspect.getdoc(exercise.oracle)))
    stub = ast.FunctionDef(node.name, node.args, [doc], node.decorator_list, node.returns)
    head = ast.unparse(ast.fix_missing_locations(ast.copy_location(stub, node)))
    body = indent(_body(node, solved.written[exercise.id]), "    ")
    marked = f"    ### BEGIN SOLUTION\n{body}\n    ### END SOLUTION"
    return f'@exercise("{exercise.id}")\n{head}\n{marked}'


def _body(node, text):
    """What the function does, as written, without docstring."""
    first, lines = node.body[0], text.splitlines()
    if first.lineno == node.lineno:  # all on one line
        return "\n".join(map(ast.unparse, node.body))
    start = first.end_lineno if ast.get_docstring(node) else first.lineno - 1
    while not ast.get_docstring(node) and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    return dedent("\n".join(lines[start:]))


def _question(exercise, points):
    """What is asked, with the smallest case as an example."""
    case = exercise.make_cases()[0]
    args, kwargs = case.fresh()
    call = ", ".join([*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())])
    lines = [f"## {exercise.id} {exercise.title}", inspect.getdoc(exercise.oracle)]
    lines.append(f"```python\n>>> {exercise.name}({call})\n{exercise.oracle(*args, **kwargs)!r}\n```")
    return "\n\n".join([*lines, f'{points} point{"s" * (points > 1)}. `hint("{exercise.id}")` helps.'])
