"""The cells of a notebook file, read as a person would who has to grade it: nothing is run.

Taken as they come: byte-order marks, UTF-16 and UTF-32, Windows line ends, notebooks of format 3, cells
without id, outputs or type, and text behind the notebook's end. What can't be read is a ValueError.
"""

import json
import stat
from dataclasses import dataclass
from json import JSONDecoder
from pathlib import Path

LARGEST = 100_000_000  # bytes of a notebook file; outputs of 50 MB are somebody's work, too
SPACE = " \t\r\n\ufeff"
UNREADABLE = (ValueError, RecursionError, MemoryError, OSError)


@dataclass(frozen=True)
class Cell:
    """One cell: `kind` is "code", "raw", "markdown"; `number` counts all cells from 1."""

    kind: str
    source: str
    number: int


def read_cells(path):
    """``(cells, notes)``: the cells of a notebook file in order, and sentences on what was odd.

    Raises
    ------
    ValueError
        If the file is not a notebook, is larger than LARGEST or can't be opened; the message says why.

    Examples
    --------
    >>> read_cells("nowhere.ipynb")
    Traceback (most recent call last):
    ValueError: nowhere.ipynb is not a notebook: it can't be opened (FileNotFoundError)
    """
    notes = []
    try:
        text = _text(_bytes(Path(path)), notes)
        return list(_cells(_listed(_book(text, notes)), notes)), notes
    except UNREADABLE as error:
        why = f"it can't be opened ({type(error).__name__})" if isinstance(error, OSError) else error
        why = why if isinstance(why, (str, ValueError)) else f"it is nested too deep ({type(why).__name__})"
        raise ValueError(f"{Path(path).name} is not a notebook: {why}") from None


def _bytes(path):
    """What is in the file; never of a pipe or a device, which may have no end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is no file")
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST:,} bytes; clear its outputs")
    if not data.strip(b"\0 \t\r\n"):
        raise ValueError("it is empty")
    return data


def _text(data, notes):
    encoding = json.detect_encoding(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        notes.append(f"the file is not {encoding.upper()} throughout: what can't be read was replaced")
        return data.decode(encoding, "replace")


def _book(text, notes):
    """The first JSON value in the text, its outputs thrown away while it is read."""
    text = text.lstrip(SPACE)
    try:
        book, end = JSONDecoder(object_hook=_lean, strict=False).raw_decode(text)
    except ValueError as error:
        raise ValueError(_why(text, error)) from None
    if rest := text[end:].strip(SPACE):
        notes.append(f"{len(rest):,} characters behind the notebook's end were left out")
    return book


def _lean(values):
    """An output is dropped as soon as it has been read, so that only one at a time is in memory."""
    if "output_type" in values and "cell_type" not in values:
        return None
    values.pop("outputs", None)
    return values


def _why(text, error):
    """What a person would say of text that is no JSON."""
    if text.startswith("<") and not text.startswith("<<<"):
        return "it is a web page"
    if "\n<<<<<<< " in f"\n{text}":
        return "it holds the conflict marks of a merge (<<<<<<<)"
    if getattr(error, "pos", 0) >= len(text.rstrip(SPACE)) or "Unterminated" in str(error):
        return f"it ends in the middle ({error}); was it copied whole?"
    return f"it is no JSON ({error})"


def _listed(book):
    """The list of cells; format 3 has it in worksheets."""
    if not isinstance(book, dict):
        raise ValueError("it holds no cells")
    if isinstance(cells := book.get("cells"), list):
        return cells
    sheets = book.get("worksheets")
    sheets = [s["cells"] for s in sheets if _has_cells(s)] if isinstance(sheets, list) else []
    if not sheets:
        raise ValueError("it holds no list of cells")
    return [cell for sheet in sheets for cell in sheet]


def _has_cells(sheet):
    return isinstance(sheet, dict) and isinstance(sheet.get("cells"), list)


def _cells(found, notes):
    for number, cell in enumerate(found, 1):
        source = _source(cell.get("source", cell.get("input", ""))) if isinstance(cell, dict) else None
        if source is None:
            notes.append(f"cell {number} can't be read: it has no text")
            continue
        kind = cell.get("cell_type", "code")
        yield Cell(kind.strip().lower() if isinstance(kind, str) else "code", source, number)


def _source(source):
    """The text of a cell, which may stand there as a list of lines; None if it is something else."""
    if isinstance(source, str):
        return source
    if not isinstance(source, list) or not all(isinstance(line, str) for line in source):
        return None
    bare = not any(line.endswith(("\n", "\r")) for line in source[:-1])
    return ("\n" if bare else "").join(source)
