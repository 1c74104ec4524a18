"""The command line: each command does its work, and a bad value ends in one line."""

import re
import subprocess
import sys

import pytest
import torch
from typer.testing import CliRunner

import mcomp
import mcomp.data
import mcomp.data.text
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
    for command in (
        "compress",
        "inspect",
        "evaluate",
        "export",
        "zoo",
        "progress",
        "grade",
        "release",
        "search",
    ):
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


def test_zoo_train_reads_text(invoke, tmp_path, monkeypatch):
    files = {"a.py": torch.arange(40, 120, dtype=torch.uint8)}
    text = mcomp.data.text.Text("few", files, files, files)
    monkeypatch.setattr(mcomp.data, "load_text", lambda: text)
    monkeypatch.setitem(zoo.RECIPES, "tinygpt", {"steps": 1, "lr": 1e-3, "batch_size": 1, "context": 16})
    path = tmp_path / "mine.safetensors"
    done = invoke("zoo", "train", "tinygpt", "--out", path)
    assert done.exit_code == 0
    assert zoo.architecture(mcomp.load(path))[0] == "tinygpt"
    bits = [float(found) for found in re.findall(r"(?:validation|test) (\d\.\d{3})", done.stdout)]
    assert len(bits) == 2
    assert bits[0] == bits[1] > 7  # one step: it knows next to nothing


MINE = """
from types import SimpleNamespace
import torch
def network(width=4):
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(3, width, 3), torch.nn.Flatten(), torch.nn.Linear(width * 16, 5)
    return torch.nn.Sequential(*layers)
def images():
    x = torch.randn(40, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    pair = (x, torch.arange(40) % 5)
    return SimpleNamespace(train=pair, validation=pair, test=pair)
def number():
    return 3
def fails():
    raise KeyError("weights.pt")
def two_parts():
    return SimpleNamespace(train=images().train, validation=images().validation)
def uneven():
    return SimpleNamespace(train=(torch.zeros(3, 1), torch.zeros(2, dtype=torch.int64)))
def soft():
    return SimpleNamespace(train=(torch.zeros(3, 1), torch.zeros(3)))
def single():
    return SimpleNamespace(train=torch.zeros(3, 1))
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module in the current folder, which isn't on Python's path."""
    (tmp_path / "mine_for_cli.py").write_text(MINE)
    (tmp_path / "broken_for_cli.py").write_text("import no_such_library\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield "mine_for_cli"
    sys.modules.pop("mine_for_cli", None)


def test_a_network_and_data_of_your_own(mine, invoke, tmp_path):
    recipe, out = tmp_path / "quick.yaml", tmp_path / "out.safetensors"
    recipe.write_text("prune: {sparsity: 0.5, epochs: 1}\nshare: {epochs: 1}\n")
    own = ("--model", f"{mine}:network")
    done = invoke("compress", *own, "--data", f"{mine}:images", "--recipe", recipe, "--out", out)
    assert f"{out.stat().st_size:,}" in done.stdout
    assert "2.weight" in invoke("inspect", out, *own).stdout
    assert f"{out.stat().st_size:,}" in invoke("evaluate", out, *own, "--data", f"{mine}:images").stdout
    assert "accuracy" in invoke("evaluate", *own, "--data", f"{mine}:images").stdout


def test_inspect_shows_what_it_can_of_a_file_that_needs_its_model(mine, invoke, tmp_path):
    out = tmp_path / "out.safetensors"
    mcomp.save(torch.nn.Linear(3, 2), out)
    text = invoke("inspect", out).stdout
    assert re.search(rf"all\b.*\b{out.stat().st_size:,}\b", text)
    assert "tensor 2" in text
    assert "pass load(path, model=...)" in " ".join(text.split())
    assert "--model package.module:function" in " ".join(text.split())


def test_a_factory_that_the_file_names_gets_its_config(mine, invoke, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    from mcomp.architectures import imported

    out, name = tmp_path / "out.safetensors", f"{mine}:network"
    mcomp.save(imported(name)(width=7), out, factory=name, config={"width": 7})
    assert "2.weight" in invoke("inspect", out, "--model", name).stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--model", "mine_for_cli"],
            "the name of a factory is 'mine_for_cli'; allowed: package.module:function",
        ),
        (["--model", "no_such_module:f"], "the module no_such_module .* No module named 'no_such_module'"),
        (["--model", "broken_for_cli:f"], "broken_for_cli .* No module named 'no_such_library'"),
        (["--model", "mine_for_cli:nothing"], "mine_for_cli has no 'nothing'"),
        (["--model", "mine_for_cli:MINE"], "has no 'MINE'"),
        (["--model", "mine_for_cli:torch"], "mine_for_cli:torch is 'module'; allowed: a function or class"),
        (
            ["--model", "mine_for_cli:number"],
            "what mine_for_cli:number returns is 'int'; allowed: a torch.nn.M",
        ),
        (["--model", "mine_for_cli:fails"], "mine_for_cli:fails.. raised KeyError: 'weights.pt'"),
        (["lenet300", "--model", "mine_for_cli:network"], "network is 'lenet300'; allowed: a file, or none"),
        ([], "network is None; allowed: lenet300, lenet5, resnet, a file, or --model"),
        (["lenet300", "--data", "mine_for_cli:number"], "returns is 'int without train'; allowed: an object"),
        (["lenet300", "--data", "mine_for_cli:two_parts"], "'SimpleNamespace without test'"),
        (
            ["lenet300", "--data", "mine_for_cli:uneven"],
            "len.x. in train of mine_for_cli:uneven is 3; allowed: 2",
        ),
        (["lenet300", "--data", "mine_for_cli:soft"], "y in train of .* allowed: an integer tensor"),
        (
            ["lenet300", "--data", "mine_for_cli:single"],
            "train of mine_for_cli:single is 'Tensor'; allowed: a p",
        ),
    ],
)
def test_what_is_wrong_with_a_factory_ends_in_one_line(mine, run, words, message):
    out, err, code = run("evaluate", *words)
    assert code == 2
    assert re.search(message, err), err
    assert err.count("\n") == 1
    assert "Traceback" not in out + err


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
    known = "sparsity, epochs, ramp, spread, least, lr, steepness"
    assert err == f"mcomp: a key of recipe.prune is 'sparsety'; allowed: {known}\n"
