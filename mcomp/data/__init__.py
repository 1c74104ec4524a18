"""The data sets of the course as tensors, the same on every machine: training, validation and test.

`load("fashion-mnist")` reads the copy in the package; where the bytes come from is in mcomp/data/sources.py.
`load_text()` is source text to predict, mcomp/data/text.py.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from mcomp.arrays import bad_value, check_int
from mcomp.data.sources import SOURCES, arrays
from mcomp.data.text import load_text

__all__ = ["Data", "evenly_by_class", "load", "load_text", "names"]

VALIDATION = 5_000


@dataclass(frozen=True, eq=False)
class Data:
    """A data set in three parts, each a pair (x, y) of CPU tensors.

    Attributes
    ----------
    name : str
    train, validation, test : pair of tensors
        x float32 (n, 1, 28, 28), normalised by ``(pixel / 255 - mean) / std``; y int64 (n,).
    classes : tuple of str
        The name of each label.
    mean, std : float
        Of the pixels of the whole training set; ``x * std + mean`` is the picture, 0 to 1.
    """

    name: str
    train: tuple = field(repr=False)
    validation: tuple = field(repr=False)
    test: tuple = field(repr=False)
    classes: tuple = field(repr=False)
    mean: float
    std: float


def names():
    """The data sets that `load` knows.

    Examples
    --------
    >>> names()
    ['fashion-mnist', 'kmnist', 'mnist']
    """
    return sorted(SOURCES)


def load(name="fashion-mnist", subset=None, *, folder=None):
    """Load a data set, the same images in the same order on every machine.

    Validation is 5,000 of the 60,000 training images, as many of each class, and never part of `train`.
    Choose on validation, report on test once.

    Parameters
    ----------
    name : str
        ``"fashion-mnist"`` (in the package), ``"mnist"`` or ``"kmnist"`` (downloaded once, then kept).
    subset : int, optional
        Take only so many training images, as many of each class: a multiple of 10, at most 10 times the
        rarest class (5,500 in Fashion-MNIST). Default: all 55,000. Validation and test don't change.
    folder : path-like, optional
        Where downloads are kept. Default: ``$MCOMP_DATA``, else ``~/.cache/mcomp``.

    Returns
    -------
    data : Data

    Raises
    ------
    ValueError
        For an unknown name, a `subset` that can't be had, or a file that isn't what it should be.
    ConnectionError
        If a download fails; the message says what to do.

    Examples
    --------
    >>> data = load("fashion-mnist", subset=1_000)
    >>> x, y = data.train
    >>> x.shape, y.bincount().tolist()
    (torch.Size([1000, 1, 28, 28]), [100, 100, 100, 100, 100, 100, 100, 100, 100, 100])
    """
    if name not in SOURCES:
        raise bad_value("name", name, f"one of {', '.join(names())}")
    source = SOURCES[name]
    folder = Path(folder or os.environ.get("MCOMP_DATA") or Path.home() / ".cache" / "mcomp").expanduser()
    x, y, x_test, y_test = arrays(name, folder / name)
    train, validation = _split(y, subset)
    parts = [(x[train], y[train]), (x[validation], y[validation]), (x_test, y_test)]
    parts = [
        (_normalised(px, source.mean, source.std), torch.from_numpy(py.astype(np.int64))) for px, py in parts
    ]
    return Data(name, *parts, source.classes, source.mean, source.std)


def evenly_by_class(y, count, *, name="count"):
    """Indices of `count` entries of `y`, as many of each class, evenly spaced among that class in file order.

    A class with n entries gives its entries number ``i * n // m`` for i = 0 .. m - 1, m = count / 10.
    The rule needs no random numbers, so it can't change with a library's version.

    Parameters
    ----------
    y : integer numpy array (n,)
        Labels 0 to 9.
    count : int
        A multiple of 10, at most 10 times the rarest class.
    name : str
        What an error calls `count`.

    Returns
    -------
    index : int64 array (count,)
        Ascending, so that the order of the file stays.

    Raises
    ------
    ValueError
        If `count` can't be had.

    Examples
    --------
    >>> evenly_by_class(np.arange(40) % 10, 20)
    array([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 20, 21, 22, 23, 24, 25, 26,
           27, 28, 29])
    """
    most = 10 * int(np.bincount(y, minlength=10).min())
    if check_int(name, count, 10, most) % 10:
        raise bad_value(name, count, f"a multiple of 10 from 10 to {most}")
    each = count // 10
    members = [np.flatnonzero(y == label) for label in range(10)]
    return np.sort(np.concatenate([member[np.arange(each) * member.size // each] for member in members]))


def _split(y, subset):
    """Indices of the training and of the validation images."""
    validation = evenly_by_class(y, VALIDATION)
    train = np.setdiff1d(np.arange(y.size), validation)
    if subset is not None:
        train = train[evenly_by_class(y[train], subset, name="subset")]
    return train, validation


def _normalised(x, mean, std):
    table = ((np.arange(256) / 255 - mean) / std).astype(np.float32)  # one rounding a grey value
    return torch.from_numpy(table[x][:, None])  # (n, 1, 28, 28)
