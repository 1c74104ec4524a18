"""Real notebooks, spoilt in the ways in which files get spoilt: bytes, JSON values, cells, sources, tokens.

`python tests/mutations.py 10000` reads that many and prints the counts; test_harvest.py reads a few hundred.
"""

import collections
import copy
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from mcomp.course.flags import flags_of
from mcomp.course.harvest import harvest

ROOT = Path(__file__).resolve().parent.parent
BOOKS = sorted([*ROOT.glob("chapters/*.ipynb"), *ROOT.glob("solutions/*.ipynb")])
SLOW = 10.0  # seconds of processor time; a notebook of the course takes 0.1
ODD = [None, True, -1, 1e400, "", "\0", "\ud800", "\ufeff", [], {}, [[]], ["a", 1], "0" * 5000, "é\u2028\x0c"]
LINES = [
    "%matplotlib inline", "%%time", "%%bash", "!ls 'it", "x = !ls", "np.abs?", "?np", "print??", "%",
    "!", "?", "  % 2", '"""', "'''", "(", ")", "\\", "\t", "if False:", "if True:", "else:", "try:",
    "@exercise('02.1')", '@exercise("02.2")', "exercise('01.1')(f)", "f = exercise('01.1')(lambda x: x)",
    "def f(w):", "    pass", "raise NotImplementedError", "from numpy import *",
    "from mcomp.course import exercise as ex", "from __future__ import annotations",
    "from __future__ import braces", "class A: pass", "return", "await x", "x" * 999, "(" * 150,
    "-" * 5000 + "1", "a" + ".b" * 3000, "a" + "+a" * 5000, "é = '\\d'", "\r", "\0", "\ud800", "del np",
    "global np", "async def f(): pass", "match x:\n  case _: pass", "f'{x!r:{'a'}}'", ">>> a = 1", "…",
]  # fmt: skip
CODINGS = ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"]


def spoilt(seed):
    """(name of the notebook, bytes): always the same for a seed."""
    rng = random.Random(seed)
    path = rng.choice(BOOKS)
    if rng.random() < 0.25:
        return path.name, _bytes(path.read_bytes(), rng)
    book = json.loads(path.read_text(encoding="utf-8"))
    for cell in book["cells"]:  # of pictures there are enough in one notebook of ten
        if rng.random() < 0.9:
            cell.pop("outputs", None)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        rng.choice([_value, _cell, _source, _source, _token, _token])(book, rng)
    text = json.dumps(book, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1]))
    if rng.random() < 0.2:
        text = text.replace("\n", rng.choice(["\r\n", "\r"]))
    data = text.encode(rng.choice(CODINGS) if rng.random() < 0.2 else "utf-8", "replace")
    return path.name, _bytes(data, rng) if rng.random() < 0.1 else data


def _bytes(data, rng):
    data, at = bytearray(data), rng.randrange(len(data))
    kind = rng.randrange(6)
    if kind == 0:
        del data[at:]
    elif kind == 1:
        del data[at : at + rng.choice([1, 9, 999])]
    elif kind == 2:
        data[at:at] = rng.randbytes(rng.choice([1, 9, 999]))
    elif kind == 3:
        data += rng.choice([b"}", b"\0" * 99, b"<html>", bytes(data[:at])])
    elif kind == 4:
        data[at:at] = data[at : at + 9999]
    else:
        for _ in range(rng.choice([1, 9, 99])):
            data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def _value(book, rng):
    """Another value, or none, somewhere in the tree."""
    node = book
    while True:
        key = rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
        inner = node[key]
        if not isinstance(inner, (dict, list)) or not inner or rng.random() < 0.2:
            break
        node = inner
    if rng.random() < 0.3:
        del node[key]
    else:
        node[key] = copy.deepcopy(rng.choice(ODD))


def _cells(book):
    cells = book.get("cells")
    return cells if isinstance(cells, list) else []


def _cell(book, rng):
    """A cell gone, twice, elsewhere, of another type; or all of them in the sheet of format 3."""
    cells = _cells(book)
    if not cells:
        return
    at, kind = rng.randrange(len(cells)), rng.randrange(6)
    if kind == 0:
        del cells[at]
    elif kind == 1:
        cells.insert(rng.randrange(len(cells)), copy.deepcopy(cells[at]))
    elif kind == 2:
        rng.shuffle(cells)
    elif kind == 3 and isinstance(cells[at], dict):
        cells[at]["cell_type"] = rng.choice(["raw", "markdown", "code", "CODE", "heading", 7])
    elif kind == 4:
        book["worksheets"] = [{"cells": book.pop("cells")}]
    else:
        cells += copy.deepcopy(cells[at:])


def _some_source(book, rng):
    """(a cell, its lines), of those that have text."""
    found = [c for c in _cells(book) if isinstance(c, dict) and isinstance(c.get("source"), (str, list))]
    coded = [cell for cell in found if cell.get("cell_type") == "code"] or found
    if not coded:
        return {}, [""]
    cell = rng.choice(coded)
    return cell, "".join(map(str, cell["source"])).split("\n")


def _source(book, rng):
    """Lines put in, taken out, doubled, indented."""
    cell, lines = _some_source(book, rng)
    at, kind = rng.randrange(len(lines)), rng.randrange(5)
    if kind < 2:
        lines.insert(at, rng.choice(["", "    "]) + rng.choice(LINES))
    elif kind == 2:
        del lines[at]
    elif kind == 3:
        lines[at:at] = lines[at:]
    else:
        lines = ["  " + line for line in lines]
    text = rng.choice(["\n", "\n", "\n", "\r\n", "\r"]).join(lines)
    cell["source"] = rng.choice([text, text.splitlines(keepends=True), text.splitlines()])


def _token(book, rng):
    """A few characters put in, changed or taken out."""
    cell, lines = _some_source(book, rng)
    text = "\n".join(lines)
    for _ in range(rng.choice([1, 1, 5])):
        at = rng.randrange(len(text) + 1)
        text = (
            text[:at]
            + rng.choice(["", *"()[]{}'\"\\#@%!?:,.=\n\t\0é", *LINES])
            + text[at + rng.randrange(3) :]
        )
    cell["source"] = text


def outcome(seed, folder):
    """What becomes of a spoilt notebook: how much was read, or the ValueError; anything else is a fault."""
    name, data = spoilt(seed)
    path = Path(folder, name)
    path.write_bytes(data)
    start = time.process_time()
    try:
        found = harvest(path)
        flags_of(found)
        assert set(found.sources) == set(found.names) == set(found.written), seed
        result = "all" if found.sources and not found.broken else "some" if found.sources else "none"
    except ValueError as error:
        result = str(error).partition("not a notebook: ")[2].split(" (")[0]
    assert time.process_time() - start < SLOW, seed
    return result


def main(count):
    with tempfile.TemporaryDirectory() as folder:
        counts = collections.Counter(outcome(seed, folder) for seed in range(count))
    for name, number in counts.most_common(25):
        print(f"{number:6}  {name}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
