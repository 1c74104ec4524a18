"""Chapter 14b: wrong ways to put two networks side by side, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake


def _diagonal(v, w):
    return np.block([[v, np.zeros((len(v), w.shape[1]))], [np.zeros((len(w), v.shape[1])), w]])


def _last(v, w):
    return np.hstack([v, w]) / 2


def _made(first=lambda v, w: np.vstack([v, w]), inside=_diagonal, last=_last):
    """An answer that does one of the three kinds of layer in another way."""

    def answer(a, b):
        inner = [inside(v, w) for v, w in zip(a[1:-1], b[1:-1], strict=True)]
        return [first(a[0], b[0]), *inner, last(a[-1], b[-1])]

    return answer


def _each(layer):
    return lambda a, b: [layer(v, w) for v, w in zip(a, b, strict=True)]


def _crossed(v, w):
    return np.block([[np.zeros((len(v), w.shape[1])), v], [w, np.zeros((len(w), v.shape[1]))]])


def _ones_between(v, w):
    return _diagonal(v, w) + 1 - _diagonal(np.ones(v.shape), np.ones(w.shape))


def _same_width(v, w):
    made = np.zeros((2 * len(v), 2 * v.shape[1]))
    made[: len(v), : v.shape[1]] = v
    made[len(v) :, v.shape[1] :] = w
    return made


def _interleaved(a, b):
    """Units a0, b0, a1, b1, ... where the widths allow."""
    wide, before = _made()(a, b), None
    for i, (v, w) in enumerate(zip(a, b, strict=True)):
        if before is not None:
            wide[i] = wide[i][:, before]
        if i < len(a) - 1:
            at = [(j, 0) for j in range(len(v))] + [(j, 1) for j in range(len(w))]
            before = sorted(range(len(at)), key=at.__getitem__)
            wide[i] = wide[i][before]
    return wide


BESIDE = (
    Mistake("not_halved", _made(last=lambda v, w: np.hstack([v, w])),
            "the two answers are added; the last layer must halve them"),
    Mistake("all_halved", lambda a, b: [w / 2 for w in _made(last=lambda v, w: np.hstack([v, w]))(a, b)],
            "every layer halves; only the last one should, else the answer shrinks with depth"),
    Mistake("first_halved", _made(lambda v, w: np.vstack([v, w]) / 2, last=lambda v, w: np.hstack([v, w])),
            "the first layer does the halving; the function is the same, but the last layer should do it"),
    Mistake("by_depth", lambda a, b: [*_made()(a, b)[:-1], np.hstack([a[-1], b[-1]]) / len(a)],
            "you divided by the number of layers; there are two networks"),
    Mistake("doubled", _made(last=lambda v, w: np.hstack([v, w]) * 2),
            "the last layer doubles; it should halve"),
    Mistake("half_a", _made(last=lambda v, w: np.hstack([v / 2, w])),
            "only a's part of the last layer is halved; halve both"),
    Mistake("twice_halved", _made(lambda v, w: np.vstack([v, w]) / 2),
            "the first layer halves, too; only the last one should"),
    Mistake("inside_halved", _made(inside=lambda v, w: _diagonal(v, w) / 2),
            "inner layers halve, too; only the last one should"),
    Mistake("swapped", lambda a, b: _made()(b, a),
            "b's hidden units stand before a's"),
    Mistake("inside_swapped", _made(inside=lambda v, w: _diagonal(w, v)),
            "inside, b's block stands first, so that its units read a's"),
    Mistake("first_swapped", _made(first=lambda v, w: np.vstack([w, v])),
            "in the first layer b's rows stand first, but the other layers take a's units to be first"),
    Mistake("last_swapped", _made(last=lambda v, w: np.hstack([w, v]) / 2),
            "in the last layer b's columns stand first, but a's units do"),
    Mistake("inside_crossed", _made(inside=_crossed),
            "inside, the blocks stand off the diagonal: a's units read b's and b's read a's"),
    Mistake("inside_beside", _made(inside=lambda v, w: np.block([[v, w], [v, w]])),
            "inside there are no zeros: each network reads the other's units"),
    Mistake("inside_ones", _made(inside=_ones_between),
            "inside, ones stand between the blocks; zeros keep the two networks apart"),
    Mistake("inside_rows", _made(inside=lambda v, w: np.block([[v, v], [w, w]])),
            "inside there are no zeros: each network reads the other's units with its own weights"),
    Mistake("inside_beside_halved", _made(inside=lambda v, w: np.block([[v, w], [v, w]]) / 2),
            "inside each network reads the other's units, too; there should be zeros, and nothing halved"),
    Mistake("inside_same_width", _made(inside=_same_width),
            "your inner block takes b to be as wide as a; its size is the sum of the two widths"),
    Mistake("inside_stacked", _made(inside=lambda v, w: np.vstack([v, w])),
            "inner layers read both networks' units: stacked rows have too few columns, use blocks on a "
            "diagonal"),
    Mistake("inside_stacked_whole", _made(
                inside=lambda v, w: np.vstack([v, w]), last=lambda v, w: np.hstack([v, w])),
            "inner layers are stacked, so that they have too few columns: use blocks on a diagonal; and "
            "the last layer must halve"),
    Mistake("inside_columns", _made(inside=lambda v, w: np.hstack([v, w])),
            "inner layers give both networks' units: columns beside each other have too few rows, and mix"),
    Mistake("inside_mean", _made(inside=lambda v, w: (v + w) / 2),
            "inner layers are averaged; each network keeps its own, as a block on the diagonal"),
    Mistake("inside_twice_a", _made(inside=lambda v, w: _diagonal(v, v)),
            "inside, a's weights stand twice; the second block is b's"),
    Mistake("last_twice_a", _made(last=lambda v, w: np.hstack([v, v]) / 2),
            "the last layer holds a's weights twice; the second part is b's"),
    Mistake("all_diagonal", _each(_diagonal),
            "the first layer reads one input, not two, and the last gives one answer, not two"),
    Mistake("all_diagonal_halved", _made(_diagonal, last=lambda v, w: _diagonal(v, w) / 2),
            "the first and the last layer are block-diagonal, too: the first reads one input, the last "
            "adds up"),
    Mistake("all_diagonal_all_halved", _each(lambda v, w: _diagonal(v, w) / 2),
            "every layer is block-diagonal and halves; the first reads one input, only the last halves and "
            "adds up"),
    Mistake("first_diagonal", _made(first=_diagonal),
            "the first layer is block-diagonal, as if there were two inputs; both networks read the same "
            "one"),
    Mistake("last_diagonal", _made(last=lambda v, w: _diagonal(v, w) / 2),
            "the last layer gives both answers, one below the other; it should add them: columns side by "
            "side"),
    Mistake("last_diagonal_whole", _made(last=_diagonal),
            "the last layer gives both answers; it should add their halves: columns side by side, halved"),
    Mistake("last_stacked", _made(last=lambda v, w: np.vstack([v, w]) / 2),
            "the last layer's rows stand below each other; it reads both networks' units, so its columns "
            "must stand side by side"),
    Mistake("last_stacked_whole", _made(last=lambda v, w: np.vstack([v, w])),
            "the last layer's rows stand below each other, which gives two answers; its columns must stand "
            "side by side, halved"),
    Mistake("last_mean", _made(last=lambda v, w: (v + w) / 2),
            "the last layer is averaged; it needs a column for each hidden unit of both"),
    Mistake("first_mean", _made(first=lambda v, w: (v + w) / 2),
            "the first layer is averaged; each network keeps its own rows, below each other"),
    Mistake("first_columns", _made(first=lambda v, w: np.hstack([v, w])),
            "the first layer's columns stand side by side, as if it had two inputs; its rows stand below "
            "each other"),
    Mistake("turned", _made(lambda v, w: np.hstack([v, w]), last=lambda v, w: np.vstack([v, w]) / 2),
            "rows and columns are turned round: the first layer's rows stand below each other, the last "
            "layer's columns beside each other"),
    Mistake("three_layers", lambda a, b: [np.vstack([a[0], b[0]]), _diagonal(a[1], b[1]), _last(a[2], b[2])],
            "your answer is for three layers; there may be two, without an inner one, or more"),
    Mistake("three_layers_last", lambda a, b: _made()([*a[:2], a[-1]], [*b[:2], b[-1]]),
            "your answer always has one inner layer; there may be none, or more"),
    Mistake("one_inner_layer", lambda a, b: _made()([*a[:-1][:2], a[-1]], [*b[:-1][:2], b[-1]]),
            "only the first inner layer is in your answer; there may be more than one"),
    Mistake("all_rows", _each(lambda v, w: np.vstack([v, w])),
            "in every layer rows stand below each other; that is right for the first one only"),
    Mistake("all_columns", _each(lambda v, w: np.hstack([v, w])),
            "in every layer columns stand beside each other; that is right for the last one only, halved"),
    Mistake("added", _each(lambda v, w: v + w),
            "you added the weights; each network keeps its own, side by side"),
    Mistake("averaged", _each(lambda v, w: (v + w) / 2),
            "you averaged the weights; that is another network, whose output isn't the mean of the two"),
    Mistake("listed", lambda a, b: [w for pair in zip(a, b, strict=True) for w in pair],
            "you listed the weights of both; one matrix for each layer is asked"),
    Mistake("two_layers", lambda a, b: [np.vstack([a[0], b[0]]), _last(a[1], b[1])],
            "your answer is for two layers; there may be inner ones between the first and the last"),
    Mistake("no_last", lambda a, b: _made()(a, b)[:-1],
            "the last layer is missing"),
    Mistake("stacked_apart", _each(lambda v, w: np.stack([v, w])),
            "you stacked the weights along a new axis; each layer is one matrix"),
    Mistake("no_inside", lambda a, b: [np.vstack([a[0], b[0]]), _last(a[-1], b[-1])],
            "the inner layers are missing"),
    Mistake("one_after_another", lambda a, b: [*a, *b],
            "you put b's layers behind a's; they belong beside them"),
    Mistake("transposed", lambda a, b: [w.T for w in _made()(a, b)],
            "the weights are transposed; they are (outputs, inputs)"),
    Mistake("interleaved", _interleaved,
            "a's and b's units take turns; a's should all stand first"),
)  # fmt: skip
