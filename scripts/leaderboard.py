"""Measure the rows of LEADERBOARD.md again and write the table anew, the smallest files first.

    python scripts/leaderboard.py                  (two minutes; for the times, let nothing else run)
    python scripts/leaderboard.py 16_lenet300      (only rows with such a file; the others stay as they are)

A new row needs its entry, training, files and command only; the other cells may be empty. So may those of an
old row whose files were made again.
"""

import sys
from pathlib import Path
from statistics import fmean

import mcomp.data
from mcomp.files import write_atomic
from mcomp.leaderboard import COLUMNS, rows, verify

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "LEADERBOARD.md"


def measured(found, parts, data):
    """The rows `found`, those with a file whose name has one of `parts` (none: all) measured again."""
    for row in found:
        if not parts or any(part in file for part in parts for file in row.files):
            told = {"entry": row.entry, "training": row.training, "command": row.command}
            row = verify(row.files, data, root=ROOT, **told)
        yield row


def main(parts):
    text = FILE.read_text(encoding="utf-8")
    head = f"| {' | '.join(COLUMNS)} |"
    found = sorted(measured(rows(text), parts, mcomp.data.load()), key=lambda row: fmean(row.nbytes))
    before, after = text.split(head)
    rest = [line for line in after.strip().splitlines() if not line.startswith("|")]
    table = [head, "|" + "---|" * len(COLUMNS), *(row.markdown() for row in found), *rest]
    write_atomic(FILE, (before + "\n".join(table) + "\n").encode())


if __name__ == "__main__":
    main(sys.argv[1:])
