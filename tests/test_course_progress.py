"""Progress: marks that neither a crash, nor a second kernel, nor a spoilt file loses."""

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.course import exercise, progress, progress_bar, store
from mcomp.course.progress import main_progress, rows

SPOILT = [
    "", "{", "[]", "null", '{"version": 1}', "\x00\xff", "[" * 100_000, '{"version": NaN}',
    '{"version": 2, "exercises": {}, "quiz": {}, "predictions": {}}',
    '{"version": 1, "exercises": [], "quiz": {}, "predictions": {}}',
]  # fmt: skip


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    """The progress file of this test."""
    path = tmp_path / "progress.json"
    monkeypatch.setenv("MCOMP_PROGRESS", str(path))
    return path


def test_marks_are_kept_and_right_stays_right(file):
    assert store.mark("exercises", "02.1", "tried") == ""
    assert store.mark("exercises", "02.1", "right") == ""
    assert store.mark("exercises", "02.1", "tried") == ""
    assert store.mark("predictions", "02.a", 47.5) == ""
    marks, note = store.read()
    assert (marks["exercises"], marks["predictions"], note) == ({"02.1": "right"}, {"02.a": 47.5}, "")
    assert json.loads(file.read_text("utf-8")) == marks
    assert {p.name for p in file.parent.iterdir()} == {"progress.json", "progress.json.lock"}


@pytest.mark.parametrize("text", SPOILT)
def test_a_spoilt_file_is_set_aside_and_reported(file, text):
    file.write_text(text, "utf-8")
    note = store.mark("exercises", "02.1", "right")
    assert (
        note
        == "progress.json could not be read; it was set aside as progress.json.corrupt-1, and a new one begun"
    )
    assert file.with_name("progress.json.corrupt-1").read_text("utf-8") == text
    assert store.read() == ({**store.EMPTY, "exercises": {"02.1": "right"}}, "")
    file.write_text("{", "utf-8")
    assert "corrupt-2" in store.read()[1]
    assert store.aside() == ["progress.json.corrupt-1", "progress.json.corrupt-2"]


@settings(derandomize=True, deadline=None, max_examples=200)
@given(cut=st.integers(0, 200), flip=st.integers(0, 255))
def test_no_byte_in_the_file_can_break_the_course(tmp_path_factory, cut, flip):
    path = tmp_path_factory.mktemp("fuzz") / "progress.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MCOMP_PROGRESS", str(path))
        store.mark("exercises", "02.1", "right")
        store.mark("predictions", "02.a", 1.5)
        data = bytearray(path.read_bytes())
        data[cut % len(data)] ^= flip
        path.write_bytes(data[: len(data) - cut // 4] if cut % 2 else data)
        marks, note = store.read()
        assert sum(row["total"] for row in rows(marks)) >= 8
        assert bool(note) == bool(store.aside())


def test_a_write_that_fails_leaves_the_old_file_and_a_note(file, monkeypatch):
    store.mark("exercises", "02.1", "right")
    before = file.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert store.mark("exercises", "02.2", "right") == (
        "progress was not saved: No space left on device (progress.json)"
    )
    assert file.read_bytes() == before
    assert {p.name for p in file.parent.iterdir()} == {"progress.json", "progress.json.lock"}


def test_a_folder_that_is_not_there_is_a_note(monkeypatch, tmp_path):
    monkeypatch.setenv("MCOMP_PROGRESS", str(tmp_path / "nowhere" / "p.json"))
    assert store.mark("exercises", "02.1", "right").startswith("progress was not saved: ")
    assert store.read() == (store.EMPTY, "")


def test_a_lock_that_stays_taken_is_a_note(file, monkeypatch):
    monkeypatch.setattr(store, "PATIENCE", 0.05)
    with store._locked(file):
        assert "has kept the lock" in store.mark("exercises", "02.1", "right")
    assert store.mark("exercises", "02.1", "right") == ""


def test_kernels_at_once_lose_no_marks(file):
    """Four processes, fifty marks each, into one file."""
    code = (
        "import sys; from mcomp.course import store\n"
        "for i in range(50): assert store.mark('exercises', f'{sys.argv[1]}.{i}', 'right') == ''"
    )
    children = [subprocess.Popen([sys.executable, "-c", code, str(n)]) for n in range(4)]
    assert [child.wait(60) for child in children] == [0] * 4
    assert set(store.read()[0]["exercises"]) == {f"{n}.{i}" for n in range(4) for i in range(50)}


def test_where_the_file_is(monkeypatch, tmp_path):
    monkeypatch.delenv("MCOMP_PROGRESS")
    monkeypatch.delenv("MCOMP_STATIC", raising=False)
    for name in ("chapters", "solutions", "chapters/deep"):
        (tmp_path / "course" / name).mkdir(parents=True)
    places = {
        "course": "course", "course/chapters": "course", "course/chapters/deep": "course",
        "course/solutions": None, ".": None,
    }  # fmt: skip
    for here, folder in places.items():
        monkeypatch.chdir(tmp_path / here)
        expected = folder and (tmp_path / folder / "progress.json").resolve()
        assert (store.location() and store.location().resolve()) == expected
    monkeypatch.chdir(tmp_path / "course" / "chapters")
    monkeypatch.setenv("MCOMP_STATIC", "1")
    assert store.location() is None
    assert store.mark("exercises", "02.1", "right") == ""
    assert store.read() == (store.EMPTY, "")


def test_the_table_and_its_json(capsys, file):
    store.mark("exercises", "02.1", "right")
    store.mark("exercises", "02.2", "tried")
    store.mark("quiz", "02", "2 of 3")
    assert main_progress() == 0
    text = capsys.readouterr().out
    assert "02  ██░░░░░░░░░░░░░░░░░░  1 of 8  Magnitude pruning  quiz 2 of 3\n      02.1  right\n" in text
    assert main_progress(as_json=True) == 0
    table = json.loads(capsys.readouterr().out)
    (row,) = (row for row in table["chapters"] if row["chapter"] == "02")
    assert (row["right"], row["total"], row["exercises"]["02.2"], row["quiz"]) == (1, 8, "tried", "2 of 3")
    assert (table["file"], table["note"], table["set_aside"]) == (str(file), "", [])
    file.write_text("{")
    main_progress()
    main_progress()
    assert capsys.readouterr().out.count("progress.json.corrupt-1") == 3


def test_an_exercise_and_the_bar_in_a_terminal(capsys, file):
    progress_bar("02")
    assert capsys.readouterr().out == "Chapter 02  ░░░░░░░░░░░░░░░░░░░░  0 of 8 exercises right\n"

    @exercise("02.1")
    def magnitude_mask(w, theta):
        return abs(w) > theta

    assert store.read()[0]["exercises"] == {"02.1": "right"}
    progress_bar("02")
    assert "1 of 8 exercises right" in capsys.readouterr().out
    assert progress._bars["02"] is None  # a terminal has no bar to move


def test_bad_input():
    with pytest.raises(ValueError, match="chapter is '2'; allowed: "):
        progress_bar("2")
