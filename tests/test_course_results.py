"""Results of experiments as the chapters load them, and the table that shows them."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.course import results, table
from mcomp.course.results import alike, checked, higher, read, undecided


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course folder with one experiment and its result; the working folder is its chapters."""
    (tmp_path / "experiments" / "results").mkdir(parents=True)
    (tmp_path / "chapters").mkdir()
    (tmp_path / "experiments" / "00_try.py").write_bytes(b"print(1)\nprint(2)\n")
    found = {
        "script": "experiments/00_try.py",
        "script_sha256": hashlib.sha256(b"print(1)\nprint(2)\n").hexdigest(),
        "methods": {"float32": {"bytes": [8], "accuracy": [0.5]}},
    }
    (tmp_path / "experiments" / "results" / "00_try.json").write_text(json.dumps(found))
    monkeypatch.chdir(tmp_path / "chapters")
    return tmp_path


def test_a_chapter_finds_the_results_above_it(course):
    assert results.course_folder() == course
    assert read("00_try")["methods"]["float32"] == {"bytes": [8], "accuracy": [0.5]}
    assert read("00_try", folder=course) == read("00_try")


def test_elsewhere_they_are_those_beside_the_package(course, monkeypatch):
    monkeypatch.chdir(course.parent)
    assert (results.course_folder() / "mcomp" / "course" / "results.py").is_file()


def test_without_the_course_the_error_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(results, "__file__", str(tmp_path / "site" / "mcomp" / "course" / "results.py"))
    with pytest.raises(ValueError, match="a folder of the course"):
        results.course_folder()


def test_a_result_of_a_changed_script_is_refused(course):
    script = course / "experiments" / "00_try.py"
    script.write_bytes(b"print(1)\r\nprint(2)\r\n")  # line ends don't count
    assert read("00_try")
    script.write_bytes(b"print(1)\nprint(3)\n")
    with pytest.raises(ValueError, match=r"00_try\.py has changed"):
        read("00_try")


def test_a_result_that_is_not_there_is_named(course):
    with pytest.raises(ValueError, match=r"'00_tri'; allowed: one of 00_try"):
        read("00_tri")


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(-(10**9), 10**9), st.floats(-1e6, 1e6)), min_size=1, max_size=5))
def test_a_table_prints_every_number(rows):
    import contextlib
    import io

    with contextlib.redirect_stdout(out := io.StringIO()):
        table(["whole", "real"], rows, title="both")
    title, header, *lines = out.getvalue().splitlines()
    assert (title, header.split()) == ("both", ["whole", "real"])
    for (whole, real), line in zip(rows, lines, strict=True):
        left, right = line.split()
        assert int(left.replace(",", "")) == whole
        assert float(right) == pytest.approx(real, rel=5e-4)  # four digits
    assert len({len(line) for line in lines}) == 1  # aligned


def test_a_table_shows_text_numpy_numbers_and_what_html_would_swallow(capsys):
    table(["a", "b"], [("x < y", np.int64(1200)), ("z", np.float32(0.25))])
    assert capsys.readouterr().out == "a         b\nx < y 1,200\nz      0.25\n"
    from mcomp.course.tables import _html

    assert "x &lt; y" in _html([["a"], ["x < y"]], [False], "")


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="2 entries"):
        table(["a", "b"], [(1, 2), (1,)])


ABOVE, BELOW = [0.89, 0.88, 0.90, 0.88, 0.89], [0.86, 0.85, 0.86, 0.86, 0.85]


def test_a_difference_is_told_only_where_its_interval_leaves_out_0():
    from scipy import stats

    low, high = stats.ttest_rel(ABOVE, BELOW).confidence_interval(0.95)
    assert higher(ABOVE, BELOW)
    assert higher(ABOVE, BELOW, by=low - 1e-6)
    assert alike(ABOVE, BELOW, within=high + 1e-6)
    assert undecided([0.89, 0.88, 0.90], [0.88, 0.89, 0.90])
    for wrong in (
        lambda: higher(ABOVE, BELOW, by=low + 1e-6),
        lambda: higher(BELOW, ABOVE),
        lambda: undecided(ABOVE, BELOW),
        lambda: undecided(BELOW, ABOVE),
        lambda: alike(ABOVE, BELOW, within=high - 1e-6),
        lambda: alike(BELOW, ABOVE, within=high - 1e-6),
    ):
        with pytest.raises(AssertionError, match=r"the difference is -?0\.032 \(.* to .*, 5 seeds\)"):
            wrong()
    for claim, least in ((higher, 5), (undecided, 3)):
        with pytest.raises(ValueError, match=f"number of seeds is {least - 1}; allowed: at least {least}"):
            claim(ABOVE[: least - 1], BELOW[: least - 1])


def test_a_sentence_is_checked_by_all_its_claims(capsys):
    checked("both", True, higher(ABOVE, BELOW))
    assert capsys.readouterr().out == "checked: both\n"
    with pytest.raises(AssertionError, match=r"not so: three \(claim 2 of 3\)"):
        checked("three", True, np.bool_(False), True)
    with pytest.raises(ValueError, match="at least one"):
        checked("none")
    assert capsys.readouterr().out == ""
