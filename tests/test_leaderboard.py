"""Every row of LEADERBOARD.md holds, and a claim that doesn't is refused."""

import dataclasses
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import mcomp
import mcomp.data
from mcomp import cli, zoo
from mcomp.leaderboard import COLUMNS, refusals, rows, verify, weights_digest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "LEADERBOARD.md").read_text("utf-8")


@pytest.fixture(scope="module")
def data():
    return mcomp.data.load()


@pytest.fixture
def few(data):
    """Some test images, so that a refusal costs no time."""
    return dataclasses.replace(data, test=tuple(x[:200] for x in data.test))


@pytest.mark.parametrize("row", rows(TEXT), ids=lambda row: row.entry)
def test_a_row_of_the_leaderboard_holds(row, data):
    found = verify(row.files, data, timed=False, root=ROOT)
    assert refusals(row, found) == []
    assert len(row.files) == 3 or "one seed" in row.entry
    assert row.training
    assert row.command.startswith(("python experiments/", "mcomp "))


def test_the_rows_stand_by_size_and_name_what_makes_them():
    found = rows(TEXT)
    sizes = [sum(row.nbytes) / len(row.nbytes) for row in found]
    assert sizes == sorted(sizes)
    assert len(found) >= 7
    for row in found:
        words = row.command.split()
        assert words[0] == "mcomp" or (ROOT / words[1]).is_file(), row.command


def test_a_row_reads_as_it_was_written():
    for row in rows(TEXT):
        head = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"
        assert rows(head + row.markdown()) == [row]


@pytest.fixture
def entry(tmp_path, few):
    """A small network's file and the row that claims it."""
    torch.manual_seed(0)
    path = tmp_path / "a.safetensors"
    mcomp.save(zoo.build("lenet300", hidden=(6, 5)), path)
    return path, verify([path], few, entry="Mine", training="0 min", command="mcomp zoo", timed=True)


def test_what_is_measured_is_of_the_file(entry, few):
    path, row = entry
    assert row.nbytes == (path.stat().st_size,)
    network = mcomp.load(path)
    assert row.accuracy == (float((network(few.test[0]).argmax(1) == few.test[1]).float().mean()),)
    assert row.milliseconds > 0
    assert row.entry == "Mine"


def test_a_claim_about_another_network_is_refused(entry, few):
    path, row = entry
    network = mcomp.load(path)
    with torch.no_grad():
        network.fc1.weight[0, 0] += 2.0**-20  # no accuracy tells, perhaps not even the size
    mcomp.save(network, path)
    assert any("decoded networks differ" in why for why in refusals(row, verify([path], few)))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"nbytes": (1,)}, "not (1,)"),
        ({"accuracy": (0.99,)}, "not 99.00%"),
        ({"accuracy": (0.1, 0.1)}, "2 accuracies for 1 files"),
        ({"weights": "0" * 12}, "decoded networks differ"),
    ],
)
def test_a_claim_that_does_not_hold_is_refused_by_name(entry, change, why):
    _, row = entry
    assert any(why in said for said in refusals(dataclasses.replace(row, **change), row))
    assert refusals(row, row) == []


def test_the_digest_is_of_names_shapes_and_numbers():
    torch.manual_seed(0)
    one, two = torch.nn.Linear(2, 3), torch.nn.Linear(3, 2)
    assert weights_digest([one]) != weights_digest([two])
    assert weights_digest([one, two]) != weights_digest([two, one])
    assert weights_digest([one]) != weights_digest([torch.nn.Sequential(one)])
    assert weights_digest([one]) == weights_digest([one.double().float()])


def test_the_command_prints_the_row_and_refuses_a_claim_that_does_not_hold(entry, few, tmp_path, monkeypatch):
    path, row = entry
    monkeypatch.setattr(mcomp.data, "load", lambda name: few)
    against, head = tmp_path / "board.md", f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"
    words = ["leaderboard", "verify", str(path), "--entry", "Mine", "--against", str(against)]
    for claim, code in ((row, 0), (dataclasses.replace(row, weights="0" * 12), 1)):
        against.write_text(head + claim.markdown() + "\n", encoding="utf-8")
        done = CliRunner().invoke(cli.app, words, catch_exceptions=False)
        assert done.exit_code == code
        assert f"| Mine | {row.nbytes[0]:,} |" in done.stdout
        assert row.weights in done.stdout
        assert ("refused: the decoded networks differ" in done.stdout) == bool(code)


def test_no_file_and_a_broken_file_are_refused(tmp_path, few):
    with pytest.raises(ValueError, match="at least one"):
        verify([], few)
    path = tmp_path / "cut.safetensors"
    path.write_bytes(zoo.weights("lenet300").read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"safetensors|bytes|checksum"):
        verify([path], few)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no table", "one that begins with"),
        ("\n| a | b |", "8 cells"),
        ("\n| a | x | 1 | 1 | a | b | `c` | d |", "numbers as bytes"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(text, message):
    head = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"
    with pytest.raises(ValueError, match=message):
        rows(text if text == "no table" else head + text)
