"""Build mcomp/data/python-source.xz from the standard library of Python 3.11.7.

    python scripts/build_source_text.py /usr/lib/python3.11

The folder is the library of that very version, such as `Lib` in the source archive of python.org. Taken are
its modules of 200 to 150,000 bytes at the top level, packages not; what one installation writes for itself
(`_sysconfigdata...`) isn't part of them. The SHA-256 of the content is checked, so the result is the same for
everybody.

The result is an ordinary .xz file: a line of JSON with the name and the size of each file, then the files.
"""

import hashlib
import json
import lzma
from pathlib import Path

import assets
from mcomp.files import write_atomic

CONTENT_SHA256 = "3de894e4780e98c8c0e759179fc7cc237e90ea0ee56814d0b56ed6a7c4451df1"
SMALLEST, LARGEST = 200, 150_000
ASSET = Path(__file__).resolve().parent.parent / "mcomp" / "data" / "python-source.xz"
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 4, "lp": 0, "pb": 0}]


def content(folder):
    """The names and sizes as a line of JSON, and behind it the files, by name."""
    files = {
        path.name: path.read_bytes()
        for path in sorted(Path(folder).glob("*.py"))
        if SMALLEST <= path.stat().st_size <= LARGEST and not path.name.startswith("_sysconfigdata")
    }
    head = json.dumps([[name, len(data)] for name, data in files.items()], separators=(",", ":"))
    return head.encode() + b"\n" + b"".join(files.values())


def build(folder, out=ASSET):
    """Check, compress, and write atomically; returns the path written."""
    data = content(folder)
    found = hashlib.sha256(data).hexdigest()
    if found != CONTENT_SHA256:
        raise ValueError(f"the modules in {folder} have SHA-256 {found}; allowed: {CONTENT_SHA256}")
    return write_atomic(out, lzma.compress(data, filters=FILTERS))


if __name__ == "__main__":
    assets.main(build, ASSET, about=__doc__, folder="the standard library of Python 3.11.7")
