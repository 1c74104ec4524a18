"""Chapter 17: wrong gains from a trace, each with what happened."""

import math

from mcomp.course.model import Mistake, quiet
from mcomp.course.specs.ch17_wrong_traces import SPLITS, parts


def _over(a, b):
    return a / b if b else math.inf


# Of the touched part, the rest, `times` and `added`.
GAINS = {
    "no_conversions": (lambda p, r, t, a: (p + r) / (p / t + r),
            "the conversions' time is missing in the gain"),
    "conversions_faster": (lambda p, r, t, a: (p + r) / ((p + a) / t + r),
            "you made the conversions `times` as fast; only touched nodes get faster"),
    "all_faster": (lambda p, r, t, a: (p + r) / ((p + r) / t + a),
            "only what is touched gets `times` as fast"),
    "all_and_conversions": (lambda p, r, t, a: (p + r) / ((p + r + a) / t),
            "only what is touched gets `times` as fast"
                            ", not the rest, not the conversions"),
    "multiplied": (lambda p, r, t, a: (p + r) / (p * t + r + a),
            "`times` as fast takes less time: divide by `times`"),
    "part_gone": (lambda p, r, t, a: (p + r) / (r + a),
            "in the gain the touched nodes still take time: part / times"),
    "untouched_faster": (lambda p, r, t, a: (p + r) / (p + r / t + a),
            "you made the rest faster; int8 touches the other part"),
    "inverse": (lambda p, r, t, a: (p / t + r + a) / (p + r), "the gain is upside down: before / after"),
    "rest_gone": (lambda p, r, t, a: _over(p + r, p / t + a),
            "the rest is missing in the gain: it still takes its time"),
    "part_over": (lambda p, r, t, a: p / (p / t + a) if p else 1.0,
            "that is the gain of the touched part; the whole network's was asked for"),
    "part_over_after": (lambda p, r, t, a: p / (p / t + r + a),
            "the time before is all of it, not the touched part alone"),
    "added_before": (lambda p, r, t, a: (p + r + a) / (p / t + r + a),
            "before int8 there were no conversions"),
    "subtracted": (lambda p, r, t, a: (p + r) / (p / t + r - a), "conversions add time; you subtracted it"),
    "saved": (lambda p, r, t, a: (p + r) - (p / t + r + a),
            "those are the microseconds saved; a gain is before / after"),
    "saved_part": (lambda p, r, t, a: 1 - (p / t + r + a) / (p + r),
            "that is the part of the time saved; a gain is before / after"),
    "after": (lambda p, r, t, a: p / t + r + a, "that is the time after; a gain is before / after"),
    "faster_by": (lambda p, r, t, a: (p + r) / (p / t + r + a) - 1,
            "how many times as fast: before / after, without the - 1"),
    "at_least_one": (lambda p, r, t, a: max((p + r) / (p / t + r + a), 1.0), "a gain may be below 1: a loss"),
    "saved_times": (lambda p, r, t, a: (p + r) / (p * (1 - 1 / t) + r + a),
            "`times` as fast leaves part / times"),
    "mean_times": (lambda p, r, t, a: p / (p + r) * t + r / (p + r),
            "that is a mean of speeds; times add up, not speeds"),
    "plain_times": (lambda p, r, t, a: t, "`times` is the gain of the touched part; the whole gains less"),
    "unscaled": (lambda p, r, t, a: 1 / (p / (p + r) / t + r / (p + r) + a),
                 "`added` is in microseconds, but your parts add up to 1: divide it by the total too"),
    "minus_added": (lambda p, r, t, a: (p + r) / (p / t + r) - a,
            "`added` is a time: it belongs below the line, with the times"),
    "percent": (lambda p, r, t, a: 100 * ((p + r) / (p / t + r + a) - 1),
            "those are percent; before / after was asked for"),
}  # fmt: skip
LIMITS = {
    "no_conversions": (lambda p, r, t, a: _over(p + r, r), "in the limit, too, add the conversions' time"),
    "share": (lambda p, r, t, a: p / (p + r),
            "that is the share int8 touches; the limit is before / what remains"),
    "rest_share": (lambda p, r, t, a: r / (p + r),
            "that is the share of the rest; the limit is before / what remains"),
    "inverse": (lambda p, r, t, a: (r + a) / (p + r), "the limit is upside down: before / what remains"),
    "of_part": (lambda p, r, t, a: _over(p + r, p + a),
            "in the limit the touched part is gone, not the rest"),
    "of_part_alone": (lambda p, r, t, a: _over(p + r, p),
            "in the limit the touched part is gone: the rest and the conversions "
                      "remain"),
    "times": (lambda p, r, t, a: t, "`times` can grow in the limit: touched nodes take no time at all"),
    "gain": (lambda p, r, t, a: (p + r) / (p / t + r + a),
            "that is the gain again; in the limit touched nodes take no time"),
    "plain_gain": (lambda p, r, t, a: (p + r) / (p / t + r),
            "that is the gain without conversions; the limit has no touched "
                   "part, and conversions stay"),
    "added_before": (lambda p, r, t, a: (p + r + a) / (r + a),
            "before int8 there were no conversions, in the limit either"),
    "conversions_faster": (lambda p, r, t, a: _over(p + r, r + a / t),
            "in the limit you made the conversions `times` as fast; they keep their time"),
    "part_over_rest": (lambda p, r, t, a: p / (r + a),
            "the time before is all of it, not the touched part alone, in the limit "
                       "too"),
    "what_remains": (lambda p, r, t, a: r + a, "that is the time that remains; the limit is before / it"),
    "endless": (lambda p, r, t, a: math.inf,
            "the whole can't get faster without end: the rest and the conversions remain"),
    "subtracted": (lambda p, r, t, a: _over(p + r, r - a),
            "conversions add time in the limit too; you subtracted it"),
    "unscaled": (lambda p, r, t, a: 1 / (r / (p + r) + a),
            "in the limit `added` is in microseconds, but your rest is a part of "
                 "1: divide it by the total too"),
    "faster_by": (lambda p, r, t, a: (p + r) / (r + a) - 1,
            "how many times as fast: without the - 1, in the limit as well"),
    "minus_added": (lambda p, r, t, a: _over(p + r, r) - a,
            "in the limit too `added` belongs below the line"),
    "percent": (lambda p, r, t, a: 100 * ((p + r) / (r + a) - 1), "those are percent in the limit as well"),
    "at_least_one": (lambda p, r, t, a: max((p + r) / (r + a), 1.0),
            "a limit may be below 1: conversions alone can cost more"),
}  # fmt: skip


