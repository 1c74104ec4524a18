"""Chapter 17: wrong rows to take, each with what happened."""

import math

import numpy as np

from mcomp.course.model import Mistake, quiet

# Of the rows (bytes, milliseconds, right) and the limits (most_bytes, lost): which will do.
SIZES = {
    "any_size": (lambda n, ms, r, most, lost: n > 0, "`most_bytes` isn't asked"),
    "smaller": (lambda n, ms, r, most, lost: n < most, "a row of exactly `most_bytes` fits: <="),
    "larger": (lambda n, ms, r, most, lost: n >= most, "you took the rows that are too large"),
}
LOSSES = {
    "any_accuracy": (lambda n, ms, r, most, lost: r > 0,
            "a row passes however few it has right: at most `lost` images below the best row"),
    "better": (lambda n, ms, r, most, lost: r > r.max() - lost,
            "exactly `lost` images below the best row will do: >="),
    "of_fitting": (lambda n, ms, r, most, lost: r >= max(r[n <= most], default=0) - lost,
                   "the best row is the best of all, also of those too large; yours is the best that fits"),
    "of_fitting_better": (lambda n, ms, r, most, lost: r > max(r[n <= most], default=0) - lost,
                          "the best row is the best of all, also of those too large; and exactly `lost` "
                          "below it will do"),
    "first_row": (lambda n, ms, r, most, lost: r >= r[0] - lost,
            "you compared with the first row, or with the best so far; compare with the best of all"),
    "last_row": (lambda n, ms, r, most, lost: r >= r[-1] - lost,
            "you compared with the last row; compare with the best"),
    "fastest_row": (lambda n, ms, r, most, lost: r >= r[ms.argmin()] - lost,
            "you compared with the fastest row; compare with the best"),
    "largest_row": (lambda n, ms, r, most, lost: r >= r[n.argmax()] - lost,
            "you compared with the largest row; compare with the best"),
    "mean": (lambda n, ms, r, most, lost: r >= r.mean() - lost,
            "you compared with the mean row; compare with the best"),
    "worst": (lambda n, ms, r, most, lost: r <= r.min() + lost,
            "you took rows near the worst; those near the best will do"),
    "farther": (lambda n, ms, r, most, lost: r <= r.max() - lost, "you took the rows that lose too much"),
    "percent": (lambda n, ms, r, most, lost: r / 100 >= r.max() / 100 - lost,
            "`lost` counts images; you took it for points"),
    "part": (lambda n, ms, r, most, lost: r >= r.max() * (1 - lost / 10_000),
            "`lost` counts images, not parts of the best row's"),
    "hundredths": (lambda n, ms, r, most, lost: r >= r.max() - lost / 100,
            "`lost` counts images already: don't divide it"),
    "best_only": (lambda n, ms, r, most, lost: r == r.max(),
            "a row up to `lost` images below the best will do"),
    "best_that_fits": (lambda n, ms, r, most, lost: r == max(r[n <= most], default=0),
                       "a row up to `lost` images below the best will do, not only the best that fits"),
    "added": (lambda n, ms, r, most, lost: r >= r.max() + lost,
            "hardly a row will do in your answer: it may have up to `lost` images fewer than the best row"),
}  # fmt: skip
# By which the rows that will do are ordered; the lowest is taken.
ORDERS = {
    "fast_only": (lambda n, ms, r, i: (ms[i], i),
            "of equally fast rows the one with fewer bytes; yours is the first"),
    "fast_last": (lambda n, ms, r, i: (ms[i], -i),
            "of equally fast rows the one with fewer bytes; yours is the last"),
    "last": (lambda n, ms, r, i: (ms[i], n[i], -i), "of rows alike the first; yours is the last"),
    "fast_large": (lambda n, ms, r, i: (ms[i], -n[i], i),
            "of equally fast rows the one with fewer bytes; yours has more"),
    "fast_right": (lambda n, ms, r, i: (ms[i], -r[i], i),
            "of equally fast rows the one with fewer bytes, not with more right"),
    "fast_right_bytes": (lambda n, ms, r, i: (ms[i], -r[i], n[i], i),
            "of equally fast rows the one with fewer bytes, before "
                         "the one with more right"),
    "small": (lambda n, ms, r, i: (n[i], ms[i], i),
            "you took the smallest row that will do; take the fastest"),
    "accurate": (lambda n, ms, r, i: (-r[i], ms[i], n[i], i),
            "you took the most accurate row that will do; take the fastest"),
    "accurate_small": (lambda n, ms, r, i: (-r[i], n[i], ms[i], i),
            "you took the most accurate row, of several the smallest; take the fastest"),
    "accurate_only": (lambda n, ms, r, i: (-r[i], i),
            "you took the most accurate row that will do, the first of several; take the fastest"),
    "slow": (lambda n, ms, r, i: (-ms[i], n[i], i),
            "you took the slowest row that will do; take the one of fewest milliseconds"),
    "slow_only": (lambda n, ms, r, i: (-ms[i], i),
            "you took the slowest row that will do, the first of several; take that of fewest "
            "milliseconds, of those that of fewest bytes"),
    "first": (lambda n, ms, r, i: i, "you took the first row that will do; take the fastest"),
    "product": (lambda n, ms, r, i: (n[i] * ms[i], i),
            "you mixed bytes and milliseconds; take the fastest, bytes only settle ties"),
}  # fmt: skip


def _small(n, ms, r, most, lost):
    return n <= most


def _good(n, ms, r, most, lost):
    return r >= r.max() - lost


def _fast(n, ms, r, i):
    return ms[i], n[i], i


def _index(rows, n, ms, r, order):
    return int(min(rows, key=lambda i: order(n, ms, r, i))) if len(rows) else -1


