"""Where the images come from: Fashion-MNIST out of the package, MNIST and KMNIST by download.

Fashion-MNIST: Xiao, Rasul and Vollgraf 2017, arXiv:1708.07747 (MIT: LICENSE-fashion-mnist, beside this file).
MNIST: LeCun, Bottou, Bengio and Haffner 1998. KMNIST: Clanuwat et al. 2018, arXiv:1812.01718 (CC BY-SA 4.0).
All three are 60,000 training and 10,000 test images of 28 by 28 grey pixels in IDX files.
"""

import gzip
import hashlib
import lzma
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from mcomp.data.download import fetch
from mcomp.data.idx import read_idx, split_idx
from mcomp.files import write_atomic

__all__ = ["SOURCES", "Source", "arrays"]

_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_XZ_MAGIC = re.compile(rb"\xfd7zXZ\x00")
_ASSET = Path(__file__).with_name("fashion-mnist.xz")


@dataclass(frozen=True)
class Source:
    """A data set and its four files; `mean` and `std` are those of all training pixels, scaled to 0 to 1.

    `sha256` and `nbytes` are of the .gz files, in the order of `_FILES`. No mirrors: it is in the package.
    """

    mean: float
    std: float
    classes: tuple
    mirrors: tuple = ()
    sha256: tuple = ()
    nbytes: tuple = ()


SOURCES = {
    "fashion-mnist": Source(
        mean=0.2860,
        std=0.3530,
        classes=(
            "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
            "Ankle boot",
        ),
    ),
    "mnist": Source(
        mean=0.1307,
        std=0.3081,
        classes=tuple("0123456789"),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        sha256=(
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
        nbytes=(9_912_422, 28_881, 1_648_877, 4_542),
    ),
    "kmnist": Source(
        mean=0.1918,
        std=0.3483,
        classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        mirrors=(
            "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        ),
        sha256=(
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
        nbytes=(18_165_135, 29_497, 3_041_136, 5_120),
    ),
}  # fmt: skip


def arrays(name, folder):
    """The images and labels of a data set as they are in its files, decoded once a process.

    Parameters
    ----------
    name : str
        A key of `SOURCES`.
    folder : pathlib.Path
        Where its downloads are kept; not looked at for what is in the package.

    Returns
    -------
    arrays : tuple of four read-only uint8 numpy arrays
        Training images (n, 28, 28) and labels (n,), test images and labels.

    Raises
    ------
    ValueError
        If a file isn't what it should be.
    ConnectionError
        If a download fails.

    Examples
    --------
    >>> [array.shape for array in arrays("fashion-mnist", None)]
    [(60000, 28, 28), (60000,), (10000, 28, 28), (10000,)]
    """
    return _arrays(SOURCES[name], folder if SOURCES[name].mirrors else None)


@lru_cache(maxsize=2)
def _arrays(source, folder):
    if source.mirrors:
        found = tuple(read_idx(gzip.decompress(path.read_bytes())) for path in _download(source, folder))
    else:
        found = tuple(split_idx(_decoded(_ASSET.read_bytes())))
    _check_shapes(found)
    return found


def _decoded(packed):
    """Unpacked; once for all processes if $MCOMP_DECODED is a folder where they may share it, as in tests."""
    folder = os.environ.get("MCOMP_DECODED")
    if not folder:
        return _decode_streams(packed)
    shared = Path(folder, f"{hashlib.sha256(packed).hexdigest()}.idx")  # so it can't be that of other bytes
    if not shared.exists():
        shared.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(shared, _decode_streams(packed))
    return shared.read_bytes()


def _decode_streams(packed):
    """The content of concatenated .xz streams, decoded in threads (lzma lets go of the global lock)."""
    starts = [match.start() for match in _XZ_MAGIC.finditer(packed)] + [len(packed)]
    streams = [packed[a:b] for a, b in pairwise(starts)]
    try:
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            return b"".join(pool.map(lzma.decompress, streams))
    except lzma.LZMAError as error:
        raise ValueError(f"{_ASSET.name} is damaged ({error}); install mcomp again") from error


def _download(source, folder):
    """The paths of the four files, fetched where they are missing."""
    files = zip(_FILES, source.sha256, source.nbytes, strict=True)
    return [
        fetch(
            [f"{mirror}{file}.gz" for mirror in source.mirrors],
            folder / f"{file}.gz",
            sha256=sha,
            nbytes=nbytes,
        )
        for file, sha, nbytes in files
    ]


def _check_shapes(found):
    shapes = [(array.shape, array.dtype.name) for array in found]
    if len(found) != 4 or any(a.dtype != np.uint8 for a in found):
        raise ValueError(f"the files hold {shapes}; allowed: images, labels, images, labels of bytes")
    for x, y in (found[:2], found[2:]):
        if x.shape != (*y.shape, 28, 28) or y.ndim != 1 or y.max() > 9:
            raise ValueError(f"the files hold {shapes}; allowed: (n, 28, 28) images and n labels from 0 to 9")
