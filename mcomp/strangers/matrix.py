"""Every stranger times every operation: run, count, and print."""

from tqdm.auto import tqdm

from mcomp.arrays import bad_value
from mcomp.strangers import (  # noqa: F401 (register)
    with_codecs,
    with_compensation,
    with_data,
    with_gradients,
    with_scaling,
    with_several,
    with_surgery,
)
from mcomp.strangers.right import OPERATIONS, judge
from mcomp.strangers.stranger import STRANGERS

__all__ = ["counts", "markdown", "matrix", "reasons", "rows"]

SIGNS = {"right": "✓", "refused": "–", "wrong": "✗"}
HEAD = """# Any network

Each row is an operation of mcomp, each column a small network written as people write them.
✓ is exactly right in float64, by the measure named below; – is refused, with the name of the layer that is
the reason; ✗ is anything else, and tests/test_strangers.py allows none. `mcomp strangers` prints this on your
machine, `mcomp strangers --markdown` wrote this file.
"""


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


def rows(cells):
    """The table: an operation and its signs, network by network; first its header.

    Examples
    --------
    >>> list(rows(matrix(only="resnet", operation="fold")))
    [['', 'resnet'], ['fold', '✓']]
    """
    networks, signs = dict.fromkeys(cell.network for cell in cells), {}
    for cell in cells:
        signs.setdefault(cell.operation, {})[cell.network] = SIGNS[cell.outcome]
    yield ["", *networks]
    for name, found in signs.items():
        yield [name, *(found.get(network, " ") for network in networks)]


def reasons(cells, outcome):
    """(operation, network, why) of all cells with this outcome that say something, by operation."""
    found = [(c.operation, c.network, c.why) for c in cells if c.outcome == outcome and c.why]
    return sorted(found, key=lambda reason: [*OPERATIONS].index(reason[0]))


def listing(cells, *, why=False):
    """The matrix as lines for a terminal: numbered networks, signs, what is wrong (`why`: refused), counts.

    Examples
    --------
    >>> print("\\n".join(listing(matrix(only="resnet", operation="fold"))))
      1 resnet
                          1
    fold                  ✓
    1 right, 0 refused, 0 wrong
    """
    (_, *networks), *lines = rows(cells)
    yield from (f"{place:>3} {name}" for place, name in enumerate(networks, 1))
    yield " " * 20 + "".join(f"{place:>3}" for place in range(1, len(networks) + 1))
    yield from (f"{name:<20}" + "".join(f"{sign:>3}" for sign in signs) for name, *signs in lines)
    for outcome in ("refused", "wrong") if why else ("wrong",):
        yield from (
            f"{outcome}: {operation}, {name}: {said}" for operation, name, said in reasons(cells, outcome)
        )
    yield ", ".join(f"{n} {outcome}" for outcome, n in counts(cells).items())


def markdown(cells):
    """The matrix as a page: the table, what right means, and why the refused are refused."""
    header, *lines = rows(cells)
    table = [header, ["---"] + [":-:"] * (len(header) - 1), *lines]
    page = [HEAD, *("| " + " | ".join(line) + " |" for line in table), "", _sentence(cells), ""]
    page += ["## The networks", "", *(f"- **{name}**: {STRANGERS[name]().what}" for name in header[1:]), ""]
    page += ["## What right means", "", *(f"- **{n[0]}**: {OPERATIONS[n[0]].right}" for n in lines), ""]
    for title, outcome in (("Refused, and why", "refused"), ("Right, but for a part", "right")):
        page += [
            f"## {title}",
            "",
            *(f"- {o}, {n}: {_plain(why)}" for o, n, why in reasons(cells, outcome)),
            "",
        ]
    return "\n".join(page)


def _sentence(cells):
    return ", ".join(f"{n} {outcome}" for outcome, n in counts(cells).items()) + "."


def _plain(text, most=200):
    """Text as it stands in a page: on one line, nothing in it taken for markup, not too long."""
    text = " ".join(text.split())
    text = text if len(text) <= most else text[: most - 1] + "…"
    return "".join("\\" + c if c in "\\`*_<>[]|" else c for c in text)
