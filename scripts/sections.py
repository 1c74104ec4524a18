"""What each section of a chapter takes: a line below its heading, minutes to read and CPU seconds to compute.

The minutes of the title, an estimate of its author, are shared out by the length of prose and code. The
seconds are those of the execution that made the outputs (scripts/notebooks.py): another machine takes more
or less, so they are rounded, and stay as they are until a new execution differs by more than a factor of two.
"""

import re

LINE = re.compile(
    r"^\*(?P<minutes>under a minute|\d+ minutes?)(?:, (?P<seconds>.+) s of computing)?\*$", re.M
)
HEADING = re.compile(r"^## +(?P<name>[^\n]+)$", re.M)
TITLE = re.compile(r"(\d+) minutes? to read")
WITHOUT = ("Literature",)
CODE = 3  # words that a line of code takes to read


def sections(book):
    """(the cell with the heading, name, the cells of it with that one) of each section of a chapter."""
    found = []
    for cell in book.cells:
        heading = HEADING.search(without_fences(cell.source)) if cell.cell_type == "markdown" else None
        if heading:
            found.append((cell, heading["name"], []))
        if found:
            found[-1][2].append(cell)
    return [section for section in found if section[1] not in WITHOUT]


def without_fences(text):
    return re.sub(r"```.*?```", "", text, flags=re.S)


def minutes_of(book):
    """The title's minutes, shared out over the sections: a list of whole numbers with that sum."""
    total = int(TITLE.search(book.cells[0].source)[1])
    sizes = [sum(map(_length, cells)) for _, _, cells in sections(book)]
    exact = [total * size / sum(sizes) for size in sizes]
    found = [int(x) for x in exact]
    by_rest = sorted(range(len(exact)), key=lambda i: found[i] - exact[i])
    for i in by_rest[: total - sum(found)]:
        found[i] += 1
    return found


def _length(cell):
    if cell.cell_type == "code":
        return CODE * len(cell.source.splitlines())
    return len(re.findall(r"\w+", LINE.sub("", cell.source)))


def told(book):
    """(minutes, seconds) as each section's line says them; None where there is no line, or no seconds."""
    found = [LINE.search(cell.source) for cell, _, _ in sections(book)]
    return [(m and m["minutes"], m and m["seconds"]) for m in found]


def pace(book, seconds):
    """Write the lines into `book`; `seconds` are CPU seconds by the id of a code cell's object."""
    if not sections(book):
        return
    for (cell, _, cells), minutes, (_, before) in zip(
        sections(book), minutes_of(book), told(book), strict=True
    ):
        code = [c for c in cells if c.cell_type == "code" and c.source.strip()]
        line = in_words(minutes)
        if code:
            line += f", {kept(before, sum(seconds.get(id(c), 0.0) for c in code))} s of computing"
        heading, rest = re.fullmatch(r"(.*?^## [^\n]+)(.*)", cell.source, flags=re.M | re.S).groups()
        rest = LINE.sub("", rest, count=1).strip("\n")
        cell.source = f"{heading}\n\n*{line}*" + (f"\n\n{rest}" if rest else "")


def in_words(minutes):
    """
    >>> [in_words(n) for n in (0, 1, 2)]
    ['under a minute', '1 minute', '2 minutes']
    """
    return f"{minutes} minute{'s' * (minutes > 1)}" if minutes else "under a minute"


def rounded(seconds):
    """One digit, "under 1" below one.

    >>> [rounded(s) for s in (0.2, 1.6, 14.4, 26)]
    ['under 1', '2', '10', '30']
    """
    if seconds < 1:
        return "under 1"
    size = 10 ** (len(str(int(seconds))) - 1)
    return str(round(seconds / size) * size)


def kept(before, seconds):
    """What a line said before, unless it is wrong by more than a factor of two; else `seconds`, rounded.

    >>> kept("4", 6.9), kept("4", 9.0), kept(None, 3.2), kept("under 1", 1.4), kept("under 1", 2.4)
    ('4', '9', '3', 'under 1', '2')
    """
    if before is None:
        return rounded(seconds)
    old = 1.0 if before == "under 1" else float(before)
    near = max(seconds, 0.5) <= 2 * old and (before == "under 1" or seconds >= old / 2)
    return before if near else rounded(seconds)
