"""A small table for a notebook: HTML that takes the page's own colours, and plain text beside it."""

from numbers import Integral, Real

from mcomp.arrays import bad_value
from mcomp.course.show import escape, show

__all__ = ["table"]


def table(header, rows, *, title=""):
    """Show rows under a header; numbers stand to the right.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequences
        Text stays as it is; an integer gets commas, another number four significant digits.
    title : str

    Raises
    ------
    ValueError
        If a row has another length than the header.

    Examples
    --------
    >>> table(["network", "bytes", "accuracy"], [("lenet300", 1066440, 0.9), ("small", 9000, "0.89")])
    network      bytes accuracy
    lenet300 1,066,440      0.9
    small        9,000     0.89
    """
    rows = [list(row) for row in rows]
    for row in rows:
        if len(row) != len(header):
            raise bad_value("a row", row, f"{len(header)} entries, as the header has")
    texts = [list(header), *([_write(entry) for entry in row] for row in rows)]
    right = [bool(rows) and _is_number(texts[1][i]) for i in range(len(header))]
    show(_text(texts, right, title), _html(texts, right, title))


def _write(entry):
    if isinstance(entry, Integral) and not isinstance(entry, bool):
        return f"{entry:,}"
    return f"{entry:.4g}" if isinstance(entry, Real) and not isinstance(entry, bool) else str(entry)


def _is_number(text):
    return text[:1].isdigit() or text[1:2].isdigit()  # also −0.3, +2 and ×1.5


def _text(texts, right, title):
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = [title] if title else []
    for row in texts:
        cells = zip(row, widths, right, strict=True)
        lines.append(" ".join(t.rjust(w) if r else t.ljust(w) for t, w, r in cells).rstrip())
    return "\n".join(lines)


def _html(texts, right, title):
    sides = [f"text-align:{'right' if r else 'left'};padding:.15em .8em" for r in right]
    head, *body = [list(zip(row, sides, strict=True)) for row in texts]
    top = "".join(f'<th scope="col" style="{side}">{escape(text)}</th>' for text, side in head)
    lines = "".join(
        "<tr>" + "".join(f'<td style="{side}">{escape(text)}</td>' for text, side in row) + "</tr>"
        for row in body
    )
    caption = f'<caption style="text-align:left;font-weight:bold">{escape(title)}</caption>' if title else ""
    return f"<table>{caption}<thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>"
