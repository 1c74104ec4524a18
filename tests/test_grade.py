"""`mcomp grade`: honest, broken and hostile submissions, each with the right cells, none in another's way."""

import ast
import csv
import importlib
import json
import os
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import nbformat
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_notebook

from mcomp.course import fence, supervise, wire
from mcomp.course.check import check, judge
from mcomp.course.compare import same
from mcomp.course.flags import flags_of
from mcomp.course.grade import Row, find_notebooks, grade
from mcomp.course.gradebook import harmless, main_grade, write_csv
from mcomp.course.harvest import harvest
from mcomp.course.model import find, load
from mcomp.course.outcomes import run
from mcomp.course.sandbox import Outcome
from mcomp.course.supervise import Limits

HERE = Path(__file__).resolve().parent
LIMITS = Limits(seconds=2.0, memory=1 << 28)
SETUP = "import numpy as np\nimport torch\nfrom mcomp.course import exercise"
LEFT_OUT = {"02.1": "def magnitude_mask(w, theta):\n    raise NotImplementedError"}


def answer(exercise_id, source):
    return f'@exercise("{exercise_id}")\n{source}'


def mask(body, before=""):
    """An answer cell for 02.1 with that body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"{before}\n" + answer("02.1", f"def magnitude_mask(w, theta):\n{lines}")


def right(number, library="numpy"):
    """The cell with a right answer to 02.`number`, other answers called by their own names."""
    exercise = find(f"02.{number}")
    for node in ast.parse((HERE / "answers" / "ch02.py").read_text()).body:
        if getattr(node, "name", "") == f"{library}_{exercise.name}":
            return answer(exercise.id, ast.unparse(node).replace(f"{library}_", ""))
    raise AssertionError(number)


def write(path, cells):
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in [SETUP, *cells]]), path)
    return path


def table():
    """An answer that knows the cases which a learner's kernel shows, and nothing else."""
    exercise, known = find("02.1"), {}
    for case in exercise.make_cases():
        w, theta = case.args
        known[repr((w.tolist(), theta))] = exercise.oracle(w, theta).tolist()
    body = "return np.array(KNOWN.get(repr((w.tolist(), theta)), [True]), bool)"
    return mask(body, before=f"KNOWN = {known!r}")


FORGE = """for fd in range(3, 40):
    try:
        os.write(fd, LINE)
    except OSError:
        pass
os._exit(0)"""


def forged(outcomes):
    """An answer that writes its own result to every descriptor, then ends the process."""
    line = wire.write_outcomes("02.1", outcomes)
    return mask(FORGE, before=f"import os\nLINE = {line!r}")


FIRST = Outcome("value", np.array([True, True]))  # right for the first case
PATCH = """import mcomp.course.check, mcomp.course.compare, mcomp.course.outcomes, sys
for module in (mcomp.course.check, mcomp.course.compare, mcomp.course.outcomes):
    for name in ("judge", "difference", "same", "check", "compared", "_fault"):
        setattr(module, name, lambda *a, **k: None)
np.allclose = np.array_equal = lambda *a, **k: True
return np.zeros(3)"""
STUBBORN = """import signal
signal.signal(signal.SIGALRM, signal.SIG_IGN)
while True:
    try:
        while True:
            pass
    except BaseException:
        pass"""
THREAD = """import threading, time
if threading.active_count() == 1:
    threading.Thread(target=time.sleep, args=(60,)).start()"""
