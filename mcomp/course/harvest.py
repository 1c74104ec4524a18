"""The learner's answers out of a notebook file, as source text: nothing is run.

An answer is the function under ``@exercise("...")``. It takes along what it refers to (`needs`) of the
notebook's cells, in which IPython's own syntax (`magics`) and cells that can't be parsed cost nothing else.
Where there are several answers to one exercise, the last that was meant counts: no stub counts where there
is an answer, and a raw or markdown cell counts only where no code cell has an answer.
"""

import ast
import re
from dataclasses import dataclass, field

from mcomp.course.cells import Cell, read_cells
from mcomp.course.magics import BROKEN, read_python
from mcomp.course.needs import BLOCKS, Statements

MOST = 1_000_000  # characters of all cells that are read as Python
MENTION = re.compile(r"""\bexercise\(\s*(?:exercise_id\s*=\s*)?["']([\w.]+)["']""")


@dataclass
class Harvest:
    """What a notebook holds. The first four are dicts by exercise id."""

    sources: dict = field(default_factory=dict)  # complete, to be run
    names: dict = field(default_factory=dict)  # of the functions
    written: dict = field(default_factory=dict)  # the functions as they stand, with comments
    broken: dict = field(default_factory=dict)  # why an answer can't be taken over
    cells: list = field(default_factory=list)  # all code cells, as text
    notes: list = field(default_factory=list)  # what a person would remark


@dataclass(frozen=True)
class Page:
    """A cell that could be read."""

    cell: Cell
    text: str
    nodes: list


@dataclass(frozen=True)
class Answer:
    """A function under the decorator; `node` stands on the page without its decorator."""

    page: Page
    node: ast.stmt
    name: str
    written: str
    stub: bool

    @property
    def rank(self):
        return not self.stub, self.page.cell.kind == "code"


def answers(path):
    """``{exercise id: source}``; each source is complete and ends with the answer, without its decorator.

    Raises
    ------
    ValueError
        If the file is not a notebook.
    """
    return harvest(path).sources


def harvest(path):
    """The Harvest of a notebook file.

    Raises
    ------
    ValueError
        If the file is not a notebook.
    """
    cells, notes = read_cells(path)
    found = Harvest(cells=[cell.source for cell in cells if cell.kind == "code"], notes=notes)
    pages = _pages(cells, found)
    names = _decorators(pages)
    pages = [Page(page.cell, page.text, _opened(page.nodes, names)) for page in pages]
    every = {}
    for page in pages:
        for exercise_id, answer in _answers(page, names):
            every.setdefault(exercise_id, []).append(answer)
    chosen = {key: _chosen(key, those, found.notes) for key, those in every.items()}
    _complete(chosen, pages, found)
    return found


def _pages(cells, found):
    """The cells that can be read as Python; other than code cells only where they hold an exercise."""
    pages, room = [], MOST
    for cell in cells:
        mentioned = MENTION.findall(cell.source)
        if cell.kind != "code" and not mentioned:
            continue
        try:
            if len(cell.source) > room:
                raise ValueError(f"the cells have more than {MOST:,} characters")
            text, nodes = read_python(cell.source, mentions=bool(mentioned))
        except BROKEN as error:
            if cell.kind == "code":
                found.broken |= dict.fromkeys(mentioned, f"cell {cell.number} can't be parsed: {_why(error)}")
            continue
        room -= len(cell.source)
        pages.append(Page(cell, text, nodes))
    return pages


def _why(error):
    line = f" (line {error.lineno})" if getattr(error, "lineno", None) else ""
    text = getattr(error, "msg", None) or (str(error) if type(error) is ValueError else "")
    return (text or type(error).__name__) + line


def _decorators(pages):
    """What the decorator is called: `exercise`, and what it is imported as."""
    imports = [n for page in pages for top in page.nodes for n in ast.walk(top) if type(n) is ast.ImportFrom]
    course = [node for node in imports if (node.module or "").startswith("mcomp.course")]
    return {"exercise"} | {
        a.asname for node in course for a in node.names if a.name == "exercise" and a.asname
    }


