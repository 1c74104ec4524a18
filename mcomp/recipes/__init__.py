"""Recipes: what `mcomp.compress` does to a network, as a short YAML file, a dict or a Python value.

The recipes that come with the package lie beside this file; an unknown key is an error at every level.
"""

import os
import re
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path

import yaml

from mcomp import zoo
from mcomp.arrays import bad_value, check_int, check_real
from mcomp.quantize.codebooks import MAX_VALUES

__all__ = ["Prune", "Recipe", "Share", "load_recipe", "recipes"]


@dataclass(frozen=True)
class Prune:
    """Gradual pruning: the sparsity of all weights rises by the cubic law while the network learns."""

    sparsity: float = 0.975
    epochs: int = 40
    ramp: float = 0.6
    spread: float = 0.0
    least: float = 0.2
    lr: float = 2e-3
    steepness: float = 0.0

    def __post_init__(self):
        check_real("prune.sparsity", self.sparsity, 0.0, 1.0)
        check_int("prune.epochs", self.epochs, 0)
        check_real("prune.ramp", self.ramp, 0.01, 1.0)
        check_real("prune.spread", self.spread, 0.0, 1.0)
        check_real("prune.least", self.least, 0.0, 1.0)
        check_real("prune.lr", self.lr, 0.0)
        check_real("prune.steepness", self.steepness, 0.0, 1.0)


@dataclass(frozen=True)
class Share:
    """Weight sharing: each layer's weights take few values, which then learn."""

    values: int = 4
    bias_values: int = 8
    epochs: int = 10
    settle: float = 0.7
    lr: float = 1e-3
    price: float = 0.0

    def __post_init__(self):
        check_int("share.values", self.values, 1, MAX_VALUES)
        check_int("share.bias_values", self.bias_values, 1, MAX_VALUES)
        check_int("share.epochs", self.epochs, 0)
        check_real("share.settle", self.settle, 0.0, 1.0)
        check_real("share.lr", self.lr, 0.0)
        check_real("share.price", self.price, 0.0)


@dataclass(frozen=True)
class Recipe:
    """What `compress` does. Each field is a key of the YAML; those in mcomp/recipes explain them.

    Raises
    ------
    ValueError
        If a value is out of range or of the wrong type.
    """

    teacher: str = "self"
    teachers: int = 1
    temperature: float = 3.0
    batch_size: int = 256
    seed: int = 0
    half: bool = False
    tidy: bool = False
    moved: int = 0
    prune: Prune = field(default_factory=Prune)
    share: Share = field(default_factory=Share)

    def __post_init__(self):
        if self.teacher not in ("self", *zoo.NAMES):
            raise bad_value("teacher", self.teacher, f"self, {', '.join(zoo.NAMES)}")
        check_real("temperature", self.temperature, 0.01, 1000.0)
        check_int("batch_size", self.batch_size, 1)
        check_int("moved", self.moved, 0)
        check_int("seed", self.seed, 0, 2**63 - 1)
        check_int("teachers", self.teachers, 1, len(zoo.SEEDS) if self.teacher != "self" else 1)
        for name in ("half", "tidy"):
            if not isinstance(getattr(self, name), bool):
                raise bad_value(name, getattr(self, name), "true or false")
        for name, kind in (("prune", Prune), ("share", Share)):
            if not isinstance(stage := getattr(self, name), kind):
                raise bad_value(name, stage, f"a {kind.__name__}; load_recipe makes one of a dict")


def recipes():
    """The recipes that come with the package: dict of name to path.

    Examples
    --------
    >>> [(name, path.name) for name, path in recipes().items()]
    [('deep-compression', 'deep-compression.yaml'), ('smallest', 'smallest.yaml')]
    """
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.yaml"))}


def load_recipe(source, network=""):
    """A `Recipe` from a dict, a YAML file, or the name of one that comes with the package.

    A key ``networks`` may hold changes for single networks of the zoo; those of `network` are applied, and
    all are checked.

    Raises
    ------
    ValueError
        For an unknown recipe, network or key (the message lists the known ones), or a value out of range.

    Examples
    --------
    >>> small = {"prune": {"epochs": 3}, "networks": {"lenet5": {"prune": {"sparsity": 0.9}}}}
    >>> load_recipe(small, "lenet5").prune
    Prune(sparsity=0.9, epochs=3, ramp=0.6, spread=0.0, least=0.2, lr=0.002, steepness=0.0)
    """
    if isinstance(source, Recipe):
        return source
    base = dict(source if isinstance(source, dict) else _read(source))
    changes = base.pop("networks", {})
    found = {"": _filled(Recipe, base, "recipe", also=("networks",))}
    for name, change in _mapping(changes, "recipe.networks", zoo.NAMES).items():
        try:
            found[name] = _filled(Recipe, _merged(base, change), "recipe")
        except ValueError as error:
            raise ValueError(f"for the network {name}: {error}") from None
    return found.get(network, found[""])


def _read(source):
    if not isinstance(source, (str, os.PathLike)):
        raise bad_value("recipe", source, f"a Recipe, a dict, a YAML file, or one of {', '.join(recipes())}")
    path = recipes().get(str(source), Path(source))
    if not path.is_file():
        raise bad_value("recipe", str(source), f"a YAML file, or one of {', '.join(recipes())}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    return _mapping(values, f"the recipe in {path}")


def _mapping(values, name, known=None):
    """`values`, if it is a dict and all its keys are known, else ValueError."""
    if not isinstance(values, dict):
        raise bad_value(name, values, f"a mapping{' with the keys ' + ', '.join(known) if known else ''}")
    for key in values:
        if known is not None and key not in known:
            raise bad_value(f"a key of {name}", key, ", ".join(known))
    return values


def _merged(base, change):
    """`base` with the values of `change`, level by level."""
    merged = dict(base)
    for key, value in _mapping(change, "what changes").items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _merged(base[key], value) if both else value
    return merged


def _filled(cls, values, name, also=()):
    """The dataclass `cls` with these `values`, and so on for the dataclasses in it."""
    known = {f.name: f for f in fields(cls)}
    _mapping(values, name, [*known, *also])
    filled = {}
    for key, value in values.items():
        stage = known[key].default_factory
        filled[key] = _filled(stage, value, f"{name}.{key}") if is_dataclass(stage) else _number(value)
    return cls(**filled)


def _number(value):
    """YAML 1.1 takes 2e-3, which has no dot, for text: it is the number 0.002."""
    text = isinstance(value, str) and re.fullmatch(r"[+-]?\d+[eE][+-]?\d+", value)
    return float(value) if text else value