HOSTILE = {  # name -> (the cell of 02.1, what the CSV must say)
    "loop": (mask("while True:\n    pass"), "timed out"),
    "stubborn": (mask(STUBBORN), "timed out"),
    "bomb": (mask("hoard = []\nwhile True:\n    hoard.append(np.empty(1 << 24))"), "crashed"),
    "exit": (mask("import os\nos._exit(0)"), "crashed"),
    "sys_exit": (mask("import sys\nsys.exit(0)"), "crashed"),
    "printer": (mask("print('x' * 10_000_000)\nreturn abs(w) > theta"), "wrong: printed too much"),
    "raw_printer": (mask("import os\nos.write(1, b'x' * 5_000_000)\nreturn abs(w) > theta"), "right"),
    "flood": (mask(FORGE.replace("LINE", "b'x' * 99_000_000"), "import os"), "crashed"),
    "patch": (mask(PATCH), "wrong"),
    "oracle": (mask("from mcomp.course.model import find\nreturn find('02.1').oracle(w, theta)"), "crashed"),
    "thread": (mask(f"{THREAD}\nreturn abs(w) > theta"), "right"),
    "table": (table(), "wrong"),
    "forged": (forged([Outcome("value", np.ones(3, bool))] * 40), "wrong"),
    "forged_short": (forged([FIRST]), "crashed"),
    "forged_junk": (forged([Outcome("value", "x" * 300)]).replace("kind", "kin"), "crashed"),
    "mutate": (mask("w *= 0\nreturn w > theta"), "wrong: changed its input"),
}  # fmt: skip
SPECS = Path(supervise.specs.__file__).parent
# Refused by namespaces where there are any, else by the audit hook: run with both.
FORBIDDEN = {
    "network": "import socket\nsocket.create_connection(('127.0.0.1', PORT), 1)",
    "raw_socket": "import _socket\n_socket.socket()",
    "fork": "import os\nos.fork()",
    "spawn": "import subprocess\nsubprocess.run(['touch', VICTIM + '.new'], check=True)",
    "kill": "import os\nos.kill(os.getppid(), 9)",
    "delete": "import os\nos.remove(VICTIM)",
    "tree": "import shutil, pathlib\nshutil.rmtree(pathlib.Path(VICTIM).parent)",
    "write": "open(VICTIM, 'w').close()",
    "read": f"text = open({str(SPECS / 'ch02.py')!r}).read()",
    "ctypes": "import ctypes\nctypes.CDLL(None)",
    "collector": "import gc\ngc.get_objects()",
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """One folder with everything in it, graded once: (rows by name, lines of the CSV by name)."""
    folder = tmp_path_factory.mktemp("submissions")
    for name, (cell, _) in HOSTILE.items():
        write(folder / name / "ch02.ipynb", [cell, right(2)])
    write(folder / "ann" / "ch02.ipynb", [right(i) for i in range(1, 9)])
    write(folder / "ben" / "ch02.ipynb", [right(i, "torch") for i in range(1, 9)])
    write(
        folder / "cas" / "ch02.ipynb",
        [mask("return w > theta"), answer("02.2", "def f(score, alpha):\n  raise NotImplementedError")],
    )
    write(
        folder / "dan" / "ch02.ipynb", [right(2), answer("02.1", "def magnitude_mask(w, theta:\n    return")]
    )
    write(
        folder / "=eve" / "ch02.ipynb",
        [right(1), answer("02.3", "def topk_mask(score, k):\n    raise ValueError('=1+1')")],
    )
    write(folder / "none" / "ch02.ipynb", ["x = 1"])
    (folder / "corrupt.ipynb").write_text('{"cells": [')
    (folder / "deep.ipynb").write_text("[" * 100_000)
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "ch02.ipynb").write_text("")
    out = tmp_path_factory.mktemp("out") / "grades.csv"
    main_grade(folder, out, limits=LIMITS, seed=7, quiet=True)
    with out.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    return {line["file"].removesuffix("/ch02.ipynb"): line for line in lines}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_submission_gets_its_own_cell_and_the_rest_is_graded(graded, name):
    wanted = HOSTILE[name][1]
    assert graded[name]["02.1"].partition(":")[0] == wanted.partition(":")[0], graded[name]
    assert graded[name]["02.1"].startswith(wanted)
    assert graded[name]["02.2"] == "right"
    assert graded[name]["02.3"] == "missing"
    assert graded[name]["right"] == ("2" if wanted == "right" else "1")


@pytest.mark.parametrize("name", ["ann", "ben"])
def test_an_honest_submission_is_right(graded, name):
    line = graded[name]
    assert [line[f"02.{i}"] for i in range(1, 9)] == ["right"] * 8
    assert (line["right"], line["total"], line["flags"], line["note"]) == ("8", "8", "", "")


