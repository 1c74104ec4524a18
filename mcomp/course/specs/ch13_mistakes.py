"""Chapter 13: the mistakes of all exercises, those of features here, and the quiz."""

import numpy as np

from mcomp.course.model import Mistake, Option, Question, quiet
from mcomp.course.specs.ch13_average_mistakes import AVERAGE
from mcomp.course.specs.ch13_distance_mistakes import DISTANCES
from mcomp.course.specs.ch13_parameter_mistakes import REFIT, SLICE


def _lengths(s, t):
    return np.sqrt(((s - t) ** 2).reshape(len(s), -1).sum(1))


def _pooled(s, t):
    """Channels pooled over the positions first."""
    return float(((s.mean((2, 3)) - t.mean((2, 3))) ** 2).sum() / 2 / len(s))


def _flat(f):
    return (f**2).sum(1).reshape(len(f), -1)


def _unit(q, axis=1):
    n = np.sqrt((q**2).sum(axis=axis, keepdims=True))
    return np.divide(q, n, out=np.zeros_like(q), where=n > 0)


def _all_unit(f):
    q = _flat(f)
    n = np.sqrt((q**2).sum())
    return q / n if n else q


def _per_image(f, size):
    """Each map divided by a number of its own."""
    q = _flat(f)
    n = size(q)[:, None]
    return np.divide(q, n, out=np.zeros_like(q), where=n > 0)


def _by_sum(f):
    q = _flat(f)
    n = q.sum(1, keepdims=True)
    return np.divide(q, n, out=np.zeros_like(q), where=n > 0)


def _by_largest(f):
    q = _flat(f)
    n = q.max(1, keepdims=True)
    return np.divide(q, n, out=np.zeros_like(q), where=n > 0)


