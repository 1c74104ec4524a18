"""Build mcomp/data/fashion-mnist.xz from the four IDX files of Fashion-MNIST.

    python scripts/build_fashion_mnist.py /usr/share/datasets/fashion-mnist

The folder holds `train-images-idx3-ubyte.gz` and its three sisters, from Debian's package
dataset-fashion-mnist or from https://github.com/zalandoresearch/fashion-mnist. The two differ in their gzip
headers, so the SHA-256 is that of the IDX bytes inside.

The result is an ordinary .xz file (`xz -d` reads it) that decodes to the four IDX files one after the other.
It is cut into independent streams of 8 MiB, so that a reader can decode them side by side in threads. The
same liblzma gives the same bytes every time.
"""

import gzip
import hashlib
import lzma
from pathlib import Path

from tqdm import tqdm

import assets
from mcomp.files import write_atomic

IDX_SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
STREAM_BYTES = 8 * 2**20
ASSET = Path(__file__).resolve().parent.parent / "mcomp" / "data" / "fashion-mnist.xz"


def read_checked(folder, name):
    """The IDX bytes of `name`.gz in `folder`; ValueError if their SHA-256 is not the published one."""
    data = gzip.decompress((folder / f"{name}.gz").read_bytes())
    found = hashlib.sha256(data).hexdigest()
    if found != IDX_SHA256[name]:
        raise ValueError(f"{folder / name}.gz holds SHA-256 {found}; allowed: {IDX_SHA256[name]}")
    return data


def compress(data, stream_bytes=STREAM_BYTES):
    """`data` as concatenated .xz streams, each of `stream_bytes` bytes of it and decodable alone."""
    filters = [
        {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": STREAM_BYTES, "lc": 4}
    ]
    starts = tqdm(range(0, len(data), stream_bytes), desc="compressing", unit="stream")
    return b"".join(lzma.compress(data[i : i + stream_bytes], filters=filters) for i in starts)


def build(folder, out=ASSET):
    """Check, join, compress, and write atomically; returns the path written."""
    return write_atomic(out, compress(b"".join(read_checked(Path(folder), name) for name in IDX_SHA256)))


if __name__ == "__main__":
    assets.main(build, ASSET, about=__doc__, folder="where the four .gz files are")