def _opened(nodes, names):
    """The statements; in place of an ``if``, ``try`` or ``with`` around an exercise what is under it."""
    todo, opened = list(reversed(nodes)), []
    while todo:
        node = todo.pop()
        if not isinstance(node, BLOCKS) or not any(_ids(part, names) for part in ast.walk(node)):
            opened.append(node)
            continue
        test = getattr(node, "test", None)
        off = isinstance(test, ast.Constant) and not test.value  # `if False:` is how people put code aside
        parts = [] if off else list(node.body)
        parts += [n for handler in getattr(node, "handlers", []) for n in handler.body]
        on = isinstance(test, ast.Constant) and not off
        parts += [] if on else [*getattr(node, "orelse", []), *getattr(node, "finalbody", [])]
        todo += reversed(parts)
    return opened


def _answers(page, names):
    """Pairs (exercise id, Answer) of a page; the nodes lose their marks."""
    for at, node in enumerate(page.nodes):
        ids = _ids(node, names)
        if isinstance(node, ast.FunctionDef):
            node.decorator_list = [mark for mark in node.decorator_list if not _marked_id(mark, names)]
            name, stub = node.name, _is_stub(node)
        elif ids:
            inner = node.value.args[0]
            name = node.targets[0].id if isinstance(node, ast.Assign) else getattr(inner, "id", "")
            if getattr(inner, "id", None) == name:
                node = ast.copy_location(ast.Expr(inner), node)
            else:
                node.value = inner
            page.nodes[at], stub = node, False
        for exercise_id in ids:
            lines = page.text.split("\n")[node.lineno - 1 : node.end_lineno]
            yield exercise_id, Answer(page, node, name, "\n".join(lines), stub)


def _ids(node, names):
    """The exercise ids of a statement: a decorated function, or ``f = exercise("02.1")(g)``."""
    if isinstance(node, ast.FunctionDef):
        return list(filter(None, (_marked_id(mark, names) for mark in node.decorator_list)))
    value = getattr(node, "value", None) if isinstance(node, (ast.Assign, ast.Expr)) else None
    if not isinstance(value, ast.Call) or len(value.args) != 1 or value.keywords:
        return []
    named = isinstance(value.args[0], ast.Name)
    if isinstance(node, ast.Assign):
        named = len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
    return [found] if named and (found := _marked_id(value.func, names)) else []


def _marked_id(mark, names):
    """The id in ``exercise("02.1")``, or None."""
    if not isinstance(mark, ast.Call):
        return None
    given = [*mark.args, *(word.value for word in mark.keywords if word.arg == "exercise_id")]
    if len(given) != 1 or len(mark.args) + len(mark.keywords) != 1:
        return None
    name, value = getattr(mark.func, "id", getattr(mark.func, "attr", "")), getattr(given[0], "value", None)
    return value if name in names and isinstance(value, str) else None


def _is_stub(function):
    """Is there nothing but a docstring and ``raise NotImplementedError``?"""
    *before, last = function.body
    raised = last.exc if isinstance(last, ast.Raise) else None
    raised = raised.func if isinstance(raised, ast.Call) and not raised.args else raised
    plain = all(isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant) for n in before)
    return plain and getattr(raised, "id", None) == "NotImplementedError"


def _chosen(exercise_id, those, notes):
    """The last of the answers that was meant; says so where there was a choice."""
    best = max(answer.rank for answer in those)
    chosen, meant = [a for a in those if a.rank == best][-1], [a for a in those if not a.stub]
    cell = chosen.page.cell
    if len(meant) > 1:
        notes.append(f"{exercise_id} is answered {len(meant)} times; cell {cell.number} counts")
    if cell.kind != "code":
        notes.append(f"{exercise_id} is in a {cell.kind} cell, which no kernel runs; graded all the same")
    return chosen


def _complete(chosen, pages, found):
    """Put the chosen answers into `found`, each with all that it needs."""
    with_answer = {id(answer.page) for answer in chosen.values()}
    pages = [page for page in pages if page.cell.kind == "code" or id(page) in with_answer]
    statements = Statements([node for page in pages for node in page.nodes])
    place = {id(node): at for at, node in enumerate(statements.nodes)}
    for exercise_id, answer in chosen.items():
        try:
            found.sources[exercise_id] = statements.complete(place[id(answer.node)])
        except BROKEN as error:
            found.broken[exercise_id] = f"can't be taken over: {type(error).__name__}"
            continue
        found.names[exercise_id], found.written[exercise_id] = answer.name, answer.written
        found.broken.pop(exercise_id, None)