def test_wrong_to_do_missing_and_unreadable_are_told_apart(graded):
    mistake = next(m for m in find("02.1").mistakes if m.name == "no_abs")
    assert (graded["cas"]["02.1"], graded["cas"]["02.2"]) == ("wrong: no_abs", "to do")
    assert mistake.diagnosis in graded["cas"]["note"]
    assert (graded["dan"]["02.1"], graded["dan"]["02.2"]) == ("crashed", "right")
    assert "can't be parsed" in graded["dan"]["note"]
    assert graded["'=eve"]["02.3"] == "crashed"
    assert "not a notebook" in graded["corrupt.ipynb"]["note"]
    assert "not a notebook" in graded["deep.ipynb"]["note"]
    assert graded["none"]["note"] == "no exercise of the course in it"
    assert not [name for name in graded if "checkpoints" in name]


def test_a_table_of_the_shown_cases_is_told(graded):
    assert "right on the cases that a kernel shows, wrong on others" in graded["table"]["note"]


def test_suspect_words_are_flagged(graded):
    assert "mcomp.course.model" in graded["oracle"]["flags"]
    assert "os" in graded["exit"]["flags"].split("; ")
    assert "mcomp.course.check" in graded["patch"]["flags"]


@pytest.mark.parametrize("namespaces", [True, False])
def test_what_is_forbidden_crashes_and_does_nothing(tmp_path, namespaces):
    victim = tmp_path / "elsewhere" / "victim.txt"
    victim.parent.mkdir()
    victim.write_text("still here")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        before = f"VICTIM, PORT = {str(victim)!r}, {server.getsockname()[1]}"
        for name, body in FORBIDDEN.items():
            write(tmp_path / "in" / f"{name}.ipynb", [mask(f"{body}\nreturn abs(w) > theta", before)])
        limits = Limits(seconds=2.0, memory=1 << 28, namespaces=namespaces)
        rows = grade(tmp_path / "in", limits=limits, seed=7, quiet=True)
        with pytest.raises(TimeoutError):
            server.accept()
    assert {row.file: row.cells["02.1"] for row in rows} == {
        f"{name}.ipynb": "crashed" for name in sorted(FORBIDDEN)
    }
    assert all("refused" in row.notes[0] for row in rows)
    assert [path.name for path in victim.parent.iterdir()] == ["victim.txt"]
    assert victim.read_text() == "still here"
    assert {row.guard for row in rows} <= {fence.NAMESPACES, fence.NETWORK, fence.HOOK}
    assert namespaces or {row.guard for row in rows} == {fence.HOOK}


INSIDE = """import os, sys
from mcomp.course import fence
guard = fence.enter([sys.argv[1]], sys.argv[2])
done = {}
def attempt(name, action):
    try:
        done[name] = action()
    except OSError as error:
        done[name] = type(error).__name__
import socket
attempt("connect", lambda: socket.create_connection(("127.0.0.1", int(sys.argv[3])), 1))
attempt("listed", lambda: os.listdir(sys.argv[1]))
attempt("remove", lambda: os.remove(sys.argv[4]))
attempt("scratch", lambda: open("mine", "w").write("x"))
attempt("number", lambda: os.getpid() < 5)
import json
print(json.dumps([guard, done]))
"""


def namespaces_are_allowed():
    command = ["unshare", "-rnpmf", "true"]
    return sys.platform == "linux" and subprocess.run(command, check=False).returncode == 0


def test_the_namespaces_alone_keep_network_and_files_away(tmp_path):
    """Without the audit hook; where namespaces aren't allowed the fence must say so."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "scratch").mkdir()
    for name in ("hidden/secret", "victim"):
        (tmp_path / name).write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as server:
        places = [str(tmp_path / "hidden"), str(tmp_path / "scratch")]
        words = [*places, str(server.getsockname()[1]), str(tmp_path / "victim")]
        command = [sys.executable, "-c", INSIDE, *words]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
    guard, done = json.loads(run.stdout)
    if not namespaces_are_allowed():
        assert guard == fence.HOOK
        return
    assert guard == fence.NAMESPACES
    assert done["connect"] in ("OSError", "ConnectionRefusedError")  # its own loopback, which is down
    assert (done["listed"], done["remove"], done["scratch"], done["number"]) == ([], "OSError", 1, True)
    assert (tmp_path / "victim").exists()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_no_process_is_left_behind(tmp_path):
    write(tmp_path / "a.ipynb", [mask(f"{THREAD}\n{STUBBORN}")])
    before = children()
    (row,) = grade(tmp_path, limits=Limits(seconds=0.5), quiet=True)
    assert row.cells["02.1"] == "timed out"
    assert children() <= before


def children():
    """The process ids of this process's children, where /proc tells."""
    tasks = Path(f"/proc/{os.getpid()}/task")
    return {pid for task in tasks.glob("*/children") for pid in task.read_text().split()}