def _gain(p, r, t, a):
    return (p + r) / (p / t + r + a)


def _limit(p, r, t, a):
    return _over(p + r, r + a)


def _read(gain=_gain, limit=_limit, split=parts):
    def answer(operators, microseconds, touched, times, added):
        part, rest = split(operators, microseconds, touched)
        return gain(part, rest, times, added), limit(part, rest, times, added)

    return quiet(answer)


TWICE = [name for name in GAINS if name in LIMITS]
BOTH = [(name, name) for name in TWICE]
BOTH += [
    ("no_conversions", b)
    for b in (
        "share",
        "inverse",
        "of_part",
        "of_part_alone",
        "times",
        "rest_share",
        "part_over_rest",
        "endless",
    )
]
BOTH += [
    (a, "no_conversions")
    for a in (
        "conversions_faster",
        "multiplied",
        "all_faster",
        "inverse",
        "added_before",
        "saved_part",
        "unscaled",
        "subtracted",
        "part_over",
        "minus_added",
    )
]
BOTH += [("saved_part", "share"), ("inverse", "share"), ("multiplied", "of_part"), ("added_before",
"share"), ("unscaled", "share")]  # fmt: skip

GAIN_MISTAKES = (
    *(Mistake(name, _read(gain=f), why) for name, (f, why) in GAINS.items()),
    *(Mistake(f"limit_{name}", _read(limit=f), why) for name, (f, why) in LIMITS.items()),
    *(Mistake(name, _read(split=f), why) for name, (f, why) in SPLITS.items()),
    *(Mistake(f"{a}_and_{b}", _read(GAINS[a][0], LIMITS[b][0]),
            f"{GAINS[a][1]}. And {LIMITS[b][1]}") for a, b in BOTH),
    *(Mistake(f"{a}_no_conversions", _read(GAINS["no_conversions"][0], LIMITS["no_conversions"][0],
            SPLITS[a][0]),
              f"{SPLITS[a][1]}. And the conversions' time is missing") for a in ("parts_of_names", "one_name",
              "last_of_each", "counted")),
    Mistake("counted_and_no_conversions",
            _read(limit=LIMITS["no_conversions"][0], split=SPLITS["counted"][0]),
            f"{SPLITS['counted'][1]}. And {LIMITS['no_conversions'][1]}"),
    Mistake("exchanged", quiet(lambda *args: _read()(*args)[::-1]), "the gain comes first: (gain, limit)"),
)  # fmt: skip
