"""The house: each room of mcomp stands on a floor, imports point down, the array rooms know no torch."""

import ast
from pathlib import Path

import pytest

MCOMP = Path(__file__).resolve().parent.parent / "mcomp"
# A room may import rooms of the floors above it in this list, and rooms to its left on its own floor.
FLOORS = (
    ("arrays", "files", "figures", "paired", "threads"),
    ("coding", "prune", "quantize", "lowrank"),  # arrays in, arrays out: no torch
    # what methods are tried on
    (
        "calling",
        "layers",
        "train",
        "averages",
        "chance",
        "watch",
        "trace",
        "plain",
        "kept",
        "made",
        "data",
        "gpt",
        "language",
        "architectures",
        "measure",
    ),
    ("codecs",),  # a projection on a tensor, and on a network
    ("file", "zoo"),
    (
        "structure",
        "channels",
        "sparse_training",
        "ptq",
        "qat",
        "integer",
        "distill",
        "merge",
        "multitask",
        "transformers",
    ),  # by chapter
    (
        "plots",
        "recipes",
        "stages",
        "pipeline",
        "estimates",
        "factories",
        "strangers",
        "deploy",
        "asked",
        "search",
        "leaderboard",
    ),
    ("course",),
    ("cli",),
)
ORDER = [room for floor in FLOORS for room in floor]
NO_TORCH = ("arrays", "files", "figures", "paired", "threads", "coding", "prune", "quantize", "lowrank")


def room_of(path):
    return path.relative_to(MCOMP).parts[0].removesuffix(".py")


def imported(source):
    """The modules that `source` imports, inside functions too: (line, dotted name)."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def complaints(room, source):
    """Why a module of `room` may not import what it does, a line each."""
    for line, name in imported(source):
        parts = name.split(".")
        if parts[0] == "torch" and room in NO_TORCH:
            yield f"{line}: {room} imports torch; array rooms don't"
        if parts[0] != "mcomp" or parts[1] == room:
            continue
        if parts[1] not in ORDER:
            yield f"{line}: {room} imports {name}, which stands on no floor"
        elif ORDER.index(parts[1]) > ORDER.index(room):
            yield f"{line}: {room} imports {name}, from a floor above it"


def test_imports_point_down():
    found = {
        path.relative_to(MCOMP).as_posix(): list(complaints(room_of(path), path.read_text(encoding="utf-8")))
        for path in MCOMP.rglob("*.py")
        if path != MCOMP / "__init__.py"
    }
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_every_room_stands_on_one_floor():
    rooms = {room_of(path) for path in MCOMP.rglob("*.py")} - {"__init__"}
    assert sorted(ORDER) == sorted(rooms)


@pytest.mark.parametrize(
    ("room", "source", "why"),
    [
        ("prune", "import torch.nn", "imports torch"),
        ("quantize", "def f():\n    from mcomp.codecs.code import Code", "from a floor above"),
        ("prune", "from mcomp import lowrank", "from a floor above"),
        ("codecs", "import mcomp.kitchen", "stands on no floor"),
    ],
)
def test_a_module_that_breaks_the_house_is_named(room, source, why):
    assert [why in line for line in complaints(room, source)] == [True]
