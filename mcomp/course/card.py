"""A Verdict as plain text and as HTML: the same for the same verdict, on every machine and every run."""

import numpy as np

from mcomp.course.compare import is_array
from mcomp.course.outcomes import SECONDS
from mcomp.course.show import COLOURS, code, escape, panel

KINDS = {"right": "good", "to do": "quiet"}  # all others are bad
SMALL = 64  # entries; a larger array is shown by its corners
REMARKS = {
    "timed out": f"your function was stopped: slower than {SECONDS:.0f} s of computing, or it waits; "
    "does a loop never end?",
    "printed too much": "your function was stopped: it prints too much",
}
LEFT = "text-align:left;vertical-align:middle;padding:.15em .6em .15em 0"
CELL = "border:1px solid rgba(128,128,128,.4);padding:.1em .5em;text-align:right;font-family:monospace"


def title(verdict):
    """The first line of the card, such as "02.1 threshold_mask: wrong (12 of 20 right)"."""
    status = verdict.status
    if status == "right":
        status += f" ({verdict.right} of {verdict.total})"
    elif status not in ("to do", "timed out", "printed too much"):
        status += f" ({verdict.right} of {verdict.total} right)"
    return f"{verdict.exercise} {verdict.name}: {status}"


def text(verdict):
    """The card for a terminal."""
    lines = [title(verdict), *(f"  {line}" for line in _sentences(verdict))]
    if printed := _printed(verdict):
        lines += ["  it printed", *(f"    {line}" for line in printed)]
    if verdict.inputs is not None:
        lines.append("  smallest failing case")
        rows = _rows(verdict)
        width = max(len(label) for label, *_ in rows)
        for label, value, _ in rows:
            body = _write(value).replace("\n", "\n" + " " * (width + 6))
            lines.append(f"    {label:<{width}}  {body}")
    return "\n".join(lines)


def html(verdict):
    """The card for a notebook."""
    body = "".join(f"<div>{escape(line)}</div>" for line in _sentences(verdict))
    if printed := _printed(verdict):
        body += f"<div>it printed</div>{code(chr(10).join(printed))}"
    if verdict.inputs is not None:
        cells = "".join(
            f'<tr style="background:none"><td style="{LEFT}">{escape(label)}</td>'
            f'<td style="{LEFT}">{_draw(value, other)}</td></tr>'
            for label, value, other in _rows(verdict)
        )
        body += f'<div>smallest failing case</div><table style="margin:0"><tbody>{cells}</tbody></table>'
    return panel(KINDS.get(verdict.status, "bad"), title(verdict), body)


def _sentences(verdict):
    """What the card says before the arrays."""
    lines = [verdict.diagnosis or verdict.observation, verdict.message, REMARKS.get(verdict.status, "")]
    if verdict.status == "wrong":
        lines.append(_where(verdict.yours, verdict.expected))
    if verdict.status not in KINDS and not verdict.diagnosis:
        lines.append(f'hint("{verdict.exercise}") helps')
    return [line for line in lines if line]


def _printed(verdict):
    """The first lines of what the answer printed in the failing case."""
    lines = [line[:100] for line in verdict.printed.splitlines() if line.strip()]
    return lines[:5] if len(lines) <= 5 else [*lines[:4], "…"]


def _where(yours, expected):
    """A remark for what the eye can't find: a difference in a large array, or below the digits shown."""
    if not is_array(expected):
        hidden = isinstance(expected, float) and _write(yours) == _write(expected)
        return f"off by {abs(float(yours) - expected):.1e}" if hidden else ""
    yours = np.asarray(yours)
    off = np.argwhere(yours != expected)
    if expected.size > SMALL and len(off):
        i = tuple(map(int, off[0]))
        return f"first difference at {list(i)}: yours {_number(yours[i])}, expected {_number(expected[i])}"
    hidden = expected.dtype.kind == "f" and _write(yours) == _write(expected)
    return f"off by up to {np.abs(yours.astype(np.float64) - expected).max():.1e}" if hidden else ""


def _rows(verdict):
    """(label, value, what to compare it with) for each line of the failing case."""
    rows = [(label, value, None) for name, v in verdict.inputs.items() for label, value in _spread(name, v)]
    if verdict.yours is not None:
        theirs = _spread("yours", verdict.yours)
        others = [value for _, value in _spread("", verdict.expected)]
        others += [None] * (len(theirs) - len(others))
        rows += [(*row, other) for row, other in zip(theirs, others, strict=False)]
    return rows + [(*row, None) for row in _spread("expected", verdict.expected)]


def _spread(name, value):
    """A list, tuple or dict of arrays gets a line for each."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, (list, tuple)) else ()
    if not 0 < len(keys) <= 6:
        return [(name, value)]
    return [(f"{name}[{key!r}]", value[key]) for key in keys]


def _number(x):
    """One entry, in at most six digits."""
    x = x.item() if isinstance(x, (np.generic, np.ndarray)) else x
    if isinstance(x, float):
        return f"{x:.6g}"
    return str(x) if isinstance(x, (bool, int)) else f"<{type(x).__name__}>"


def _write(value):
    """A value as text."""
    if is_array(value) and np.ndim(value) and value.size and value.dtype.kind in "biuf":
        body = np.array2string(
            value, formatter={"all": _number}, threshold=SMALL, edgeitems=3, max_line_width=88, separator=" "
        )
        return body if value.size <= SMALL else f"shape {value.shape}\n{body}"
    if is_array(value) and np.ndim(value):
        return f"shape {value.shape}, {value.dtype}"
    if isinstance(value, (list, tuple, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    return repr(value)[:100] if isinstance(value, (str, type(None))) else _number(value)


def _draw(value, other):
    """A value as HTML: a small array is a table, and entries that differ from `other` are framed."""
    if not is_array(value) or np.ndim(value) not in (1, 2) or not 0 < value.size <= SMALL:
        return code(_write(value))
    if value.dtype.kind not in "biuf":
        return code(_write(value))
    comparable = is_array(other) and np.shape(other) == value.shape
    differs = np.atleast_2d(value != other) if comparable else np.zeros(np.atleast_2d(value).shape, bool)
    frame = f"{CELL};border:2px solid {COLOURS['bad']};font-weight:bold"
    rows = ""
    for entries, flags in zip(np.atleast_2d(value), differs, strict=True):
        cells = (f'<td style="{frame if flag else CELL}">' for flag in flags)
        texts = (escape(_number(entry)) for entry in entries)
        rows += "<tr>" + "".join(f"{c}{t}</td>" for c, t in zip(cells, texts, strict=True)) + "</tr>"
    return f'<table style="margin:0"><tbody>{rows}</tbody></table>'
