"""Every stranger times every operation: run, count, and print."""

from tqdm.auto import tqdm

from mcomp.arrays import bad_value
from mcomp.strangers import with_codecs, with_data, with_surgery  # noqa: F401 (they register themselves)
from mcomp.strangers.right import OPERATIONS, judge
from mcomp.strangers.stranger import STRANGERS

__all__ = ["counts", "markdown", "matrix"]

SIGNS = {"right": "✓", "refused": "–", "wrong": "✗"}


def matrix(*, only=None, operation=None, progress=True):
    """The outcome of each operation with each network.

    Parameters
    ----------
    only, operation : str, optional
        The name of one network, of one operation.
    progress : bool
        Show a bar.

    Returns
    -------
    cells : list of Cell, network by network

    Raises
    ------
    ValueError
        If a name is unknown.

    Examples
    --------
    >>> [cell.outcome for cell in matrix(only="resnet", operation="fold")]
    ['right']
    """
    networks, operations = _one(STRANGERS, "only", only), _one(OPERATIONS, "operation", operation)
    cells = []
    with tqdm(total=len(networks) * len(operations), disable=not progress, leave=False, delay=2) as bar:
        for build in networks.values():
            stranger = build()
            for name, run in operations.items():
                cells.append(judge(stranger, name, run))
                bar.update()
    return cells


def _one(known, what, name):
    if name is None:
        return known
    if name not in known:
        raise bad_value(what, name, f"one of {', '.join(known)}")
    return {name: known[name]}


def counts(cells):
    """How many cells have each outcome.

    Examples
    --------
    >>> counts(matrix(only="resnet", operation="fold"))
    {'right': 1, 'refused': 0, 'wrong': 0}
    """
    return {outcome: sum(cell.outcome == outcome for cell in cells) for outcome in SIGNS}
