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


@pytest.fixture
def run(monkeypatch, capsys):
    """What `main` prints and its exit code; in this process, because torch takes seconds to start."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["mcomp", *map(str, words)])
        with pytest.raises(SystemExit) as exit:
            cli.main()
        out, err = capsys.readouterr()
        return out, err, exit.value.code

    return run


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


def test_the_rows_of_inspect_add_up(small, invoke):
    lines = invoke("inspect", small).stdout.splitlines()
    cells = [line.split("│") for line in lines if line.startswith("│")]  # "", tensor, stream, numbers, bytes
    *rows, total = [int(row[4].replace(",", "")) for row in cells]
    assert sum(rows) == total == small.stat().st_size


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
        (["inspect", "."], "[Dd]irectory|denied"),
        (["compress", "lenet300", "--out", "."], "out is '.'; allowed: a file in a folder that exists"),
        (["zoo", "train", "lenet300", "--out", "no/such/folder/x"], "out is 'no"),
        (["zoo", "train", "vgg"], "name is 'vgg'"),
        (["evaluate", "[/red]"], r"network is '\[/red\]'"),
    ],
)
def test_a_bad_value_ends_in_one_line(run, words, message):
    out, err, code = run(*words)
    assert code == 2
    assert re.search(message, err), err
    assert err.count("\n") == 1
    assert "Traceback" not in out + err


def test_a_damaged_file_ends_in_one_line(small):
    """In a process of its own, as from a shell."""
    small.write_bytes(small.read_bytes()[:-3])
    command = [sys.executable, "-c", "from mcomp.cli import main; main()", "inspect", str(small)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("mcomp: the header claims")
    assert done.stderr.count("\n") == 1


def test_an_unknown_key_of_a_recipe_lists_the_known_ones(run, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("prune: {sparsety: 0.9}\n")
    _, err, code = run("compress", "lenet300", "--recipe", path)
    assert code == 2
    assert err == "mcomp: a key of recipe.prune is 'sparsety'; allowed: sparsity, epochs, ramp, spread, lr\n"
