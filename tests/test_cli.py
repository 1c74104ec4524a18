"""The command line: each command does its work, and a bad value ends in one line."""

import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import mcomp
import mcomp.data
from mcomp import cli, zoo

NARROW = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}


def run(*words):
    """What the command prints, in a process of its own, and its exit code."""
    command = [sys.executable, "-c", "from mcomp.cli import main; main()", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout, done.stderr, done.returncode


@pytest.fixture
def invoke(monkeypatch):
    """The same without a process, on few images."""
    whole = mcomp.data.load
    monkeypatch.setattr(mcomp.data, "load", lambda name: whole(name, subset=1_000))
    return lambda *words: CliRunner().invoke(
        cli.app, [str(word) for word in words], env=NARROW, catch_exceptions=False
    )


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "tiny.safetensors"
    mcomp.save(zoo.build("lenet300", hidden=(6, 5)), path)
    return path


def test_help_lists_the_commands(invoke):
    text = invoke("--help").stdout
    for command in ("compress", "inspect", "evaluate", "zoo", "progress", "grade", "release"):
        assert re.search(rf"\b{command}\b", text), command
        assert invoke(command, "--help").exit_code == 0


def test_compress_writes_the_file_it_reports(invoke, tmp_path):
    recipe, out = tmp_path / "quick.yaml", tmp_path / "out.safetensors"
    recipe.write_text("prune: {sparsity: 0.9, epochs: 1}\nshare: {epochs: 1}\n")
    done = invoke("compress", "lenet300", "--recipe", recipe, "--out", out)
    assert done.exit_code == 0
    assert "about" in done.stdout  # the estimate, before it starts
    assert f"{out.stat().st_size:,}" in done.stdout
    assert sum(p.numel() for p in mcomp.load(out).parameters()) == 266_610


def test_inspect_adds_up_to_the_file(small, invoke):
    text = invoke("inspect", small).stdout
    assert "fc1.weight" in text
    assert re.search(rf"all\b.*\b{small.stat().st_size:,}\b", text)


def test_evaluate_a_file_and_a_network(small, invoke):
    assert f"{small.stat().st_size:,}" in invoke("evaluate", small).stdout
    assert "266,610" in invoke("evaluate", "lenet300").stdout


def test_zoo_train_writes_a_network(invoke, tmp_path, monkeypatch):
    monkeypatch.setitem(zoo.RECIPES, "lenet300", {"epochs": 1, "lr": 2e-3})
    path = tmp_path / "mine.safetensors"
    done = invoke("zoo", "train", "lenet300", "--seed", 7, "--out", path)
    assert done.exit_code == 0
    assert zoo.architecture(mcomp.load(path))[0] == "lenet300"
    assert "validation" in done.stdout


def test_progress_is_a_table_or_json(invoke, tmp_path, monkeypatch):
    monkeypatch.setenv("MCOMP_PROGRESS", str(tmp_path / "progress.json"))
    assert "02" in invoke("progress").stdout
    assert '"chapters"' in invoke("progress", "--json").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "vgg"], "network is 'vgg'"),
        (["evaluate", "lenet300", "--seed", "9"], "seed is 9"),
        (["inspect", "no-such-file"], "no-such-file"),
        (["compress", "lenet300", "--recipe", "nothing"], "nothing.*deep-compression"),
        (["compress", "lenet300", "--out", "no/such/folder/x"], "no"),
        (["evaluate", "lenet300", "--data", "cifar"], "cifar.*fashion-mnist"),
    ],
)
def test_a_bad_value_ends_in_one_line(words, message):
    out, err, code = run(*words)
    assert code == 2
    assert re.search(message, err), err
    assert err.count("\n") == 1
    assert "Traceback" not in out + err


def test_a_damaged_file_ends_in_one_line(small):
    small.write_bytes(small.read_bytes()[:-3])
    _, err, code = run("inspect", small)
    assert (code, err.count("\n")) == (2, 1)
