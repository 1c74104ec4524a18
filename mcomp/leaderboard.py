"""The leaderboard: an entry is files that `mcomp.load` opens; all that a row says of them is measured again.

The rules, and the rows, are in LEADERBOARD.md.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from mcomp.arrays import bad_value
from mcomp.file import load
from mcomp.measure.timing import latency
from mcomp.train import evaluate

__all__ = ["BAND", "COLUMNS", "Row", "refusals", "rows", "verify", "weights_digest"]

BAND = 0.002  # of accuracy: 20 test images, which another processor's rounding may turn over
COLUMNS = ("entry", "bytes", "test accuracy (%)", "ms", "weights", "training", "files", "made by")


@dataclass(frozen=True)
class Row:
    """One entry: what is measured of its files, one number a file, and what its author says.

    `milliseconds` is the median of one image in one thread, of the first file, on the machine that measured;
    None where it wasn't timed. `weights` is the digest of all decoded numbers of all files.
    """

    entry: str
    nbytes: tuple
    accuracy: tuple
    milliseconds: float | None
    weights: str
    training: str
    files: tuple
    command: str

    def markdown(self):
        """The row as LEADERBOARD.md has it."""
        right = " ".join(f"{100 * a:.2f}" for a in self.accuracy)
        time = "" if self.milliseconds is None else f"{self.milliseconds:.2g}"
        files = " ".join(f"`{file}`" for file in self.files)
        sizes = " ".join(f"{n:,}" for n in self.nbytes)
        cells = (self.entry, sizes, right, time, self.weights, self.training, files, f"`{self.command}`")
        return f"| {' | '.join(cells)} |"


def rows(text):
    """The rows of LEADERBOARD.md, or of another text with such a table.

    Raises
    ------
    ValueError
        If there is no table with these columns, or a row has a cell that can't be read.
    """
    head = f"| {' | '.join(COLUMNS)} |"
    if head not in text:
        raise bad_value("the table", "missing", f"one that begins with {head}")
    lines = text.split(head)[1].strip().splitlines()[1:]
    return [_row(line) for line in lines if line.startswith("|")]


def _row(line):
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    if len(cells) != len(COLUMNS):
        raise bad_value("a row of the leaderboard", line, f"{len(COLUMNS)} cells: {', '.join(COLUMNS)}")
    entry, sizes, right, time, weights, training, files, command = cells
    try:
        nbytes = tuple(int(n.replace(",", "")) for n in sizes.split())
        accuracy = tuple(round(float(a) / 100, 6) for a in right.split())
        milliseconds = float(time) if time else None
    except ValueError:
        raise bad_value("a row of the leaderboard", line, "numbers as bytes, accuracy and ms") from None
    paths = tuple(re.findall(r"`([^`]+)`", files))
    return Row(entry, nbytes, accuracy, milliseconds, weights, training, paths, command.strip("`"))


def verify(files, data, *, entry="", training="", command="", timed=True, root="."):
    """Measure an entry anew: every file is opened as a stranger's, and judged on the test images.

    Parameters
    ----------
    files : sequence of path-like
        One a seed, relative to `root`.
    data : object with `.test`, an (x, y) pair
    entry, training, command : str
        What the author says; copied.
    timed : bool
        Time the first one, for a second.
    root : path-like

    Returns
    -------
    row : Row

    Raises
    ------
    ValueError
        If there is no file, or one isn't whole or not a network that its file names.

    Examples
    --------
    >>> import torch
    >>> from types import SimpleNamespace
    >>> from mcomp import zoo
    >>> few = SimpleNamespace(test=(torch.zeros(2, 1, 28, 28), torch.tensor([0, 1])))
    >>> verify([zoo.weights("lenet300")], few, timed=False).weights
    'f4345f298f19'
    """
    if not files:
        raise bad_value("files", list(files), "at least one")
    paths = [Path(root, file) for file in files]
    models = [load(path, progress=False) for path in paths]
    x = data.test[0]
    time = latency(models[0], x[:1], runs=300, progress=False).median_ms if timed else None
    right = tuple(evaluate(model, data.test) for model in models)
    sizes = tuple(path.stat().st_size for path in paths)
    names = tuple(Path(file).as_posix() for file in files)
    return Row(entry, sizes, right, time, weights_digest(models), training, names, command)


def weights_digest(models):
    """Twelve hexadecimal digits of the SHA-256 of all numbers of the networks, their names and shapes."""
    digest = sha256()
    for model in models:
        for name, x in model.state_dict().items():
            stored = x.detach().cpu().contiguous().numpy()
            digest.update(f"{name} {stored.shape} {stored.dtype.newbyteorder('<').str} ".encode())
            digest.update(np.ascontiguousarray(stored.astype(stored.dtype.newbyteorder("<"))).tobytes())
    return digest.hexdigest()[:12]


def refusals(claim, found):
    """Why a claimed row doesn't hold for what was measured: sentences, none if it does.

    Bytes and decoded weights must be exactly those claimed, accuracy within `BAND`; time isn't judged, since
    it belongs to a machine.
    """
    said = []
    if claim.nbytes != found.nbytes:
        said.append(f"the files have {found.nbytes} bytes, not {claim.nbytes}")
    if claim.weights != found.weights:
        said.append(f"the decoded networks differ: {found.weights}, not {claim.weights}")
    if len(claim.accuracy) != len(found.accuracy):
        said.append(f"{len(claim.accuracy)} accuracies for {len(found.accuracy)} files")
    for path, a, b in zip(found.files, claim.accuracy, found.accuracy, strict=False):
        if abs(a - b) > BAND:
            said.append(f"{path} is right on {b:.2%} of the test images, not {a:.2%}")
    return said
