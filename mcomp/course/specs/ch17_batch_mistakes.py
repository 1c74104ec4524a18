"""Chapter 17: wrong batches from which on a layer computes, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet

HOPELESS = "where an image moves longer than it computes, no batch is large enough: -1"


def _gained(macs, weights, each, peak, bandwidth):
    """What each image more adds to computing, less what it adds to moving, in nanoseconds."""
    return macs / peak - each / bandwidth


def _needed(macs, weights, each, peak, bandwidth):
    return weights / bandwidth


def _rounded(quotient):
    return np.maximum(np.ceil(quotient), 1)


def _never(batch, gained, needed):
    """The batch, or -1 where there is none."""
    return np.where((gained > 0) | ((gained == 0) & (needed == 0)), np.where(gained > 0, batch, 1), -1)


def _batch(*, gained=_gained, needed=_needed, rounded=_rounded, never=_never):
    def answer(macs, weights, each, peak, bandwidth):
        more, fixed = (f(macs, weights, each, peak, bandwidth) for f in (gained, needed))
        found = never(rounded(fixed / more), more, fixed)
        return np.nan_to_num(np.where(abs(found) < 2.0**50, found, -1)).astype(np.int64)

    return quiet(answer)


ROUNDED = {
    "no_least": (np.ceil, "a batch is 1 or more; without weights your quotient is 0"),
    "floor": (lambda x: np.maximum(np.floor(x), 1),
            "you rounded down: at that batch moving still takes longer"),
    "floor_alone": (np.floor, "you rounded down, and a batch is 1 or more"),
    "next": (lambda x: np.floor(x) + 1,
            "where the quotient is a whole number, that batch will do already: `or longer`"),
    "after": (lambda x: _rounded(x) + 1, "your batch is one too large: rounded up, the quotient is enough"),
    "nearest": (lambda x: np.maximum(np.rint(x), 1),
            "you rounded to the nearest; up: below, moving takes longer"),
    "nearest_alone": (np.rint, "you rounded to the nearest; up, and 1 at least"),
    "two": (lambda x: np.maximum(np.ceil(x), 2), "a batch of 1 may be enough"),
    "before": (lambda x: np.maximum(np.ceil(x) - 1, 1),
            "that is the last batch at which moving takes longer; one more"),
}  # fmt: skip
GAINED = {
    "no_images": (lambda m, w, e, p, b: m / p, "inputs and outputs move too, for each image"),
    "images_added": (lambda m, w, e, p, b: m / p + e / b,
            "what an image moves is subtracted from what it computes"),
    "turned": (lambda m, w, e, p, b: e / b - m / p,
            "you asked where moving takes as long as computing, or longer; the other way "
               "round"),
    "units": (lambda m, w, e, p, b: m / b - e / p,
            "peak is for the MACs, bandwidth for the bytes; exchanged"),
    "multiplied": (lambda m, w, e, p, b: m * p - e * b,
            "times are work / rate: divide by peak and bandwidth"),
    "no_rates": (lambda m, w, e, p, b: m - e,
            "MACs and bytes can't be compared: divide by peak and by bandwidth first"),
    "flop": (lambda m, w, e, p, b: 2 * m / p - e / b, "peak counts MACs already: a MAC isn't doubled"),
    "fourfold": (lambda m, w, e, p, b: m / p - 4 * e / b,
            "these are bytes already, not numbers of four bytes"),
    "weights_each": (lambda m, w, e, p, b: m / p - (e + w) / b,
            "the weights move once a batch, not for each image"),
    "twice": (lambda m, w, e, p, b: m / p - 2 * e / b,
            "image_bytes holds inputs and outputs already: not twice"),
}  # fmt: skip
NEEDED = {
    "all_bytes": (lambda m, w, e, p, b: (w + e) / b,
            "you counted an image's bytes once more, beside the weights"),
    "no_bandwidth": (lambda m, w, e, p, b: w, "the weights' time is weight_bytes / bandwidth"),
    "by_peak": (lambda m, w, e, p, b: w / p, "the weights' time is weight_bytes / bandwidth, not / peak"),
    "times": (lambda m, w, e, p, b: w * b, "the weights' time is weight_bytes / bandwidth, not times it"),
    "fourfold": (lambda m, w, e, p, b: 4 * w / b,
            "weight_bytes are bytes already, not numbers of four bytes"),
}  # fmt: skip
NEVER = {
    "zero": (lambda x, g, n: np.where((g == 0) & (n == 0), 1, np.where(g > 0, x, 0)),
            "where no batch is large enough: -1, not 0"),
    "zero_all": (lambda x, g, n: np.where(g > 0, x, 0),
            "where no batch is large enough: -1, not 0, and without weights it may be 1"),
    "one": (lambda x, g, n: np.where(g > 0, x, 1), HOPELESS + "; yours is 1"),
    "as_it_comes": (lambda x, g, n: x, HOPELESS + "; a negative quotient is no batch"),
    "equal": (lambda x, g, n: np.where(g > 0, x, -1),
              "without weights, moving as long as computing is enough: the batch is 1"),
    "equal_always": (lambda x, g, n: np.where(g > 0, x, np.where(g == 0, 1, -1)),
                     "where both grow alike, the weights' time is never made up: -1, if there are weights"),
    "weightless": (lambda x, g, n: np.where(n == 0, 1, np.where(g > 0, x, -1)),
                   "also without weights an image may move longer than it computes: -1"),
}  # fmt: skip


def _searched(most, *, strict=False, missing=-1, start=1):
    """Tries batches up to `most`."""

    def answer(macs, weights, each, peak, bandwidth):
        tried = np.arange(start, most + 1)[:, None]
        computing, moving = tried * macs * bandwidth, (weights + tried * each) * peak
        reached = computing > moving if strict else computing >= moving
        return np.where(reached.any(0), tried[reached.argmax(0), 0], missing)

    return quiet(answer)


def _guarded(most):
    """The same, -1 where an image moves longer than it computes."""

    def answer(macs, weights, each, peak, bandwidth):
        found = _searched(most, missing=most)(macs, weights, each, peak, bandwidth)
        return np.where(macs * bandwidth < each * peak, -1, found)

    return quiet(answer)


def _turned(most):
    """A search that goes on while computing takes longer: it ends at once, or at `most`."""

    def answer(macs, weights, each, peak, bandwidth):
        ends = macs * bandwidth <= (weights + each) * peak
        later = [
            np.argmax(np.arange(1, most) * (m * bandwidth - e * peak) <= w * peak)
            for m, w, e in zip(macs, weights, each, strict=True)
        ]
        return np.where(ends, 1, np.where(np.array(later) > 0, np.array(later) + 1, most))

    return quiet(answer)


def _doubled(macs, weights, each, peak, bandwidth):
    """Tries 1, 2, 4, ..."""
    out = []
    for m, w, e in zip(macs, weights, each, strict=True):
        found = [2**k for k in range(16) if 2**k * m * bandwidth >= (w + 2**k * e) * peak]
        out.append(found[0] if found else -1)
    return np.array(out)


def _cast(least):
    """The quotient rounded up, `least` at least, as integers: infinity as the processor casts it."""
    return quiet(lambda *a: np.maximum(np.ceil(_needed(*a) / _gained(*a)), least).astype(np.int64))


def _in_32_bits(macs, weights, each, peak, bandwidth):
    gained, needed = macs * bandwidth - each * peak, (weights * peak).astype(np.int32)
    return _never(_rounded(needed / np.where(gained > 0, gained, 1)), gained, needed).astype(np.int64)


def _one_for_zero(macs, weights, each, peak, bandwidth):
    gained = macs * bandwidth - each * peak
    return _rounded(weights * peak / np.where(gained == 0, 1, gained)).astype(np.int64)


def _whole(macs, weights, each, peak, bandwidth):
    """Times by //, cut to whole nanoseconds."""
    gained, needed = macs // peak - each // bandwidth, weights // bandwidth
    return np.where(gained > 0, np.maximum(-(-needed // np.where(gained > 0, gained, 1)), 1), -1)


BOTH = [
    (a, b)
    for a in ("turned", "units", "multiplied", "no_rates", "flop")
    for b in ("zero", "one", "as_it_comes")
]
BOTH.remove(("flop", "as_it_comes"))
BOTH += [("weights_each", "zero"), ("weights_each", "as_it_comes")]
STRICT = "as long as moving is enough, and yours asks for longer"

BATCHES = (
    *(Mistake(name, _batch(rounded=f), why) for name, (f, why) in ROUNDED.items()),
    *(Mistake(f"gained_{name}", _batch(gained=f), why) for name, (f, why) in GAINED.items()),
    *(Mistake(f"needed_{name}", _batch(needed=f), why) for name, (f, why) in NEEDED.items()),
    *(Mistake(f"never_{name}", _batch(never=f), why) for name, (f, why) in NEVER.items()),
    *(Mistake(f"{a}_{b}", _batch(rounded=ROUNDED[a][0], never=NEVER[b][0]),
            f"{ROUNDED[a][1]}. And {NEVER[b][1]}")
      for a in ("no_least", "floor", "floor_alone", "next", "nearest") for b in ("zero", "one", "as_it_comes",
      "equal")),
    *(Mistake(f"{a}_and_{b}", _batch(gained=GAINED[a][0], never=NEVER[b][0]),
            f"{GAINED[a][1]}. And {NEVER[b][1]}")
      for a, b in BOTH),
    *(Mistake(f"up_to_{n}", _searched(n),
            f"you stopped at {n} images; some layers need more") for n in (32, 64, 100, 128, 256, 1000)),
    Mistake("exchanged", _batch(gained=GAINED["units"][0], needed=NEEDED["by_peak"][0]),
            "peak is for the MACs, bandwidth for all bytes: exchanged, or multiplied, where times are work "
            "/ rate"),
    Mistake("least_minus_one", _batch(rounded=lambda x: np.maximum(np.ceil(x), -1),
            never=NEVER["as_it_comes"][0]),
            "a quotient of 0 or less isn't the batch: ask first whether each image computes longer than it "
            "moves"),
    *(Mistake(f"stuck_{n}", _searched(n, missing=n),
            f"where no batch is large enough your search stops at {n}: -1")
      for n in (1000, 10_000, 100_000)),
    *(Mistake(f"guarded_{n}", _guarded(n),
            f"where both grow alike your search stops at {n}: no batch is large enough, -1")
      for n in (1000, 10_000, 100_000)),
    Mistake("cast", _cast(-np.inf),
            "where each image moves as long as it computes, or longer, your quotient is infinite or "
            "negative: no batch is large enough, -1"),
    Mistake("cast_one", _cast(1),
            "where each image moves longer than it computes you say 1, where as long infinity: no batch, -1"),
    Mistake("strict_zero", _searched(40_000, strict=True, missing=0),
            f"{STRICT}. And where no batch is large enough: -1"),
    Mistake("searched_zero", _searched(40_000, missing=0, start=0), "a batch of 0 images is none: 1 or more"),
    *(Mistake(f"while_computing_{n}", _turned(n),
            "you go on while computing takes longer; go on while moving does"
              f", and not to {n}") for n in (1000, 10_000, 100_000)),
    Mistake("doubled", _doubled, "you tried powers of two; the smallest batch may lie between"),
    Mistake("in_32_bits", _in_32_bits, "weight_bytes * peak may be too large for 32 bits"),
    Mistake("one_for_zero", _one_for_zero,
            "where each image moves as long as it computes, or longer, there is nothing to divide by: -1"),
    Mistake("whole", _whole,
            "// cuts the times to whole nanoseconds; compare times exactly, by cross multiplication"),
    Mistake("at_one", quiet(lambda m, w, e, p, b: np.where(m * b >= (w + e) * p, 1, -1)),
            "weights move once a batch: a larger batch may do where batch 1 doesn't"),
    Mistake("intensity", quiet(lambda m, w, e, p, b: np.ceil((w + e) * p / np.maximum(m * b, 1)).astype(int)),
            "you divided the bytes at batch 1 by the work; with the batch, each image's bytes grow as well"),
    Mistake("intensity_never", quiet(lambda m, w, e, p, b: np.where(
        m * b > e * p, np.ceil((w + e) * p / np.maximum(m * b, 1)), -1).astype(int)),
            "at batch n the images' bytes are there n times: they belong with the work, not with the "
            "weights"),
    Mistake("all_layers", quiet(lambda m, w, e, p, b: _batch()(m.sum(keepdims=True), w.sum(keepdims=True),
            e.sum(keepdims=True), p, b)[0]),
            "that is one batch for all layers together; one for each was asked for"),
    Mistake("whole_network", quiet(lambda m, w, e, p, b: _batch()(m, w, e, p, b).max()),
            "that is one batch for all layers; one for each was asked for"),
    Mistake("exact", quiet(lambda m, w, e, p, b: np.where(m * b > e * p, w * p / (m * b - e * p), -1.0)),
            "a batch is a whole number: round up, 1 at least"),
)  # fmt: skip
