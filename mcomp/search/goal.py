"""What a search is asked for: at most so many bytes, at least so accurate; and who meets it."""

from dataclasses import dataclass

from mcomp.arrays import bad_value, check_int, check_real
from mcomp.plots import front

__all__ = ["Goal", "Trained", "beaten_by", "best", "on_front"]


@dataclass(frozen=True)
class Trained:
    """A candidate that was trained in full: its number, the bytes of its file, its validation accuracy."""

    number: int
    nbytes: int
    accuracy: float
    candidate: object


@dataclass(frozen=True)
class Goal:
    """Constraints: `max_bytes` of the file, `min_accuracy` on the validation images; None: none.

    Examples
    --------
    >>> Goal(max_bytes=1000, min_accuracy=0.8).misses(1100, 0.9)
    (0.1, -0.1)
    """

    max_bytes: int | None = None
    min_accuracy: float | None = None

    def __post_init__(self):
        if self.max_bytes is None and self.min_accuracy is None:
            raise bad_value("max_bytes and min_accuracy", "None", "at least one of them")
        if self.max_bytes is not None:
            check_int("max_bytes", self.max_bytes, 1)
        if self.min_accuracy is not None:
            check_real("min_accuracy", self.min_accuracy, 0.0, 1.0)

    def misses(self, nbytes, accuracy):
        """By how much each constraint is missed: bytes as a part of `max_bytes`, accuracy as a difference.

        0 or less: it is met.
        """
        large = 0.0 if self.max_bytes is None else nbytes / self.max_bytes - 1
        wrong = 0.0 if self.min_accuracy is None else self.min_accuracy - accuracy
        return round(large, 9), round(wrong, 9)

    def meets(self, nbytes, accuracy):
        """Whether both constraints hold."""
        return max(self.misses(nbytes, accuracy)) <= 0

    def __str__(self):
        size = [] if self.max_bytes is None else [f"at most {self.max_bytes:,} bytes"]
        right = [] if self.min_accuracy is None else [f"at least {self.min_accuracy:.2%}"]
        return " and ".join(size + right)


def best(goal, trained):
    """Of those that meet the goal: the smallest file, if an accuracy was asked for, else the most accurate.

    None, if nobody meets it. Equal ones: the earlier in the search.

    Examples
    --------
    >>> found = [Trained(0, 900, 0.85, None), Trained(1, 800, 0.81, None), Trained(2, 1200, 0.9, None)]
    >>> best(Goal(max_bytes=1000), found).number, best(Goal(1000, 0.8), found).number
    (0, 1)
    """
    fit = [t for t in trained if goal.meets(t.nbytes, t.accuracy)]
    small = goal.min_accuracy is not None
    by = (lambda t: (t.nbytes, -t.accuracy)) if small else (lambda t: (-t.accuracy, t.nbytes))
    return min(fit, key=lambda t: (*by(t), t.number), default=None)


def on_front(trained):
    """Those that no other beats in both, by rising bytes; of equals the earliest."""
    points = front((t.nbytes, t.accuracy) for t in trained)
    first = {}
    for t in sorted(trained, key=lambda t: t.number):
        first.setdefault((t.nbytes, t.accuracy), t)
    return [first[point] for point in points]


def beaten_by(point, others):
    """How many of `others` are at least as small and at least as accurate as `point`, and not its equal.

    Examples
    --------
    >>> beaten_by((10, 0.8), [(9, 0.9), (10, 0.8), (10, 0.85), (11, 0.9)])
    2
    """
    nbytes, accuracy = point
    return sum(n <= nbytes and a >= accuracy and (n, a) != (nbytes, accuracy) for n, a in others)
