"""Parts of chapter 05's wrong answers, which `ch05_mistakes` puts together."""

import numpy as np


def cubic(step, start, end, initial, final, *, low=0.0, high=1.0, power=3):
    done = np.clip((step - start) / (end - start), low, high)
    return final + (initial - final) * (1 - done) ** power


def rising(step, start, end, initial, final):
    done = np.clip((step - start) / (end - start), 0.0, 1.0)
    return initial + (final - initial) * done**3


def tried(holds, start, factor, *, root=np.sqrt, after_fall="good", first=True):
    """A controller's thresholds with one fault."""
    good, tried = start / factor, [start]
    for held in holds:
        if held == first:
            good = tried[-1] if after_fall != "forgets" else good
            tried.append(tried[-1] * factor)
            continue
        factor = root(factor)
        base = {"good": good, "forgets": good, "tried": tried[-1], "same": good / factor}[after_fall]
        tried.append(base * factor)
    return np.array(tried)


def top(score, k):
    mask = np.zeros(score.size, bool)
    mask[np.argsort(-score, axis=None, kind="stable")[:k]] = True
    return mask.reshape(score.shape)


def swap(w, mask, grad, k, *, size=abs, slope=abs, outside=np.inf, barred=False, anywhere=False):
    least = np.where(mask, size(w), outside)
    new = mask & ~top(-least, k)
    closed = np.zeros(w.shape, bool) if anywhere else (new | mask if barred else new)
    return new | top(np.where(closed, -np.inf, slope(grad)), k)


def swap_ties(w, mask, grad, k):
    if not k:
        return mask.copy()
    new = mask & (abs(w) > np.sort(abs(w)[mask])[k - 1])
    return new | ~new & (abs(grad) >= np.sort(abs(grad)[~new])[-k])


def ticket(first, trained, k, *, score=None, values=None):
    keep = top(abs(trained) if score is None else score(first, trained), k)
    return (first if values is None else values(first, trained)) * keep


def places_of_kept(w, mask, grad, k):
    new = mask.copy()
    new.flat[np.argsort(abs(w[mask]), kind="stable")[:k]] = False
    return new | top(np.where(new, -np.inf, abs(grad)), k)


def rows(score, k):
    return np.argsort(np.argsort(-score, axis=-1, kind="stable"), axis=-1) < k


def turns(holds, start, factor, fault):
    """A controller's thresholds, where after a verdict something other happens."""
    good, now, whole, out = start if fault == "start" else start / factor, start, factor, [start]
    for held in holds:
        good = now if held else good
        if held and fault == "full":
            factor = whole
        elif held and fault == "square":
            factor = factor**2
        elif not held and fault != "once":
            shrunk = {"gap": 1 + (factor - 1) / 2, "middle": factor, "down": factor, "first root": whole**0.5}
            factor = shrunk.get(fault, factor**0.5)
        after = {
            "add": good + factor,
            "below": good * factor if held else good / factor,
            "down": now * factor if held else now / factor,
            "half": now * whole if held else now / 2,
            "down and root": now * factor if held else now / factor**2,
            "from start": start * (whole if held else whole**0.5),
            "middle": good * factor if held else (good + now) / 2,
            "once": good * (factor if held else factor**0.5),
        }
        now = after.get(fault, good * factor)
        out.append(now)
    return np.array(out)


def kth(w, k):
    """The k-th largest size; for 0 the smallest, since -0 is the first index."""
    return np.sort(abs(w), axis=None)[-k]


def late_top(score, k):
    """The k largest; of equals the later."""
    return top(score.ravel()[::-1], k)[::-1].reshape(score.shape)


def between(holds, start, factor):
    """A controller that remembers what failed and takes the geometric middle."""
    good, now, failed, out = start / factor, start, None, [start]
    for held in holds:
        good, failed = (now, failed) if held else (good, now)
        now = good * factor if failed is None else (good * failed) ** 0.5
        out.append(now)
    return np.array(out)
