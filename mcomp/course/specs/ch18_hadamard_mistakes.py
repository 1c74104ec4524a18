"""Chapter 18: wrong Hadamard rotations, each with what happened."""

import numpy as np

from mcomp.course.model import Mistake, quiet


def _matrix(n, block=lambda a: [[a, a], [a, -a]]):
    """Hadamard's matrix, doubled in another way."""
    h = np.ones((1, 1))
    while len(h) < n:
        h = np.block(block(h))
    return h


def _doubled(block):
    return lambda x: x @ _matrix(x.shape[1], block) / np.sqrt(x.shape[1])


def _over(divide):
    return lambda x: x @ _matrix(x.shape[1]) / divide(x.shape[1])


def _signs(sign):
    """The matrix from a sign for each pair of places (j, k)."""

    def answer(x):
        n = x.shape[1]
        matrix = np.array([[float(sign(j, k)) for k in range(n)] for j in range(n)])
        return x @ matrix / np.sqrt(n)

    return answer


def _ones(i):
    return bin(i).count("1")


def _by_changes(x):
    """Rows in the order of their sign changes, Walsh's."""
    h = _matrix(x.shape[1])
    order = np.argsort((np.diff(h, axis=1) != 0).sum(1), kind="stable")
    return x @ h[order].T / np.sqrt(x.shape[1])


def _halves(x, join):
    half = x.shape[1] // 2
    return x if not half else np.concatenate(join(x[:, :half], x[:, half:]), axis=1)


def _each_level(x):
    """The root of the size at every level of the recursion."""
    return _halves(x, lambda a, b: [_each_level(a + b), _each_level(a - b)]) / np.sqrt(x.shape[1])


def _one_level(x):
    return _halves(x, lambda a, b: [a + b, a - b])


def _first_half_only(x):
    return _halves(x, lambda a, b: [_first_half_only(a + b), a - b])


def _overwritten(x):
    """a = a + b, and then b = a - b with the new a."""
    return _halves(x, lambda a, b: [_overwritten(a + b), _overwritten(a + b - b)])


def _neighbours(x):
    """Sums and differences of neighbours, put in halves."""
    if x.shape[1] == 1:
        return x
    a, b = x[:, 0::2], x[:, 1::2]
    return np.concatenate([_neighbours(a + b), _neighbours(a - b)], axis=1)


def _down(x):
    return _matrix(len(x)) @ x / np.sqrt(len(x))


def _rooted(answer):
    return lambda x: answer(x) / np.sqrt(x.shape[1])


HADAMARD = (
    Mistake("no_root", _over(lambda n: 1), "1 / sqrt(n) is missing: the rows became longer"),
    Mistake("n", _over(lambda n: n),
            "you divided by n (2 at each level, or the root twice); by sqrt(n)"),
    Mistake("root_2", _over(lambda n: np.sqrt(2)), "you divided by sqrt(2) once; by sqrt(n)"),
    Mistake("half", _over(lambda n: 2), "you divided by 2; by sqrt(n)"),
    Mistake("times", _over(lambda n: 1 / np.sqrt(n)), "you multiplied by sqrt(n); divide"),
    Mistake("rows_counted", lambda x: x @ _matrix(x.shape[1]) / np.sqrt(len(x)),
            "you divided by the root of the number of rows; n is a row's length, x.shape[1]"),
    Mistake("all_counted", lambda x: x @ _matrix(x.shape[1]) / np.sqrt(x.size),
            "you divided by the root of all entries; n is a row's length, x.shape[1]"),
    Mistake("each_level", _each_level,
            "sqrt(n) was divided by at every level: by sqrt(2) at each, or by sqrt(n) once"),
    Mistake("unit", quiet(lambda x: x @ _matrix(x.shape[1]) / np.linalg.norm(x @ _matrix(x.shape[1]),
                                                                           axis=1, keepdims=True)),
            "you made each row's length 1; a rotation keeps it as it was"),
    Mistake("by_changes", _by_changes,
            "your matrix has its rows in the order of their sign changes; in that of the doubling"),
    Mistake("neighbours", _rooted(_neighbours),
            "sums and differences of neighbours come out in another order; of the two halves"),
    Mistake("minus_first", _doubled(lambda a: [[-a, a], [a, a]]),
            "your minus is at the top left; bottom right"),
    Mistake("minus_left", _doubled(lambda a: [[a, a], [-a, a]]),
            "the halves came out as a - b, a + b (minus at the bottom left, or reversed): a + b first"),
    Mistake("minus_right", _doubled(lambda a: [[a, -a], [a, a]]),
            "the second half is b - a (minus at the top right, or rows of H reversed): a - b"),
    Mistake("minus_above", _doubled(lambda a: [[a, a], [-a, -a]]),
            "both blocks below have a minus; only the one at the bottom right"),
    Mistake("no_minus", _doubled(lambda a: [[a, a], [a, a]]),
            "the minus is missing: every entry became the sum"),
    Mistake("one_level", _rooted(_one_level),
            "you stopped after one level: the halves are turned, too, until one entry is left"),
    Mistake("one_level_root_2", lambda x: _one_level(x) / np.sqrt(min(2, x.shape[1])),
            "that is one level alone, with its sqrt(2): each half is turned, too"),
    Mistake("first_half_only", _rooted(_first_half_only),
            "only a + b was turned on; a - b is, too"),
    Mistake("overwritten", _rooted(_overwritten),
            "your second half is a alone: a was overwritten by a + b before, or the last block is 0"),
    Mistake("down_columns", _down,
            "you turned columns: H @ x; the rows are turned, x @ H"),
    Mistake("transposed", lambda x: _matrix(x.shape[1]) @ x.T / np.sqrt(x.shape[1]),
            "H @ x.T lies on its side: each row of x is to give a row"),
    Mistake("and_power", _signs(lambda j, k: (-1) ** (j & k)),
            "(-1) ** (j & k), or j * k, knows only whether both are odd: count the ones in j & k"),
    Mistake("either", _signs(lambda j, k: (-1) ** _ones(j ^ k)),
            "the sign is by the ones of j ^ k; by those of j & k"),
    Mistake("any", _signs(lambda j, k: (-1) ** _ones(j | k)),
            "the sign is by the ones of j | k; by those of j & k"),
    Mistake("diagonal", _signs(lambda j, k: -1 if j == k and j else 1),
            "your matrix has its minuses on the diagonal alone; they come from the doubling"),
    Mistake("matrix", lambda x: _matrix(x.shape[1]) / np.sqrt(x.shape[1]),
            "that is the matrix; the turned rows were asked for"),
    Mistake("entrywise", lambda x: x * _matrix(x.shape[1])[: len(x)] / np.sqrt(x.shape[1]),
            "* multiplies entry by entry; a rotation is x @ H"),
    Mistake("as_it_came", lambda x: x + 0.0, "nothing was turned"),
)  # fmt: skip
