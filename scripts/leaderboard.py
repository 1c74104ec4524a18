"""Measure every row of LEADERBOARD.md again and write the table anew, the smallest files first.

    python scripts/leaderboard.py      (two minutes; for the times, let nothing else run)

A new row needs its entry, training, files and command only; the other cells may be empty.
"""

from pathlib import Path
from statistics import fmean

import mcomp.data
from mcomp.files import write_atomic
from mcomp.leaderboard import COLUMNS, rows, verify

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "LEADERBOARD.md"


def main():
    text, data = FILE.read_text(encoding="utf-8"), mcomp.data.load()
    head = f"| {' | '.join(COLUMNS)} |"
    told = {"data": data, "root": ROOT}
    measured = [
        verify(row.files, entry=row.entry, training=row.training, command=row.command, **told)
        for row in rows(text)
    ]
    measured.sort(key=lambda row: fmean(row.nbytes))
    before, after = text.split(head)
    rest = [line for line in after.strip().splitlines() if not line.startswith("|")]
    table = [head, "|" + "---|" * len(COLUMNS), *(row.markdown() for row in measured), *rest]
    write_atomic(FILE, (before + "\n".join(table) + "\n").encode())


if __name__ == "__main__":
    main()