def test_right_answers_pass_on_the_cases_of_many_seeds():
    """The grader draws a seed: no seed may make a right answer wrong."""
    ch02 = importlib.import_module("answers.ch02")
    for exercise in load("02").exercises:
        for library in ("numpy", "torch"):
            function = getattr(ch02, f"{library}_{exercise.name}")
            for seed in range(1, 31):
                outcomes = run(exercise, function, library=library, seed=seed)
                assert judge(exercise, outcomes, seed=seed).ok, (exercise.id, library, seed)
    assert check(load("02").exercises[0], ch02.numpy_magnitude_mask).ok


def test_an_answer_takes_along_what_it_refers_to_and_no_more(tmp_path):
    cells = [
        "w = open('never run')\nimport os.path\nimport os\nSCALE, OTHER = 2, print('with its partner')",
        "def helper(x):\n    return SCALE * deeper(x)",
        "class Unused:\n    pass\nprint('a statement')\n%matplotlib inline",
        answer("02.1", "@np.vectorize\ndef magnitude_mask(w, theta):\n    return helper(w) + os.sep  # kept"),
        "def deeper(x):\n    return 1\ndef helper(x):\n    return 'later, so not this one'",
        answer("02.4", "def nearest_sparse(w, k):\n    return magnitude_mask(w, k), sorted([e for e in w])"),
    ]  # fmt: skip
    found = harvest(write(tmp_path / "a.ipynb", cells))
    source = found.sources["02.1"]
    names = [line for line in source.splitlines() if line and not line.startswith(" ")]
    assert names == [
        "import numpy as np",
        "import os.path",
        "import os",
        "SCALE, OTHER = (2, print('with its partner'))",
        "def helper(x):",
        "def deeper(x):",
        "@np.vectorize",
        "def magnitude_mask(w, theta):",
    ]
    assert "later" not in source
    assert "later" in found.sources["02.4"]
    assert found.sources["02.4"].rstrip().splitlines()[-2] == "def nearest_sparse(w, k):"
    assert "# kept" in found.written["02.1"]
    assert found.names == {"02.1": "magnitude_mask", "02.4": "nearest_sparse"}


def test_star_imports_come_along_when_a_name_is_unknown(tmp_path):
    unknown = "def relative_threshold_mask(score, alpha):\n    return score > alpha * amax(score)"
    cells = ["from numpy import *", right(1), answer("02.2", unknown)]
    found = harvest(write(tmp_path / "a.ipynb", cells))
    assert "*" not in found.sources["02.1"]
    assert "from numpy import *" in found.sources["02.2"]


NUMBERS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=9))
VALUES = st.recursive(NUMBERS, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=3), x))
KEYS = st.sampled_from(["array", "list", "dict", "other", "exercise", "outcomes", "kind"])
MESSAGES = st.recursive(NUMBERS, lambda x: st.lists(x, max_size=4) | st.dictionaries(KEYS, x), max_leaves=20)
BAD_ARRAYS = [
    ["|O8", [1], "AAAAAAAAAAA=", False],
    ["<f8", [2], "AAAAAAAAAAA=", False],
    ["<f8", [-1], "", False],
    ["f8,f8", [1], "", False],
    ["<f8", [1 << 62], "AAAAAAAAAAA=", False],
    ["<f8", 1, "AAAAAAAAAAA=", False],
]


