"""Text to predict byte by byte: modules of Python 3.11.7's standard library, the same for every reader.

4.4 MB that everyone knows, in the package as one compressed file (PSF licence: LICENSE-python-source, beside
this file; scripts/build_source_text.py made it). It is split by file: what a network has read of a module
tells nothing about the bytes on which it is tested.
"""

import hashlib
import json
import lzma
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

__all__ = ["END", "Text", "load_text", "stream"]

END = 0  # the byte that no file holds: it stands before and after each
SHARES = (("test", 26), ("validation", 26))  # of 256, by the first byte of the SHA-256 of a file's name
_ASSET = Path(__file__).with_name("python-source.xz")


@dataclass(frozen=True, eq=False)
class Text:
    """Files in three parts, each a dict of file name to uint8 tensor (n,): its bytes."""

    name: str
    train: dict = field(repr=False)
    validation: dict = field(repr=False)
    test: dict = field(repr=False)


def load_text():
    """The modules of Python's standard library, split by file into train, validation and test.

    Choose on validation, report on test once.

    Returns
    -------
    text : Text

    Raises
    ------
    ValueError
        If the file in the package is damaged.

    Examples
    --------
    >>> text = load_text()
    >>> bytes(text.train["this.py"][:24].tolist())
    b's = \"\"\"Gur Mra bs Clguba'
    >>> [(len(part), sum(map(len, part.values()))) for part in (text.train, text.validation, text.test)]
    [(136, 3726234), (14, 341746), (15, 364234)]
    """
    parts = {"train": {}, "validation": {}, "test": {}}
    for name, data in _files().items():
        parts[_part(name)][name] = torch.from_numpy(data.copy())
    return Text("python-source", **parts)


def stream(files):
    """The bytes of files one after the other, `END` before the first, between them and after the last.

    Parameters
    ----------
    files : dict of name to uint8 tensor (n,)

    Returns
    -------
    bytes : uint8 tensor

    Examples
    --------
    >>> stream({"a": torch.tensor([7, 8], dtype=torch.uint8), "b": torch.tensor([9], dtype=torch.uint8)})
    tensor([0, 7, 8, 0, 9, 0], dtype=torch.uint8)
    """
    end = torch.tensor([END], dtype=torch.uint8)
    return torch.cat([end, *(x for data in files.values() for x in (data, end))])


def _part(name):
    draw = hashlib.sha256(name.encode()).digest()[0]
    for part, share in SHARES:
        if draw < share:
            return part
        draw -= share
    return "train"


@lru_cache(maxsize=1)
def _files():
    try:
        head, _, data = lzma.decompress(_ASSET.read_bytes()).partition(b"\n")
        sizes = json.loads(head)
    except (lzma.LZMAError, ValueError) as error:
        raise ValueError(f"{_ASSET.name} is damaged ({error}); install mcomp again") from error
    ends = np.cumsum([size for _, size in sizes])
    pieces = np.split(np.frombuffer(data, np.uint8), ends[:-1])
    return {name: piece for (name, _), piece in zip(sizes, pieces, strict=True)}
