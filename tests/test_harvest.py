"""Notebooks as people hand them in: each is read as a person would who has to grade it, none is a crash."""

import ast
import json
import os
from pathlib import Path

import mutations
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager

from mcomp.course import cells, grade
from mcomp.course.flags import flags_of
from mcomp.course.grade import find_notebooks
from mcomp.course.harvest import MOST, harvest
from mcomp.course.magics import LONGEST, plain_python, read_python
from mcomp.course.needs import binds, needs

ANSWER = '@exercise("02.1")\ndef magnitude_mask(w, theta):\n    return abs(w) > theta\n'
STUB = '@exercise("02.1")\ndef magnitude_mask(w, theta):\n    """Text."""\n    raise NotImplementedError\n'
PLAIN = "def magnitude_mask(w, theta):\n    return abs(w) > theta\n"


def cell(source, kind="code"):
    return {"cell_type": kind, "metadata": {}, "source": source, "outputs": []}


def book(*sources):
    found = [source if isinstance(source, dict) else cell(source) for source in sources]
    return {"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def text(*sources):
    return json.dumps(book(*sources), ensure_ascii=False)


@pytest.fixture
def read(tmp_path):
    """A function: cells, or a whole file as bytes, in; the Harvest out."""

    def _read(*sources):
        path = tmp_path / "a.ipynb"
        path.write_bytes(sources[0] if isinstance(sources[0], bytes) else text(*sources).encode())
        return harvest(path)

    return _read


def value(source, name, *args):
    """What the answer returns: of sources written in this file only."""
    scope = {}
    exec(source, scope)
    return scope[name](*args)


FILES = {
    "utf-8": text(ANSWER).encode(),
    "mark": text(ANSWER).encode("utf-8-sig"),
    "utf-16": text(ANSWER).encode("utf-16"),
    "utf-16, bytes swapped": "\ufeff".encode("utf-16-be") + text(ANSWER).encode("utf-16-be"),
    "utf-32": text(ANSWER).encode("utf-32"),
    "windows": json.dumps(book(ANSWER.replace("\n", "\r\n")), indent=1).replace("\n", "\r\n").encode(),
    "old mac": json.dumps(book(ANSWER.replace("\n", "\r")), indent=1).replace("\n", "\r").encode(),
    "lines": text(cell(ANSWER.splitlines(keepends=True))).encode(),
    "lines without ends": text(cell(ANSWER.splitlines())).encode(),
    "mark in the cell": text("\ufeff" + ANSWER).encode(),
    "format 3": json.dumps(
        {"worksheets": [{"cells": [{"cell_type": "code", "input": ANSWER}]}], "nbformat": 3}
    ).encode(),
    "bare": json.dumps({"cells": [{"source": ANSWER}]}).encode(),
    "ids twice": text({**cell(ANSWER), "id": "a"}, {**cell("x = 1"), "id": "a"}).encode(),
    "latin-1": text("# é", ANSWER).encode("latin-1"),
    "behind the end": text(ANSWER).encode() + b'}\n\0 "metadata"',
    "other cells": text({"cell_type": "code"}, {"source": 7}, [], ANSWER).encode(),
}
NOTED = {"latin-1": "not UTF-8", "behind the end": "behind the notebook's end", "other cells": "cell 2 can't"}


@pytest.mark.parametrize("name", FILES)
def test_the_same_answer_is_found_in_every_kind_of_file(read, name):
    found = read(FILES[name])
    assert found.sources == {"02.1": PLAIN}
    assert found.names == {"02.1": "magnitude_mask"}
    assert found.written["02.1"] == ANSWER.rstrip()[len('@exercise("02.1")\n') :]
    assert NOTED.get(name, "") in " ".join(found.notes)
    assert bool(found.notes) == (name in NOTED)


REFUSED = {
    b"": "it is empty",
    b"\0" * 9999: "it is empty",
    b"<!DOCTYPE html><html>": "it is a web page",
    text(ANSWER).encode()[:-30]: "it ends in the middle",
    b'{"cells": [\n<<<<<<< HEAD\n{}\n=======\n>>>>>>> b\n]}': "conflict marks",
    b"PK\x03\x04": "no JSON",
    b"[" * 100_000: "nested too deep",
    b"[1, 2]": "no cells",
    b'{"cells": {}}': "no list of cells",
    b'{"worksheets": [1, {}]}': "no list of cells",
}


@pytest.mark.parametrize("data", REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_notebook_is_told_in_a_sentence(read, data):
    with pytest.raises(ValueError, match=rf"^a.ipynb is not a notebook: .*{REFUSED[data]}"):
        read(data)


def test_large_outputs_are_read_and_larger_files_are_not(tmp_path):
    big = cell("x = 1") | {"outputs": [{"output_type": "stream", "text": "x" * 50_000_000}]}
    path = tmp_path / "a.ipynb"
    path.write_text(text(big, ANSWER))
    assert path.stat().st_size > 50_000_000
    assert harvest(path).sources == {"02.1": PLAIN}
    with path.open("wb") as file:
        file.truncate(200_000_000)  # of zeros, which a file system needn't store
    with pytest.raises(ValueError, match="larger than 100,000,000 bytes; clear its outputs"):
        harvest(path)
    assert cells.LARGEST == 100_000_000


INSIDE = [  # (a cell with what looks like a magic, what f() of it returns)
    ('x = ("%d of %s"\n   % (1, 2))\ndef f():\n    return x', "1 of 2"),
    ("def f():\n    return (17\n    % 5\n    )", 2),
    ('def f():\n    return """\n%matplotlib\n!ls\n"""', "\n%matplotlib\n!ls\n"),
    ("x = 17 \\\n  % 5\ndef f():\n    return x", 2),
    ("s = '''\n%d\n''' % 3\ndef f():\n    return s", "\n3\n"),
]
AROUND = [
    "%matplotlib inline", "!pip install 'x", "files = !ls (", "n, m = %who_ls", "np.abs?", "?np.abs",
    "np.abs??", "%time", "%lsmagic?", "!ls \\\n  -l", "if True:\n    %pwd", "for i in []:\n    !ls {i}", "",
    "# ?",
]  # fmt: skip


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize(("inside", "right"), INSIDE)
def test_a_magic_is_one_only_where_a_statement_starts(around, inside, right):
    for source in (f"{around}\n{inside}", f"{inside}\n{around}", f"{around}\n{inside}\n\n{around}\n"):
        found, _ = read_python(source)
        assert value(found, "f") == right
        assert found.count("\n") == source.count("\n")


PARTS = st.sampled_from(
    [part for pair in INSIDE for part in pair[:1]] + AROUND + ["x = 'it?'", "y = x  # why?"]
)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(PARTS, min_size=1, max_size=6).map("\n".join))
def test_what_ipython_reads_as_python_stays_and_the_rest_goes(source):
    """IPython's own transformer is the oracle: its calls of get_ipython() are our `pass`."""
    theirs = ast.parse(TransformerManager().transform_cell(source)).body
    ours = read_python(source)[1]
    kept = [ast.unparse(node) for node in theirs if "get_ipython" not in ast.unparse(node)]
    assert [t for n in ours if (t := ast.unparse(n)) != "pass" and "    pass" not in t] == kept


CELLS = {
    "%%time\n" + ANSWER: True,
    "\n%%capture out\n%%time\n" + ANSWER: True,
    "%%writefile a.py\n" + ANSWER: True,
    "   " + ANSWER.replace("\n", "\n   ").rstrip() + "\n   %pwd": True,
    ">>> " + ANSWER.rstrip().replace("\n", "\n... "): True,
    "%time x = 1\n" + ANSWER: True,
    "%%bash\nls '": False,
    "%%html\n<b>": False,
}


@pytest.mark.parametrize("source", CELLS)
def test_cell_magics_prompts_and_indents_are_taken_off(read, source):
    found = read("%%bash\nx='", "def broken(:", "'''", source)
    assert found.sources == ({"02.1": PLAIN} if CELLS[source] else {})
    assert found.broken == {}


def test_what_a_timed_statement_binds_is_bound_and_the_body_of_a_shell_cell_is_not():
    assert read_python("%time x = 3")[0] == "x = 3"
    assert read_python("%%bash\nx=3")[1] == []
    assert read_python("%%timeit -n 1\nx = 3")[0] == "\nx = 3"


FORMS = [
    "from mcomp.course import exercise as ex\n@ex('02.1')\n" + PLAIN,
    "@ exercise ( '02.1' )\n" + PLAIN,
    "@exercise(exercise_id='02.1')\n" + PLAIN,
    "@mcomp.course.exercise(\n    '''02.1''')\n" + PLAIN,
    "if True:\n    @exercise('02.1')\n    " + PLAIN.replace("\n", "\n    "),
    "try:\n    @exercise('02.1')\n    " + PLAIN.replace("\n", "\n    ") + "\nexcept Exception:\n    print(1)",
    PLAIN + "magnitude_mask = exercise('02.1')(magnitude_mask)",
    PLAIN + "exercise('02.1')(magnitude_mask)",
    "magnitude_mask = exercise('02.1')(lambda w, theta: abs(w) > theta)",
    "@exercise('02.1')\ndef mine(w, theta): return abs(w) > theta",
    "from __future__ import annotations\n@exercise('02.1')\ndef f(w: Unknown, theta): return abs(w) > theta",
]


@pytest.mark.parametrize("form", FORMS)
def test_the_decorator_is_known_however_it_is_written(read, form):
    found = read(form)
    assert list(found.sources) == ["02.1"]
    assert value(found.sources["02.1"], found.names["02.1"], np.array([-3, 1]), 2).tolist() == [True, False]
    assert found.notes == []


@pytest.mark.parametrize(
    "source", ["if False:\n    @exercise('02.1')\n    def f(): pass", "@exercise(ID)\ndef f(): pass",
               "@other('02.1')\ndef f(): pass", "exercise('02.1')", 
               "def g():\n  @exercise('02.1')\n  def f(): pass"],
)  # fmt: skip
def test_what_is_put_aside_or_no_answer_is_not_taken(read, source):
    assert read(source).sources == {}


def other(result, exercise_id="02.1"):
    return f'@exercise("{exercise_id}")\ndef other(w, theta):\n    return {result}\n'


CHOICES = [  # (cells, the number of the one that counts, a piece of the note)
    ([other(1), other(2)], 2, "answered 2 times; cell 2 counts"),
    ([other(1) + other(2)], 2, "answered 2 times; cell 1 counts"),
    ([other(1), STUB], 1, ""),
    ([STUB, other(2)], 2, ""),
    ([other(1), cell(other(2), "raw")], 1, "answered 2 times; cell 1 counts"),
    ([STUB, cell(other(2), "raw")], 2, "in a raw cell, which no kernel runs"),
    ([cell(other(1), "markdown")], 1, "in a markdown cell"),
    ([cell(other(1), "CODE ")], 1, ""),
    ([cell(other(1), None)], 1, ""),
    ([other(1), "@exercise('02.1')\ndef f(:"], 1, ""),
    ([other(1), cell("Like `@exercise('02.1')`:\n```\n" + other(2) + "```", "markdown")], 1, ""),
]


@pytest.mark.parametrize(("sources", "right", "note"), CHOICES)
def test_the_last_answer_that_was_meant_counts(read, sources, right, note):
    found = read(*sources)
    assert value(found.sources["02.1"], "other", 0, 0) == right
    assert note in " ".join(found.notes)
    assert bool(note) == bool(found.notes)
    assert found.broken == {}


def test_a_raw_cell_that_is_not_graded_lends_nothing(read):
    found = read(
        "def helper():\n    return 1",
        cell("def helper():\n    return 2\n" + other(2), "raw"),
        other("helper()"),
    )
    assert value(found.sources["02.1"], "other", 0, 0) == 1
    found = read(STUB, cell("def helper():\n    return 2\n" + other("helper()"), "raw"))
    assert value(found.sources["02.1"], "other", 0, 0) == 2


NEEDS = [  # (what the answer refers to N by, what N is then)
    ("N = 1\nN = N + 1", 2),
    ("N = 1\nN += 1", 2),
    ("N = [0, 0]\nN[1] = 5", [0, 5]),
    ("N = []\nfor i in range(3):\n    N.append(i)", [0, 1, 2]),
    ("N = {}\nN.update(a=1)", {"a": 1}),
    ("try:\n    import nowhere as N\nexcept ImportError:\n    N = None", None),
    ("if 1 > 0:\n    N = 3\nelse:\n    N = 4", 3),
    ("def g():\n    return 1\nN = g()\ndef g():\n    return 2", 1),
    ("for N in (1, 2):\n    pass", 2),
    ("M, (N, *_) = 1, (2, 3)", 2),
    ("class N:\n    a = 1\nN.a = 7\nN = N.a", 7),
    ("i = 9\nN = [i for i in range(2)]", [0, 1]),
    ("with open(__import__('os').devnull) as N:\n    pass\nN = N.closed", True),
    ("i = 2\nclass A:\n    n = i\ni = 3\nN = A.n", 2),
    ("open('never', 'run')\nN = 1\nprint(N)", 1),
]


@pytest.mark.parametrize(("before", "right"), NEEDS)
def test_a_value_is_what_a_kernel_would_have_at_the_answer(read, before, right):
    found = read(*before.split("\n\n"), other("N"), "N = 'later'")
    assert value(found.sources["02.1"], "other", 0, 0) == right
    assert "never" not in found.sources["02.1"]
    assert "print" not in found.sources["02.1"]


def test_names_that_a_statement_binds_and_needs():
    (node,) = ast.parse("def f(a, b=c):\n    return [d for e in a] + helper(b)").body
    assert binds(node) == {"f"}
    assert needs(node, ast.unparse(node)) == ({"c"}, {"d", "helper"})
    chain = "if a:\n    x = 1\n" + "elif a:\n    y = 1\n" * 400
    assert binds(ast.parse(chain).body[0]) == {"x", "y"}


def test_a_cell_or_a_notebook_that_is_too_long_costs_no_other_answer(read):
    found = read("x = 1\n" * LONGEST, ANSWER, "y = '" + "x" * LONGEST + "'\n" + other(1, "02.2"))
    assert found.sources == {"02.1": PLAIN}
    assert "longer than 200,000 characters" in found.broken["02.2"]
    full = ["#" * (LONGEST - 1)] * (MOST // LONGEST - 1) + ["#" * (LONGEST - 100)]
    found = read(ANSWER, *full, other(1, "02.2"))
    assert list(found.sources) == ["02.1"]
    assert "more than 1,000,000 characters" in found.broken["02.2"]


def test_broken_answers_are_told_with_their_cell_and_line(read):
    found = read(
        "x = 1", "@exercise('02.1')\ndef f(w:\n    return", "@exercise('02.2')\ndef f(w): return '\0'"
    )
    assert found.sources == {}
    assert found.broken["02.1"].startswith("cell 2 can't be parsed: ")
    assert found.broken["02.2"].startswith("cell 3 can't be parsed: ")
    assert "line 2" in found.broken["02.1"]


def test_warnings_of_a_learners_strings_are_not_the_teachers(read, recwarn):
    assert list(read("x = '\\d'\ny = 1 is 1\n" + ANSWER).sources) == ["02.1"]
    assert list(recwarn) == []


NAMED = ["a (1).ipynb", "b\n.ipynb", "=c.IPYNB", "d.ipynb.txt", "ä.ipynb.json", "e.ipynb", "x y/f.ipynb"]
LEFT_OUT = [".ipynb_checkpoints/a.ipynb", "__MACOSX/._a.ipynb", ".git/a.ipynb", "a.txt", "dir.ipynb/a.txt"]


def test_every_notebook_gets_a_row_whatever_its_name(tmp_path, monkeypatch):
    for name in [*NAMED, *LEFT_OUT, "zz\udcff.ipynb"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text("x = 1"))
    (tmp_path / "empty.ipynb").touch()
    (tmp_path / "link.ipynb").symlink_to("e.ipynb")
    (tmp_path / "nowhere.ipynb").symlink_to("not there")
    os.mkfifo(tmp_path / "pipe.ipynb")
    rows = {row.file: row for row in grade.grade(tmp_path, quiet=True)}
    assert set(rows) == {*NAMED, "zz\udcff.ipynb", "empty.ipynb", "link.ipynb", "nowhere.ipynb", "pipe.ipynb"}
    assert "it is empty" in rows["empty.ipynb"].notes[0]
    assert "link, which is not followed" in rows["link.ipynb"].notes[0]
    assert "link, which is not followed" in rows["nowhere.ipynb"].notes[0]
    assert "it is no file" in rows["pipe.ipynb"].notes[0]
    assert rows["e.ipynb"].notes == ["no exercise of the course in it"]


def test_what_can_not_be_opened_gets_a_row(tmp_path, monkeypatch):
    path = tmp_path / "a" / "x.ipynb"
    path.parent.mkdir()
    path.write_text(text(ANSWER))

    def refuse(*_):
        raise PermissionError(13, "denied", str(path.parent))

    monkeypatch.setattr(Path, "open", refuse)
    (row,) = grade.grade(tmp_path, quiet=True)
    assert row.notes == ["x.ipynb is not a notebook: it can't be opened (PermissionError)"]
    monkeypatch.setattr(os, "scandir", refuse)
    assert find_notebooks(tmp_path) == [path.parent]
    (row,) = grade.grade(tmp_path, quiet=True)
    assert (row.file, len(row.notes)) == ("a", 1)


def test_a_fault_of_the_grader_costs_one_row(tmp_path, monkeypatch):
    (tmp_path / "x.ipynb").write_text(text(ANSWER))
    monkeypatch.setattr(grade, "harvest", lambda path: {}["key"])
    (row,) = grade.grade(tmp_path, quiet=True)
    assert row.notes == ["can't be graded: KeyError: 'key'"]


def test_suspect_words_are_seen_beside_magics_and_not_in_comments(read):
    found = read("%matplotlib inline\nx = 1  # gc", "%%writefile a.py\nimport gc\n%pwd")
    assert flags_of(found) == ["gc"]
    assert flags_of(read("%matplotlib inline\nx = 1  # gc")) == []


@pytest.mark.parametrize("part", range(4))
def test_spoilt_notebooks_are_read_or_refused_in_bounded_time(tmp_path, part):
    outcomes = [mutations.outcome(seed, tmp_path) for seed in range(50 * part, 50 * part + 50)]
    assert all(outcomes), outcomes  # a ValueError has a reason
    assert outcomes.count("all") > 20


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.text(st.sampled_from("%!?'\"\\\n ()#=a,;/.\r\0é"), max_size=60))
def test_any_text_is_python_or_broken_and_keeps_its_lines(source):
    assert plain_python(source).count("\n") <= source.count("\n") + 1
    try:
        read_python(source)
    except (SyntaxError, ValueError):
        assert source