@settings(derandomize=True, deadline=None, max_examples=60)
@given(VALUES)
def test_values_come_back_as_they_went(value):
    assert wire.unpack(json.loads(json.dumps(wire.pack(value)))) == value


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint16", "int64", "float16", "float32", "float64", ">f8", "c16"]
)
def test_arrays_come_back_as_they_went(dtype):
    for shape in ((), (0,), (2, 3), (4, 1, 0)):
        array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
        back = wire.unpack(json.loads(json.dumps(wire.pack([array, array.T]))))
        assert [x.shape for x in back] == [array.shape, array.T.shape]
        assert back[0].dtype == array.dtype.newbyteorder("=")
        assert (back[0] == array).all()
    one = wire.unpack(wire.pack(np.float32(0.1)))
    assert same(one, np.float32(0.1))


@settings(derandomize=True, deadline=None, max_examples=200)
@given(MESSAGES)
def test_a_line_from_an_attacker_gives_outcomes_or_a_value_error(message):
    line = json.dumps(message).encode()
    try:
        name, outcomes = wire.read_outcomes(line)
    except ValueError:
        return
    assert isinstance(name, str)
    assert all(isinstance(outcome, Outcome) for outcome in outcomes)


@pytest.mark.parametrize("packed", BAD_ARRAYS)
def test_arrays_that_are_not_arrays_are_refused(packed):
    line = {"kind": "value", "value": {"array": packed}, "error": "", "line": 0, "code": "", "changed": []}
    with pytest.raises(ValueError, match="not a result"):
        wire.read_outcomes(json.dumps({"exercise": "02.1", "outcomes": [line]}))
    with pytest.raises(ValueError, match="not a result"):
        wire.read_outcomes(b"[" * 100_000)


def test_cells_are_no_formulas(tmp_path):
    row = Row("@a.ipynb", "02", {"02.1": "right"}, flags=["+x"], notes=["=HYPERLINK(1)\nsecond line", "\t=2"])
    write_csv([row], tmp_path / "g.csv")
    (line,) = csv.DictReader((tmp_path / "g.csv").read_text("utf-8-sig").splitlines())
    assert (line["file"], line["flags"]) == ("'@a.ipynb", "'+x")
    assert line["note"].startswith("'=HYPERLINK(1) second line")
    assert [harmless(text) for text in ("-1", "\r=1", "a=1", "")] == ["'-1", "'=1", "a=1", ""]


def test_bad_folders_chapters_and_files_are_one_line(tmp_path):
    with pytest.raises(ValueError, match="allowed: an existing folder"):
        find_notebooks(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no notebook"):
        grade(tmp_path)
    write(tmp_path / "a.ipynb", [])
    with pytest.raises(ValueError, match="chapter is '77'"):
        grade(tmp_path, chapter="77")
    with pytest.raises(ValueError, match="workers is 0"):
        grade(tmp_path, workers=0)
    with pytest.raises(ValueError, match="a file in an existing folder"):
        main_grade(tmp_path, tmp_path / "no" / "g.csv")
    (row,) = grade(tmp_path, chapter="02", quiet=True)
    assert set(row.cells.values()) == {"missing"}


def test_the_command_line_grades(tmp_path):
    write(tmp_path / "in" / "a.ipynb", [right(1)])
    command = [sys.executable, "-c", "from mcomp.cli import main; main()", "grade"]
    execute = partial(subprocess.run, cwd=tmp_path, capture_output=True, text=True, check=False)
    done = execute([*command, "in", "--csv", "g.csv"])
    assert done.returncode == 0, done.stderr
    assert "1 submissions, 0 flagged" in done.stdout
    assert "fence: " in done.stdout
    assert "a.ipynb,02,right,missing" in (tmp_path / "g.csv").read_text("utf-8-sig")
    done = execute([*command, "nowhere"])
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


def test_a_process_that_cannot_start_is_no_fault_of_the_submission(tmp_path, monkeypatch):
    write(tmp_path / "a.ipynb", [right(1)])
    monkeypatch.setattr(sys, "executable", "/bin/false")
    (row,) = grade(tmp_path, quiet=True)
    assert row.cells == {}
    assert "can't be started" in row.notes[0]


def test_chapters_and_solutions_as_they_are_raise_no_flag():
    for path in sorted((HERE.parent / "chapters").glob("*.ipynb")):
        assert [word for word in flags_of(harvest(path)) if "uses" not in word] == [], path.name
    assert threading.active_count() < 20
