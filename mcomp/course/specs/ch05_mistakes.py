"""Chapter 05's known wrong answers, each with its diagnosis, and the quiz."""

import numpy as np

from mcomp.course.model import Mistake, Option, Question

__all__ = ["MISTAKES", "QUIZ"]


def _cubic(step, start, end, initial, final, *, low=0.0, high=1.0, power=3):
    done = np.clip((step - start) / (end - start), low, high)
    return final + (initial - final) * (1 - done) ** power


def _rising(step, start, end, initial, final):
    done = np.clip((step - start) / (end - start), 0.0, 1.0)
    return initial + (final - initial) * done**3


def _tried(holds, start, factor, *, root=np.sqrt, after_fall="good", first=True):
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


def _top(score, k):
    mask = np.zeros(score.size, bool)
    mask[np.argsort(-score, axis=None, kind="stable")[:k]] = True
    return mask.reshape(score.shape)


def _swap(w, mask, grad, k, *, size=abs, slope=abs, outside=np.inf, barred=False, anywhere=False):
    least = np.where(mask, size(w), outside)
    new = mask & ~_top(-least, k)
    closed = np.zeros(w.shape, bool) if anywhere else (new | mask if barred else new)
    return new | _top(np.where(closed, -np.inf, slope(grad)), k)


def _ticket(first, trained, k, *, score=None, values=None):
    keep = _top(abs(trained) if score is None else score(first, trained), k)
    return (first if values is None else values(first, trained)) * keep


