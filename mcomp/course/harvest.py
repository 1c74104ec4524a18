"""The learner's answers out of a notebook file, as source text: nothing is run."""

import ast
import json
from pathlib import Path


def answers(path):
    """``{exercise id: source}`` of the functions under ``@exercise("...")`` in a notebook.

    Each source is complete: every import of the notebook, its undecorated functions, then the answer without
    its decorator. Cells that can't be parsed are left out; of several answers to one exercise the last
    counts.

    Raises
    ------
    ValueError
        If the file is not a notebook.
    """
    imports, helpers, found = [], {}, {}
    for tree in _cells(path):
        for node in tree.body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                imports.append(ast.unparse(node))
            elif isinstance(node, ast.FunctionDef) and (name := _exercise_id(node)):
                node.decorator_list = []
                found[name] = ast.unparse(node)
            elif isinstance(node, ast.FunctionDef) and not node.decorator_list:
                helpers[node.name] = ast.unparse(node)
    head = "\n".join([*dict.fromkeys(imports), *helpers.values()])
    return {name: f"{head}\n\n{source}\n" for name, source in found.items()}


def _cells(path):
    """The code cells of a notebook as syntax trees, magics left out."""
    try:
        cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{Path(path).name} is not a notebook: {error}") from None
    for source in sources:
        plain = "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("%", "!")))
        try:
            yield ast.parse(plain)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue


def _exercise_id(function):
    """The id in ``@exercise("02.1")``, or None."""
    for mark in function.decorator_list:
        if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "exercise" and len(mark.args) == 1:
            return getattr(mark.args[0], "value", None)
    return None
