"""A candidate: which methods, in which order, how strong in which layer. What one trial of a search tries."""

from dataclasses import asdict, dataclass, field

from mcomp import zoo
from mcomp.arrays import bad_value, check_int, check_real
from mcomp.quantize.codebooks import MAX_VALUES

__all__ = ["METHODS", "Candidate", "knob"]

METHODS = ("narrow", "factorize", "prune", "quantize", "distil")


@dataclass(frozen=True)
class Candidate:
    """A recipe with an order, each method at most once.

    Attributes
    ----------
    order : tuple of str
        Of `METHODS`. "narrow" removes hidden units or channels, "factorize" lowers ranks, "prune" zeroes
        weights, "quantize" lets them share values. "distil" changes no weight: from its place on, what is
        learned is the answers of `teacher` and not the labels.
    width : float
        "narrow": the part of all hidden units or channels that stays.
    rank : float
        "factorize": the part of all weights that the factors may have.
    sparsity : dict of layer to float in [0, 1]
        "prune": the fraction of the layer's weights that becomes zero. A layer not named isn't pruned.
    values : dict of layer to int
        "quantize": how many values the layer's weights share. A layer not named isn't quantized.
    teacher : str
        "self", the network as it was, or a network of the zoo.
    lr : float
        Peak learning rate of each stage.

    Raises
    ------
    ValueError
        If a value is out of range or of the wrong type.

    Examples
    --------
    >>> tried = Candidate(("prune", "quantize"), sparsity={"fc1": 0.9}, values={"fc1": 4})
    >>> Candidate.from_dict(tried.to_dict()) == tried
    True
    """

    order: tuple
    width: float = 1.0
    rank: float = 1.0
    sparsity: dict = field(default_factory=dict)
    values: dict = field(default_factory=dict)
    teacher: str = "self"
    lr: float = 2e-3

    def __post_init__(self):
        known = isinstance(self.order, tuple) and set(self.order) <= {*METHODS}
        if not known or len({*self.order}) < len(self.order):
            raise bad_value("order", self.order, f"a tuple of {', '.join(METHODS)}, each at most once")
        check_real("width", self.width, 0.0, 1.0)
        check_real("rank", self.rank, 0.0, 1.0)
        check_real("lr", self.lr, 0.0)
        for name, part in self.sparsity.items():
            check_real(f"sparsity[{name!r}]", part, 0.0, 1.0)
        for name, count in self.values.items():
            check_int(f"values[{name!r}]", count, 1, MAX_VALUES)
        if self.teacher not in ("self", *zoo.NAMES):
            raise bad_value("teacher", self.teacher, f"self, {', '.join(zoo.NAMES)}")

    def to_dict(self):
        """What JSON can hold."""
        return asdict(self) | {"order": list(self.order)}

    @classmethod
    def from_dict(cls, values):
        """Inverse of `to_dict`."""
        return cls(**(values | {"order": tuple(values["order"])}))

    def __str__(self):
        told = {"narrow": f"narrow {self.width:.2f}", "factorize": f"factorize {self.rank:.2f}"}
        told["prune"] = f"prune {_told(self.sparsity, '.3f')}"
        told["quantize"] = f"quantize {_told(self.values, 'd')}"
        told["distil"] = f"distil from {self.teacher}"
        return ", ".join(told[method] for method in self.order) or "nothing"


def _told(knobs, form):
    return " ".join(f"{name}:{value:{form}}" for name, value in knobs.items())


def knob(knobs, name):
    """The value for the parameter `name`: that of its layer, or of the layer that it came from; else None.

    Examples
    --------
    >>> knob({"fc1": 0.9}, "fc1.down.weight"), knob({"fc1": 0.9}, "fc10.weight")
    (0.9, None)
    """
    return next((value for layer, value in knobs.items() if name.startswith(f"{layer}.")), None)
