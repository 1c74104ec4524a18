"""Chapter 20, a goal and the area below a front: wrong answers, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake


def _missed(nbytes, accuracy, limits, *, part=True, cut=True, size=True, right=True):
    most, least = limits
    large = nbytes / most - 1 if part else nbytes - most
    wrong = least - accuracy
    if cut:
        large, wrong = np.maximum(large, 0), np.maximum(wrong, 0)
    return size * large + right * wrong


def _near(score, nbytes, *, then=None):
    place = int(np.lexsort((np.arange(len(nbytes)), nbytes if then is None else then, score))[0])
    return place, float(score[place])


def _nearest(**options):
    return lambda n, a, limits: _near(_missed(n, a, limits, **options), n)


def _largest_of_both(n, a, limits):
    large, wrong = _missed(n, a, limits, right=False), _missed(n, a, limits, size=False)
    return _near(np.maximum(large, wrong), n)


def _swapped(n, a, limits):
    place, missed = _nearest()(n, a, limits)
    return missed, place


def _relative(n, a, limits):
    large = np.maximum(n / limits[0] - 1, 0)
    return _near(large + np.maximum(1 - a / limits[1], 0), n) if limits[1] else _near(large, n)


def _of_the_network(n, a, limits):
    return _near(np.maximum(1 - limits[0] / n, 0) + np.maximum(limits[1] - a, 0), n)


def _large(n, limits):
    return np.maximum(n / limits[0] - 1, 0)


def _wrong(a, limits):
    return np.maximum(limits[1] - a, 0)


def _bytes_first(n, a, limits):
    place, missed = _nearest()(n, a, limits)
    return float(n[place]), missed


NEAREST = (
    Mistake("bonus", _nearest(cut=False),
            "what is better than asked for made up for what is missed: a limit that is met counts 0"),
    Mistake("absolute", _nearest(part=False),
            "you counted bytes; the part of the limit, bytes / most - 1"),
    Mistake("no_bytes", _nearest(size=False),
            "you looked at accuracy alone; the bytes have a limit, too"),
    Mistake("no_accuracy", _nearest(right=False),
            "you looked at the bytes alone; accuracy has a limit, too"),
    Mistake("largest_of_both", _largest_of_both,
            "you took the larger of both misses; their sum was asked for"),
    Mistake("accuracy_relative", _relative,
            "you divided the missing accuracy by the limit; it counts as it is"),
    Mistake("of_the_network", _of_the_network,
            "you divided by the network's bytes; a part of the limit was asked for"),
    Mistake("first_of_equals", lambda n, a, limits: _near(_missed(n, a, limits), n, then=np.zeros(len(n))),
            "of equal misses you took the first; the one with fewer bytes"),
    Mistake("accurate_of_equals", lambda n, a, limits: _near(_missed(n, a, limits), n, then=-a),
            "of equal misses you took the most accurate; the one with fewer bytes"),
    Mistake("large_of_equals", lambda n, a, limits: _near(_missed(n, a, limits), n, then=-n),
            "of equal misses you took the largest file; the one with fewer bytes"),
    Mistake("farthest", lambda n, a, limits: _near(-_missed(n, a, limits), n),
            "you took the one that misses most; the least"),
    Mistake("swapped", _swapped,
            "the place comes first, then by how much it is missed"),
    Mistake("place_only", lambda n, a, limits: _nearest()(n, a, limits)[0],
            "the place is right; by how much it misses was asked for, too"),
    Mistake("both_ways", lambda n, a, limits: _near(np.abs(n / limits[0] - 1) + np.abs(limits[1] - a), n),
            "what is better than asked for counted as missed: without abs, and cut at 0"),
    Mistake("reversed", lambda n, a, limits: _near(_large(n, limits) + np.maximum(a - limits[1], 0), n),
            "what is above the least accuracy counted as missed; what is below it"),
    Mistake("percent", lambda n, a, limits: _near(_large(n, limits) + 100 * _wrong(a, limits), n),
            "you counted accuracy in percent; as the fraction that it is"),
    Mistake("root", lambda n, a, limits: _near(np.hypot(_large(n, limits), _wrong(a, limits)), n),
            "you took the straight distance; the sum of both misses"),
    Mistake("product", lambda n, a, limits: _near(_large(n, limits) * _wrong(a, limits), n),
            "you multiplied both misses: one that is met hides the other; their sum"),
    Mistake("from_one", lambda n, a, limits: _near(1 + _large(n, limits) + _wrong(a, limits), n),
            "a limit that is met counts 0; your part of the bytes begins at 1"),
    Mistake("bytes_of_it", _bytes_first,
            "those are the bytes of the nearest; its place was asked for"),
    Mistake("squares", lambda n, a, limits: _near(
                _missed(n, a, limits, right=False) ** 2 + _missed(n, a, limits, size=False) ** 2, n),
            "you added squares; the misses themselves"),
)  # fmt: skip


def _inside(nbytes, accuracy, corner):
    keep = (nbytes < corner[0]) & (accuracy > corner[1])
    order = np.lexsort((-accuracy[keep], nbytes[keep]))
    return nbytes[keep][order], accuracy[keep][order]


def _strips(n, top, corner):
    return float((np.diff(np.append(n, corner[0])) * (top - corner[1])).sum())


def _no_maximum(nbytes, accuracy, corner):
    n, a = _inside(nbytes, accuracy, corner)
    return _strips(n, a, corner)


def _twice(nbytes, accuracy, corner):
    n, a = _inside(nbytes, accuracy, corner)
    return float(((corner[0] - n) * (a - corner[1])).sum())


def _largest(nbytes, accuracy, corner):
    n, a = _inside(nbytes, accuracy, corner)
    return float(((corner[0] - n) * (a - corner[1])).max(initial=0.0))


def _from_zero(nbytes, accuracy, corner):
    n, a = _inside(nbytes, accuracy, corner)
    return _strips(n, np.maximum.accumulate(a), (corner[0], 0.0))


def _corner_missing(nbytes, accuracy, corner):
    n, a = _inside(nbytes, accuracy, corner)
    return float((np.diff(n) * (np.maximum.accumulate(a)[:-1] - corner[1])).sum()) if len(n) else 0.0


def _outside_too(nbytes, accuracy, corner):
    order = np.lexsort((-accuracy, nbytes))
    return _strips(nbytes[order], np.maximum.accumulate(accuracy[order]), corner)


def _wrong_bytes_too(nbytes, accuracy, corner):
    keep = accuracy > corner[1]
    return _outside_too(nbytes[keep], accuracy[keep], corner)


def _inaccurate_too(nbytes, accuracy, corner):
    keep = nbytes < corner[0]
    return _outside_too(nbytes[keep], accuracy[keep], corner)


def _next_height(nbytes, accuracy, corner):
    n, a = _inside(nbytes, accuracy, corner)
    top = np.maximum.accumulate(a)
    return _strips(n, np.append(top[1:], top[-1:]), corner)


def _trapezoids(nbytes, accuracy, corner):
    n, a = _inside(nbytes, accuracy, corner)
    top = np.maximum.accumulate(a)
    return _strips(n, (top + np.append(top[1:], top[-1:])) / 2, corner)


def _bounding(nbytes, accuracy, corner):
    n, a = _inside(nbytes, accuracy, corner)
    return float((corner[0] - n.min()) * (a.max() - corner[1])) if len(n) else 0.0


def _right_area(nbytes, accuracy, corner):
    n, a = _inside(nbytes, accuracy, corner)
    return _strips(n, np.maximum.accumulate(a), corner)


def _part(nbytes, accuracy, corner):
    return _right_area(nbytes, accuracy, corner) / corner[0] / (1 - corner[1])


def _from_the_left(nbytes, accuracy, corner):
    n, a = _inside(nbytes, accuracy, corner)
    return float((np.diff(np.append(0.0, n)) * (np.maximum.accumulate(a) - corner[1])).sum())


def _as_they_come(nbytes, accuracy, corner):
    keep = (nbytes < corner[0]) & (accuracy > corner[1])
    n, a = nbytes[keep], accuracy[keep]
    return _strips(n, np.maximum.accumulate(a), corner)


def _worst(nbytes, accuracy, corner):
    n, a = _inside(nbytes, accuracy, corner)
    return _strips(n, np.minimum.accumulate(a), corner)


def _whole_bytes(nbytes, accuracy, corner):
    n, a = _inside(nbytes, accuracy, corner)
    return float(sum(max((y - corner[1] for x, y in zip(n, a, strict=True) if x <= at), default=0.0)
                     for at in range(int(np.ceil(corner[0])))))  # fmt: skip


AREA = (
    Mistake("no_maximum", _no_maximum,
            "a larger, worse network cut a strip down: take the best of all that are no larger"),
    Mistake("twice", _twice,
            "you added the rectangles; what two networks beat counts once"),
    Mistake("largest", _largest,
            "that is the largest rectangle; the others beat points outside it"),
    Mistake("from_zero", _from_zero,
            "your strips go down to 0; they end at the corner's accuracy"),
    Mistake("corner_missing", _corner_missing,
            "the strip from the largest network to the corner is missing"),
    Mistake("outside_too", _outside_too,
            "networks beyond the corner counted, some with a negative area; leave them out"),
    Mistake("too_large_too", _wrong_bytes_too,
            "networks with more bytes than the corner took area away; leave them out"),
    Mistake("inaccurate_too", _inaccurate_too,
            "networks less accurate than the corner took area away; leave them out"),
    Mistake("next_height", _next_height,
            "a strip is as high as the best at its left end; you took that at its right"),
    Mistake("trapezoids", _trapezoids,
            "between two networks nobody is in between: the front goes in steps, not along a line"),
    Mistake("bounding", _bounding,
            "that is the smallest size times the best accuracy, as if one network had both"),
    Mistake("from_the_left", _from_the_left,
            "your strips go from a network to the left; it beats who is larger, to its right"),
    Mistake("unsorted", _as_they_come,
            "you took the networks as they come; sort by bytes first"),
    Mistake("worst", _worst,
            "you took the worst so far for the height; the best"),
    Mistake("whole_bytes", _whole_bytes,
            "your strips are one byte wide; networks needn't stand at whole numbers"),
    Mistake("part", _part,
            "you divided by the whole plane's area; the area itself was asked for"),
)  # fmt: skip
