"""The grades as a CSV file, and what `mcomp grade` says at the end."""

import csv
import io
from pathlib import Path

from mcomp.course.grade import grade
from mcomp.files import write_atomic


def write_csv(rows, path):
    """Write the rows, one column an exercise; UTF-8 with a mark that spreadsheets understand. Atomic."""
    ids = sorted({name for row in rows for name in row.cells})
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["file", "chapter", *ids, "right", "total", "flags", "note"])
    for row in rows:
        cells = [row.cells.get(name, "") for name in ids]
        counts = [row.right, len(row.cells)]
        line = [row.file, row.chapter, *cells, *counts, "; ".join(row.flags), "; ".join(row.notes)]
        writer.writerow([cell if isinstance(cell, int) else harmless(cell) for cell in line])
    return write_atomic(path, text.getvalue().encode("utf-8-sig", "backslashreplace"))


def harmless(text):
    """`text` on one line, and never a formula to a spreadsheet.

    >>> harmless("=1+1"), harmless("right")
    ("'=1+1", 'right')
    """
    text = "".join(c if c.isprintable() else " " for c in text).strip()
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def main_grade(folder, csv_path, **options):
    """What `mcomp grade` does; returns the lines it ends with."""
    csv_path = Path(csv_path)
    if not csv_path.parent.is_dir() or csv_path.is_dir():
        raise ValueError(f"csv is {str(csv_path)!r}; allowed: a file in an existing folder")
    rows = grade(folder, **options)
    write_csv(rows, csv_path)
    guards = sorted({row.guard for row in rows if row.guard})
    flagged = sum(bool(row.flags) for row in rows)
    return [
        f"{csv_path}: {len(rows)} submissions, {flagged} flagged",
        *(f"fence: {guard}" for guard in guards),
    ]