def _chosen(*, small=_small, good=_good, order=_fast, end=_index):
    def answer(n, ms, r, most, lost):
        will_do = small(n, ms, r, most, lost) & good(n, ms, r, most, lost)
        return end(np.flatnonzero(will_do), n, ms, r, order)

    return quiet(answer)


def _ended(end):
    return _chosen(end=end)


def _among(rows, n, ms, r, order):
    """The place among the rows that will do."""
    return list(rows).index(_index(rows, n, ms, r, order)) if len(rows) else -1


def _among_fast(rows, n, ms, r, order):
    return int(np.argmin(ms[rows])) if len(rows) else -1


def _value(of, missing=-1):
    def end(rows, n, ms, r, order):
        i = _index(rows, n, ms, r, order)
        return (n, ms, r)[of][i] if i >= 0 else missing

    return end


def _instead(otherwise):
    """What is answered where no row will do."""
    return lambda rows, n, ms, r, order: _index(rows, n, ms, r, order) if len(rows) else otherwise(n, ms, r)


def _fastest_then(n, ms, r, most, lost, order=_fast):
    """The fastest row alone is looked at."""
    i = _index(np.arange(len(n)), n, ms, r, order)
    return i if n[i] <= most and r[i] >= r.max() - lost else -1


def _fastest_fitting_then(n, ms, r, most, lost, order=_fast):
    i = _index(np.flatnonzero(n <= most), n, ms, r, order)
    return i if i >= 0 and r[i] >= r.max() - lost else -1


def _best_then(n, ms, r, most, lost):
    i = int(r.argmax())
    return i if n[i] <= most else -1


ONE = {
    name: {part: f}
    for part, table in (("small", SIZES), ("good", LOSSES), ("order", ORDERS))
    for name, (f, _) in table.items()
}
WHY = {name: why for table in (SIZES, LOSSES, ORDERS) for name, (_, why) in table.items()}
TWO = [
    (a, b)
    for a in ("any_size", "smaller", "any_accuracy", "better", "of_fitting", "first_row")
    for b in ("fast_only", "last", "fast_right", "small", "fast_last", "first")
]
TWO += [("smaller", "better"), ("smaller", "of_fitting"), ("smaller", "any_accuracy"), ("smaller",
"of_fitting_better"),
        ("of_fitting_better", "fast_only")]  # fmt: skip

CHOICES = (
    *(Mistake(name, _chosen(**part), WHY[name]) for name, part in ONE.items()),
    *(Mistake(f"{a}_and_{b}", _chosen(**ONE[a], **ONE[b]), f"{WHY[a]}. And {WHY[b]}") for a, b in TWO),
    Mistake("among", _ended(_among),
            "that is the place among the rows that will do; the index in the whole table is asked"),
    Mistake("among_fast", _ended(_among_fast),
            "that is the place among the rows that will do, and bytes don't settle ties; "
            "the index in the whole table is asked"),
    Mistake("milliseconds", _ended(_value(1)), "those are the row's milliseconds; its index is asked"),
    Mistake("bytes", _ended(_value(0)), "those are the row's bytes; its index is asked"),
    Mistake("right", _ended(_value(2)), "those are the row's images; its index is asked"),
    Mistake("zero_instead", _ended(_instead(lambda n, ms, r: 0)),
            "where no row will do: -1; yours is 0, the first row"),
    Mistake("last_instead", _ended(_instead(lambda n, ms, r: len(n) - 1)),
            "where no row will do: -1; yours is the last row"),
    Mistake("length_instead", _ended(_instead(lambda n, ms, r: len(n))),
            "where no row will do: -1; yours is no row's index"),
    Mistake("smallest_instead", _ended(_instead(lambda n, ms, r: int(n.argmin()))),
            "where no row will do: -1; yours is the smallest"),
    Mistake("fastest_instead", _ended(_instead(lambda n, ms, r: int(ms.argmin()))),
            "where no row will do: -1; yours is the fastest of all"),
    Mistake("best_instead", _ended(_instead(lambda n, ms, r: int(r.argmax()))),
            "where no row will do: -1; yours is the most accurate of all"),
    Mistake("none_instead", _ended(_instead(lambda n, ms, r: None)),
            "where no row will do: -1; yours is None"),
    Mistake("zero_and_ties", _chosen(order=ORDERS["fast_only"][0], end=_instead(lambda n, ms, r: 0)),
            "of equally fast rows the one with fewer bytes. And where no row will do: -1, not 0, the first "
            "row"),
    Mistake("one_more", _ended(lambda *a: _index(*a) + 1 if len(a[0]) else -1),
            "you count rows from 1; count from 0"),
    Mistake("fastest_then", _fastest_then, "you looked at the fastest row of all alone; a slower one may do"),
    Mistake("fastest_first_then", lambda *a: _fastest_then(*a, order=ORDERS["fast_only"][0]),
            "you looked at the fastest row of all, the first of several, alone; a slower one may do"),
    Mistake("fastest_fitting_first_then", lambda *a: _fastest_fitting_then(*a, order=ORDERS["fast_only"][0]),
            "you took the fastest row that fits, the first of several, and then asked for accuracy; a "
            "slower one may do"),
    Mistake("fastest_fitting_then", _fastest_fitting_then,
            "you took the fastest row that fits, and then asked for accuracy; a slower one may do"),
    Mistake("best_then", _best_then,
            "you took the most accurate row; a faster one may do, and a smaller one where it is too large"),
    Mistake("how_many", _ended(lambda rows, *a: len(rows)),
            "that is how many rows will do; the index of one is asked"),
    Mistake("nan", quiet(lambda *a: float(_chosen()(*a)) if _chosen()(*a) >= 0 else math.nan),
            "where no row will do: -1, not nan"),
)  # fmt: skip
