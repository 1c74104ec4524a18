"""The matrix: every operation on every stranger is right or refused by name; and the matrix can fail."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from mcomp.cli import app
from mcomp.strangers import OPERATIONS, STRANGERS, matrix, rows
from mcomp.strangers.products import multiplied
from mcomp.strangers.right import judge, names, same, same_state, says_where

PAGE = Path(__file__).resolve().parent.parent / "mcomp" / "strangers" / "MATRIX.md"
# Words that stand in messages anyway: a module of such a name would make any message name it.
WORDS = {"layer", "input", "output", "model", "weight", "weights", "bias", "network", "parameter", "x"}


def cells_of(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old weight_norm of torch says that it is old
        return matrix(only=name, progress=False)


@pytest.mark.parametrize("name", STRANGERS)
def test_every_operation_is_right_or_refused_by_name(name):
    cells = cells_of(name)
    assert [f"{c.operation}: {c.why}" for c in cells if c.outcome == "wrong"] == []
    assert [c.operation for c in cells] == list(OPERATIONS)
    assert [c.why for c in cells if " at 0x" in c.why] == []  # an address is another one in each run
    page = [line.split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines()]
    table = {cells[0].strip("| "): [c.strip("| ") for c in cells[1:]] for cells in page if len(cells) > 2}
    place = table[""].index(name)
    assert {line[0]: line[1] for line in rows(cells)} == {"": name} | {
        operation: signs[place] for operation, signs in table.items() if operation not in ("", "---")
    }


def test_there_are_enough_of_them_and_they_are_small():
    sizes = {name: sum(p.numel() for p in build().network.parameters()) for name, build in STRANGERS.items()}
    assert len(sizes) >= 20
    assert max(sizes.values()) < 5_000


@pytest.mark.parametrize("name", STRANGERS)
def test_no_name_of_a_stranger_is_a_word_of_every_message(name):
    network = STRANGERS[name]().network
    assert not WORDS & names(network)
    assert not [n for n in names(network) if n.replace(".", "").isdigit()]
    assert not says_where("names is []; allowed: at least one weight with two or more axes", network)


def scaled(s):
    model = s.model()
    with torch.no_grad():
        next(model.parameters()).mul_(1.0 + 1e-6)
    same(s.logits(model), s.out, "the outputs")


def left_alone(s):
    same_state(s.model(), s.network, "a copy")


def raises(error):
    def run(s):
        raise error

    return run


@pytest.mark.parametrize(
    ("run", "outcome"),
    [
        (scaled, "wrong"),
        (left_alone, "right"),
        (raises(ValueError("layer1.0.conv1 has 3 channels; allowed: 4")), "refused"),
        (raises(ValueError("the ResNet can't be traced: no reason")), "refused"),
        (raises(ValueError("a layer has 3 channels; allowed: 4")), "wrong"),
        (raises(RuntimeError("layer1.0.conv1")), "wrong"),
        (raises(AssertionError("layer1.0.conv1")), "wrong"),
    ],
)
def test_an_operation_that_is_wrong_is_found(run, outcome):
    assert judge(STRANGERS["resnet"](), "made up", run).outcome == outcome


def test_a_change_of_a_flag_or_of_one_bit_is_a_change_of_state():
    stranger = STRANGERS["frozen"]()
    thawed, moved = stranger.model().requires_grad_(), stranger.model()
    moved.head[0].bias.data[0] += 1e-15
    outcomes = [
        judge(stranger, "made up", lambda s, m=m: same_state(m, s.network, "it")).outcome
        for m in (thawed, moved)
    ]
    assert outcomes == ["wrong", "wrong"]


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="resnet"):
        matrix(only="resnett")
    with pytest.raises(ValueError, match="fold"):
        matrix(operation="folds")


def test_the_oracle_of_matrices_knows_what_is_multiplied():
    class Twice:
        x = torch.randn(2, 3)

        def model(self):
            return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2, bias=False))

        def logits(self, model, x):
            return model(x) @ torch.eye(2)

    assert multiplied(Twice()) == {"0.weight": 0, "2.weight": 0}


def test_the_command_prints_the_matrix_and_fails_on_a_wrong_cell(monkeypatch):
    shown = CliRunner().invoke(app, ["strangers", "--only", "resnet", "--operation", "fold"])
    assert shown.exit_code == 0
    assert "fold                  ✓" in shown.output
    monkeypatch.setitem(OPERATIONS, "fold", raises(RuntimeError("broken")))
    shown = CliRunner().invoke(app, ["strangers", "--only", "resnet", "--operation", "fold"])
    assert shown.exit_code == 1
    assert "wrong: fold, resnet: RuntimeError: broken" in shown.output
