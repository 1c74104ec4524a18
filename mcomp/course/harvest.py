"""The learner's answers out of a notebook file, as source text: nothing is run.

An answer is the function under ``@exercise("...")``. It takes along what it refers to, and what that refers
to: imports, functions, classes and plain assignments at the top level of the notebook's cells. Of several
definitions of a name the last one above the answer counts, as in a kernel that ran all cells in order; if
there is none above, the first below. Nothing else of the notebook is taken: no other statements, no magics.
"""

import ast
import builtins
import json
import re
import symtable
from dataclasses import dataclass, field
from pathlib import Path

LARGEST = 50_000_000  # bytes of a notebook file
BROKEN = (SyntaxError, ValueError, RecursionError, MemoryError)  # what parsing a stranger's source may raise
MENTION = re.compile(r"""@\s*(?:\w+\.)*exercise\(\s*["']([\w.]+)["']""")


@dataclass
class Harvest:
    """What a notebook holds. All but `cells` are dicts by exercise id."""

    sources: dict = field(default_factory=dict)  # complete, to be run
    names: dict = field(default_factory=dict)  # of the functions
    written: dict = field(default_factory=dict)  # the functions as they stand, with comments
    broken: dict = field(default_factory=dict)  # why an answer can't be taken over
    cells: list = field(default_factory=list)  # all code cells, as text


def answers(path):
    """``{exercise id: source}``; each source is complete and ends with the answer, without its decorator.

    Of several answers to one exercise the last counts. Cells that can't be parsed are left out.

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
    found, statements, marked = Harvest(cells=_code_cells(path)), [], {}
    for number, source in enumerate(found.cells, 1):
        try:
            nodes = ast.parse(text := _without_magics(source)).body
        except BROKEN as error:
            why = f"code cell {number} can't be parsed: {getattr(error, 'msg', None) or type(error).__name__}"
            found.broken |= dict.fromkeys(MENTION.findall(source), why)
            continue
        for at, node in enumerate(nodes, len(statements)):
            if isinstance(node, ast.FunctionDef) and (name := _exercise_id(node)):
                node.decorator_list = [mark for mark in node.decorator_list if not _marked_id(mark)]
                marked[name] = at
                found.written[name] = "\n".join(text.splitlines()[node.lineno - 1 : node.end_lineno])
        statements += nodes
    for name, at in marked.items():
        try:
            found.sources[name], found.names[name] = _complete(statements, at), statements[at].name
            found.broken.pop(name, None)
        except BROKEN as error:
            found.broken[name] = f"can't be taken over: {type(error).__name__}"
    return found


def _code_cells(path):
    """The sources of the code cells."""
    name = Path(path).name
    try:
        if Path(path).stat().st_size > LARGEST:
            raise ValueError(f"larger than {LARGEST:,} bytes")
        cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
        return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
        raise ValueError(f"{name} is not a notebook: {type(error).__name__}: {error}") from None


def _without_magics(source):
    return "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())


def _exercise_id(function):
    """The id in ``@exercise("02.1")``, or None."""
    return next(filter(None, map(_marked_id, function.decorator_list)), None)


def _marked_id(mark):
    if not isinstance(mark, ast.Call) or len(mark.args) != 1:
        return None
    name = getattr(mark.func, "id", getattr(mark.func, "attr", ""))
    value = getattr(mark.args[0], "value", None)
    return value if name == "exercise" and isinstance(value, str) else None


def _complete(statements, at):
    """The source of statement `at` with all that it needs, in the notebook's order, itself last."""
    taken, asked, wanted = set(), {statements[at].name}, _needs(statements[at])
    while wanted := wanted - asked:
        asked |= wanted
        places = {place for name in wanted for place in _places(statements, name, at)} - taken
        taken |= places
        wanted = {name for place in places for name in _needs(statements[place])}
    known = {name for place in taken for name in _binds(statements[place])} | set(dir(builtins))
    if asked - known - {statements[at].name}:  # it may come from `from numpy import *`
        taken |= {i for i, node in enumerate(statements) if _binds(node) == {"*"}}
    return "\n\n".join(ast.unparse(statements[i]) for i in [*sorted(taken - {at}), at]) + "\n"


def _places(statements, name, at):
    """Where `name` is defined for a reader at statement `at`; every import that binds it."""
    found = [i for i, node in enumerate(statements) if name in _binds(node)]
    if not found:
        return []
    above = [i for i in found if i < at]
    chosen = above[-1] if above else found[0]
    if not isinstance(statements[chosen], ast.Import):
        return [chosen]
    return [i for i in found if isinstance(statements[i], ast.Import)]


def _binds(node):
    """The names that a statement at the top level defines, if it is of a kind that is taken over."""
    if isinstance(node, ast.Import):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {a.asname or a.name for a in node.names} if node.module != "__future__" else set()
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return {node.name}
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        stored = [n for target in targets for n in ast.walk(target)]
        return {n.id for n in stored if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return set()


def _needs(node):
    """The names of the notebook that a statement refers to, at once or when it is called."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return set()
    table = symtable.symtable(ast.unparse(node), "<answer>", "exec")
    names = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    inner = list(table.get_children())
    while inner:
        table = inner.pop()
        names |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global()}
        inner += table.get_children()
    return names