MISTAKES = {
    "05.1": (
        Mistake("linear", lambda i, n, final: final * i / n,
                "you removed the same number in each round; the same part of what stayed was asked for"),
        Mistake("split_rate", lambda i, n, final: 1 - (1 - final / n) ** i,
                "you removed final / n of what stays in each round: the last round doesn't reach final"),
        Mistake("whole_rate", lambda i, n, final: 1 - (1 - final) ** i,
                "you removed the part `final` in every round; that sparsity is reached after the first"),
        Mistake("density", lambda i, n, final: (1 - final) ** (i / n),
                "that is the part that stays; sparsity is the part that is gone"),
        Mistake("zeros_multiply", lambda i, n, final: (final ** (1 / n)) ** i * (i > 0),
                "you took powers of the sparsity; it is the part that stays that is multiplied"),
        Mistake("one_round_late", lambda i, n, final: 1 - (1 - final) ** (np.maximum(i - 1, 0) / n),
                "you are one round late: after round 1 the first part is gone, after round n all of it"),
        Mistake("percent", lambda i, n, final: 100 * (1 - (1 - final) ** (i / n)),
                "that is percent; sparsity is a fraction from 0 to 1"),
    ),
    "05.2": (
        Mistake("past_the_end", lambda *a: _cubic(*a, high=np.inf),
                "after `end` your sparsity goes on rising; it stays at final"),
        Mistake("before_the_start", lambda *a: _cubic(*a, low=-np.inf),
                "before `start` your sparsity is below initial; it waits there"),
        Mistake("no_ends", lambda *a: _cubic(*a, low=-np.inf, high=np.inf),
                "the formula holds between start and end only: before it is initial, after it final"),
        Mistake("linear", lambda *a: _cubic(*a, power=1),
                "you went up in a straight line; the part of the time that is left is cubed"),
        Mistake("square", lambda *a: _cubic(*a, power=2),
                "you squared the time that is left; the exponent is 3"),
        Mistake("slow_first", _rising,
                "you cubed the time that has passed: slow at first, and the most goes at the end"),
        Mistake("from_zero", lambda step, start, *a: _cubic(step, 0, *a),
                "you count from step 0; the ramp begins at `start`"),
        Mistake("swapped", lambda step, start, end, initial, final: _cubic(step, start, end, final, initial),
                "your sparsity falls from final to initial"),
    ),
    "05.3": (
        Mistake("no_abs", lambda w, mask, low, high: (w >= high) | (mask & (w >= low)),
                "you compared w, not |w|, so every negative weight went"),
        Mistake("low_only", lambda w, mask, low, high: abs(w) >= low,
                "above `low` you let every weight back; what is out needs `high` to come back"),
        Mistake("high_only", lambda w, mask, low, high: abs(w) >= high,
                "below `high` you let every weight go; what is in stays as long as it reaches `low`"),
        Mistake("one_way", lambda w, mask, low, high: mask & (abs(w) >= low),
                "nothing comes back: you looked at masked weights, and what is out seems to be zero"),
        Mistake("never_goes", lambda w, mask, low, high: mask | (abs(w) >= high),
                "nothing goes: below `low` a weight leaves, whatever the mask was"),
        Mistake("swapped", lambda w, mask, low, high: (abs(w) >= low) & ~mask | mask & (abs(w) >= high),
                "the thresholds are swapped: `low` is for what is in, `high` for what is out"),
        Mistake("strict", lambda w, mask, low, high: (abs(w) > high) | (mask & (abs(w) > low)),
                "a size that equals a threshold counts as reached: the comparison is >=, not >"),
    ),
    "05.4": (
        Mistake("drops_zeros", lambda *a: _swap(*a, outside=0.0),
                "you dropped the smallest of all weights: those that are out are zero, so nothing went"),
        Mistake("no_abs", lambda *a: _swap(*a, size=np.asarray),
                "you ranked w, not |w|: the large negative weights went first"),
        Mistake("signed_gradient", lambda *a: _swap(*a, slope=np.asarray),
                "you ranked the gradient with its sign; a steep descent counts as much as a steep ascent"),
        Mistake("barred", lambda *a: _swap(*a, barred=True),
                "a weight that has just gone may come back at once, if its gradient is among the largest"),
        Mistake("anywhere", lambda *a: _swap(*a, anywhere=True),
                "you let kept weights be grown again, so fewer weights stay than before"),
        Mistake("drops_largest", lambda *a: _swap(*a, size=lambda w: 1 / (abs(w) + 1e-300)),
                "you dropped the largest |w|; the smallest go"),
        Mistake("flattest", lambda *a: _swap(*a, slope=lambda g: -abs(g)),
                "you grew where the gradient is smallest; there the loss doesn't care"),
        Mistake("no_growth", lambda w, mask, grad, k: mask & ~_top(-np.where(mask, abs(w), np.inf), k),
                "you dropped and grew nothing"),
    ),
    "05.5": (
        Mistake("from_tried", lambda *a: _tried(*a, after_fall="tried"),
                "after a fall you went on from the threshold that failed; go back to the good one"),
        Mistake("never_backs_off", lambda holds, start, factor: start * factor ** np.arange(len(holds) + 1.0),
                "you never look at the verdicts: the threshold rises until nothing is left"),
        Mistake("same_again", lambda *a: _tried(*a, root=lambda x: x),
                "after a fall you try the threshold that failed again; the factor must shrink"),
        Mistake("half", lambda *a: _tried(*a, root=lambda x: x / 2),
                "you halved the factor: 2 becomes 1, and the search stands still; take the square root"),
        Mistake("stops", lambda *a: _tried(*a, after_fall="same"),
                "after a fall you try the good threshold again; go above it, by the smaller factor"),
        Mistake("forgets_good", lambda *a: _tried(*a, after_fall="forgets"),
                "where the accuracy held, the threshold tried becomes the good one"),
        Mistake("upside_down", lambda *a: _tried(*a, first=False),
                "you raise when the accuracy falls and back off when it holds"),
    ),
    "05.6": (
        Mistake("first_places", lambda *a: _ticket(*a, score=lambda first, trained: abs(first)),
                "you chose the places before training; the trained network says which weights are large"),
        Mistake("trained_values", lambda *a: _ticket(*a, values=lambda first, trained: trained),
                "those are the trained values: that is fine-tuning, a ticket starts from the first ones"),
        Mistake("no_abs", lambda *a: _ticket(*a, score=lambda first, trained: trained),
                "you ranked the trained weights, not their sizes, so the large negative ones went"),
        Mistake("upside_down", lambda *a: _ticket(*a, score=lambda first, trained: -abs(trained)),
                "you kept the k smallest"),
        Mistake("drops_k", lambda first, trained, k: _ticket(first, trained, first.size - k),
                "you let k weights go; k is how many stay"),
        Mistake("movement", lambda *a: _ticket(*a, score=lambda first, trained: abs(trained - first)),
                "you kept what moved most; a ticket's places are the largest trained weights"),
        Mistake("rest_trained", lambda first, trained, k: np.where(_top(abs(trained), k), first, trained),
                "outside of the places the ticket is zero, not trained"),
    ),
}  # fmt: skip

QUIZ = (
    Question("Prune by magnitude to 90 %, in five rounds without training between them. What do you get?", (
        Option("a better mask than in one shot", "nothing changed between the rounds that a round could use"),
        Option("the same mask as in one shot",
               "the top k of what the top m left is the top k; rounds pay through the training in between",
               right=True),
        Option("a sparsity above 90 %", "each round leaves a part of what stayed; the last ends at 90 %"),
    )),
    Question("A weight is out. Which method can see that it was a mistake without letting it back first?", (
        Option("gradual pruning", "its mask only shrinks; what is out has no gradient and no way back"),
        Option("SET", "it grows weights by chance and looks at them afterwards"),
        Option("RigL", "it reads the gradient of weights that are out, at the steps at which it moves",
               right=True),
    )),
    Question("A ticket at 95 % ends above the same places with fresh values. What has been shown?", (
        Option("sparse networks need their first values to reach the whole network's accuracy",
               "other ways to the same sparsity were not in the comparison: trained values may do better"),
        Option("at these places these values train better than others",
               "that is what the two runs differ in; it says nothing against values that were kept trained",
               right=True),
        Option("the places don't matter", "both runs had the same places: nothing was learned about them"),
    )),
)  # fmt: skip
