"""Linear assignment: who goes with whom, one to one, so that the gains sum to the most. Pure numpy.

Shortest augmenting paths (Kuhn 1955's Hungarian method in the form of Jonker and Volgenant 1987): one row
after the other enters, and a chain of exchanges makes room for it. O(n^3), each step of a path one row of
numpy.
"""

import numpy as np

from mcomp.arrays import bad_value, check_finite

__all__ = ["assign"]


def assign(gain):
    """The permutation p that maximises the sum of ``gain[i, p[i]]``.

    Parameters
    ----------
    gain : float array (n, n)
        Finite; what row i and column j bring together.

    Returns
    -------
    columns : int array (n,)
        The column of each row, each column once. Where several are best, one of them.

    Raises
    ------
    ValueError
        If `gain` isn't square, is empty, or holds a NaN or an infinity.

    Examples
    --------
    >>> assign(np.array([[3.0, 4.0], [1.0, 4.0]]))
    array([0, 1])
    """
    gain = check_finite("gain", np.asarray(gain, dtype=np.float64))
    if gain.ndim != 2 or gain.shape[0] != gain.shape[1]:
        raise bad_value("gain.shape", gain.shape, "(n, n)")
    n = len(gain)
    cost = gain.max() - gain  # least cost from here on
    rows, columns = np.zeros(n), np.zeros(n + 1)  # prices: cost - rows - columns >= 0, and 0 on the pairs
    owner = np.full(n + 1, -1)  # the row that holds each column; column n holds the row that enters
    for row in range(n):
        owner[n] = row
        column, came = _path(cost, rows, columns, owner)
        while column != n:
            owner[column] = owner[came[column]]
            column = came[column]
    found = np.empty(n, dtype=np.int64)
    found[owner[:n]] = np.arange(n)
    return found


def _path(cost, rows, columns, owner):
    """The cheapest way from column n to a free one: its end, and where each column on it came from."""
    n = len(cost)
    least, came = np.full(n, np.inf), np.full(n, n)
    done, column = np.zeros(n + 1, dtype=bool), n
    while owner[column] != -1:
        done[column] = True
        row = owner[column]
        slack = cost[row] - rows[row] - columns[:n]
        better = ~done[:n] & (slack < least)
        least[better], came[better] = slack[better], column
        column = int(np.where(done[:n], np.inf, least).argmin())
        step = least[column]
        rows[owner[done]] += step
        columns[done] -= step
        least[~done[:n]] -= step
    return column, came
