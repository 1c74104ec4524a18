"""The space of a search: what may be chosen, and how a sampler draws a candidate from it."""

from dataclasses import dataclass
from itertools import permutations

from mcomp.arrays import bad_value, check_int, check_real
from mcomp.layers import matrices
from mcomp.search.candidate import METHODS, Candidate

__all__ = ["ORDERS", "Space", "space_of"]

SHAPES = ((), ("narrow",), ("factorize",), ("narrow", "factorize"))
CODES = (("quantize",), *permutations(("prune", "quantize")))
# Structure comes first: a network that loses zeros or shared values later has paid for them in vain.
ORDERS = tuple((*shape, *code) for shape in SHAPES for code in CODES)


@dataclass(frozen=True)
class Space:
    """What may be chosen: one of the `orders`, and numbers between two ends, some of them by layer.

    Attributes
    ----------
    layers : tuple of str
        Those that may be pruned and share values.
    orders : tuple of tuple of str
        Of `mcomp.search.candidate.METHODS`; "distil" is put in front of each or not, as `taught` says.
    width, rank, kept : (least, most)
        Parts of 1, drawn on a logarithmic scale: of the hidden units, of the weights, of the entries that
        stay where a layer is pruned.
    values : (least, most)
    lr : (least, most)
    teacher : str or None
        None: nothing is distilled.
    """

    layers: tuple
    orders: tuple = ORDERS
    width: tuple = (0.3, 1.0)
    rank: tuple = (0.1, 0.7)
    kept: tuple = (0.01, 0.5)
    values: tuple = (2, 32)
    lr: tuple = (5e-4, 5e-3)
    teacher: str | None = "self"

    def __post_init__(self):
        if not self.layers or not self.orders:
            raise bad_value("layers and orders", (self.layers, self.orders), "at least one of each")
        for name in ("width", "rank", "kept", "lr"):
            low, high = getattr(self, name)
            check_real(f"{name}[1]", high, check_real(f"{name}[0]", low, 1e-6, 1.0), 1.0)
        check_int("values[1]", self.values[1], check_int("values[0]", self.values[0], 1))

    def drawn(self, trial):
        """The candidate that `trial` suggests: an `optuna.trial.Trial`, or what has the same methods."""
        order = tuple(trial.suggest_categorical("order", [">".join(o) for o in self.orders]).split(">"))
        taught = self.teacher is not None and trial.suggest_categorical("taught", [False, True])
        real = lambda name, ends: trial.suggest_float(name, *ends, log=True)  # noqa: E731
        return Candidate(
            order=("distil", *order) if taught else order,
            width=real("width", self.width) if "narrow" in order else 1.0,
            rank=real("rank", self.rank) if "factorize" in order else 1.0,
            sparsity={n: 1.0 - real(f"kept {n}", self.kept) for n in self.layers if "prune" in order},
            values={
                n: trial.suggest_int(f"values {n}", *self.values, log=True)
                for n in self.layers
                if "quantize" in order
            },
            teacher=self.teacher or "self",
            lr=real("lr", self.lr),
        )

    def smallest(self):
        """The candidates with every number at its least, one an order: how small the space gets."""
        return [self.drawn(Least(">".join(order))) for order in self.orders]


class Least:
    """A trial that suggests the least of everything, for one order."""

    def __init__(self, order):
        self.order = order

    def suggest_categorical(self, name, choices):
        """The order, and no teacher."""
        return self.order if name == "order" else choices[0]

    def suggest_float(self, name, low, high, *, log):
        """The lower end."""
        return low

    def suggest_int(self, name, low, high, *, log):
        """The lower end."""
        return low


def space_of(model, **changes):
    """The space for this network: a layer for each matrix of `mcomp.matrices`.

    Methods that the network hasn't anything for are left out. `changes` are fields of `Space`; a key
    "methods" keeps only the orders made of these.

    Examples
    --------
    >>> from mcomp import zoo
    >>> space = space_of(zoo.build("lenet300"), methods=("prune", "quantize"))
    >>> space.layers, len(space.orders)
    (('fc1', 'fc2', 'fc3'), 3)
    """
    methods = changes.pop("methods", METHODS)
    for method in methods:
        if method not in METHODS:
            raise bad_value("a method", method, f"one of {', '.join(METHODS)}")
    orders = tuple(order for order in changes.pop("orders", ORDERS) if {*order} <= {*methods})
    if not orders:
        raise bad_value("methods", tuple(methods), "with quantize, which every order ends or begins with")
    layers = tuple(name.rpartition(".")[0] for name in matrices(model))
    return Space(layers, orders=orders, **changes)