def _softmax(f):
    e = np.exp(_flat(f) - _flat(f).max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


HINT = (
    Mistake("mean", lambda s, t: float(((s - t) ** 2).mean() / 2),
            "you took the mean over all features; only over images is it a mean, the features are summed"),
    Mistake("mse", lambda s, t: float(((s - t) ** 2).mean()),
            "that is the mean squared error: sum over the features, halve, and average over the images"),
    Mistake("not_halved", lambda s, t: float(((s - t) ** 2).sum() / len(s)),
            "the half is missing: it makes the gradient student - teacher, without a 2"),
    Mistake("summed", lambda s, t: float(((s - t) ** 2).sum() / 2),
            "you summed over the images; take their mean, so that the batch's size doesn't matter"),
    Mistake("not_squared", lambda s, t: float(_lengths(s, t).mean() / 2),
            "that is half the distance; the hint takes half its square"),
    Mistake("distance", lambda s, t: float(_lengths(s, t).mean()),
            "that is the distance; the hint takes half its square"),
    Mistake("absolute", lambda s, t: float(abs(s - t).sum() / len(s)),
            "you summed absolute values; squares are asked"),
    Mistake("mean_absolute", lambda s, t: float(abs(s - t).mean()),
            "you took the mean of absolute differences; half the sum of squares is asked"),
    Mistake("batch_distance", lambda s, t: float(np.sqrt(((s - t) ** 2).sum()) / 2),
            "that is half the distance of the whole batch; square each image's own, and take the mean"),
    Mistake("squares_first", lambda s, t: float((s**2 - t**2).sum() / 2 / len(s)),
            "you subtracted squares; square the difference"),
    Mistake("largest", lambda s, t: float(((s - t) ** 2).max((1, 2, 3)).mean() / 2),
            "you took each image's largest squared difference; sum them all"),
    Mistake("half_absolute", lambda s, t: float(abs(s - t).sum() / 2 / len(s)),
            "you summed absolute values and halved; squares are asked"),
    Mistake("each", lambda s, t: ((s - t) ** 2).reshape(len(s), -1).sum(1) / 2,
            "you returned a number an image; one number is asked, their mean"),
    Mistake("signed", lambda s, t: float((s - t).sum() / 2 / len(s)),
            "you summed differences without the square: too much and too little cancel"),
    Mistake("square_of_sum", lambda s, t: float((s - t).sum() ** 2 / 2 / len(s)),
            "you squared the sum of the differences; square each one first"),
    Mistake("square_of_each_sum", lambda s, t: float(((s - t).sum((1, 2, 3)) ** 2).mean() / 2),
            "you squared each image's sum of differences; square each difference, then sum"),
    Mistake("added", lambda s, t: float(((s + t) ** 2).sum() / 2 / len(s)),
            "you added student and teacher; the difference is asked"),
    Mistake("pooled", _pooled,
            "you took means over the positions first: a hint compares position by position"),
    Mistake("channel_mean", lambda s, t: float(((s - t) ** 2).mean(1).sum() / 2 / len(s)),
            "you took the mean over the channels; sum over them, too"),
    Mistake("position_mean", lambda s, t: float(((s - t) ** 2).mean((2, 3)).sum() / 2 / len(s)),
            "you took the mean over the positions; sum over them, too"),
)  # fmt: skip

MAP = (
    Mistake("not_scaled", _flat,
            "the maps keep their lengths; divide each image's by its own"),
    Mistake("by_sum", _by_sum,
            "the map adds up to 1, as if divided by its sum, or the features scaled first; divide the map by "
            "its own length, the root of the sum of its squares"),
    Mistake("squared_length", lambda f: _per_image(f, lambda q: (q**2).sum(1)),
            "you divided by the sum of squares; the length is its root"),
    Mistake("root_of_sum", lambda f: _per_image(f, lambda q: np.sqrt(q.sum(1))),
            "you divided by the root of the map's sum; the length is the root of the sum of its squares"),
    Mistake("epsilon", lambda f: _per_image(f, lambda q: np.sqrt((q**2).sum(1)) + 1e-3),
            "you added a small number to the length, so that no map has length 1; catch the zeros instead"),
    Mistake("by_largest", _by_largest,
            "you divided by the largest entry; divide by the length"),
    Mistake("softmax", _softmax,
            "you took a softmax over the positions; divide by the length instead"),
    Mistake("whole_batch", _all_unit,
            "you divided by the length of the whole batch; each image has a length of its own"),
    Mistake("over_images", lambda f: _unit(_flat(f), axis=0),
            "you normalised over the images: a map would depend on its neighbours in the batch"),
    Mistake("not_squared", lambda f: _unit(f.sum(1).reshape(len(f), -1)),
            "you summed the features themselves: a negative one cancels a positive one; square first"),
    Mistake("absolute", lambda f: _unit(abs(f).sum(1).reshape(len(f), -1)),
            "you summed absolute values; the squares are asked"),
    Mistake("square_of_sum", lambda f: _unit((f.sum(1) ** 2).reshape(len(f), -1)),
            "you squared the sum over channels; square each channel first"),
    Mistake("largest_channel", lambda f: _unit((f**2).max(1).reshape(len(f), -1)),
            "you took the largest channel; the sum over all is asked"),
    Mistake("over_positions", lambda f: _unit((f**2).sum((2, 3))),
            "you summed over the positions: that says which channels are active, not where"),
    Mistake("root", lambda f: _unit(np.sqrt(_flat(f))),
            "you took the root at each position; only the length of the whole map has one"),
    Mistake("as_picture", lambda f: _unit(_flat(f)).reshape(len(f), *f.shape[2:]),
            "you kept height and width apart; flatten them: (images, height * width)"),
    Mistake("nan", quiet(lambda f: _flat(f) / np.sqrt((_flat(f) ** 2).sum(1, keepdims=True))),
            "an image without any activity gives 0 / 0; its map stays zero"),
    Mistake("transposed", lambda f: _unit((f**2).sum(1).transpose(0, 2, 1).reshape(len(f), -1)),
            "you read the positions by columns; rows come first"),
    Mistake("channels_kept", lambda f: _unit(f.reshape(len(f), -1)),
            "you scaled all features; first sum the squares over the channels"),
)  # fmt: skip

MISTAKES = {
    "13.1": HINT, "13.2": MAP, "13.3": DISTANCES, "13.4": SLICE, "13.5": REFIT, "13.6": AVERAGE,
}  # fmt: skip

QUIZ = (
    Question(
        "A student turns all its channels by one rotation, the same at each position. Which loss sees it?",
        (
            Option("The hint, if no regressor is trained with it.",
                   "Yes: it compares channel by channel. Attention and relations see lengths and angles.",
                   right=True),
            Option("Attention transfer.",
                   "A rotation keeps the sum of squares at a position, and that is all that it looks at."),
            Option("The relative distances.",
                   "A rotation keeps all distances between images."),
        ),
    ),
    Question(
        "You move attention transfer from maps of 7 × 7 to 14 × 14 and keep the weight. With the mean of "
        "squares, as the authors' program has it, what happens?",
        (
            Option("Nothing, the maps have length 1.",
                   "Their squared distance stays, but the mean divides it by the number of positions."),
            Option("The loss becomes about a quarter of what it was.",
                   "Yes: it is divided by four times as many positions. The weight must grow by that.",
                   right=True),
            Option("The loss becomes about four times as large.",
                   "A sum over positions might; but this is a mean of maps whose length is 1."),
        ),
    ),
    Question(
        "A hidden layer with ReLU loses half of its width. Why not project it on its principal directions?",
        (
            Option("They explain less variance than neurons do.",
                   "They explain the most of all directions; that is how they are chosen."),
            Option("A ReLU of a mixture isn't the mixture of the ReLUs.",
                   "Yes: a ReLU is taken neuron by neuron, so only orders and positive factors pass it.",
                   right=True),
            Option("The next layer would have the wrong shape.",
                   "Its columns are projected with the same directions; the shapes fit."),
        ),
    ),
)  # fmt: skip
