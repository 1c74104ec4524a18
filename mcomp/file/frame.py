"""The frame of a file: a standard safetensors header, one tensor of bytes, and a checksum over all of it.

Layout: 8 bytes header length, JSON header, one uint8 tensor "mcomp", whose last 8 bytes are BLAKE2b-64 (RFC
7693) of all bytes before them. The header's ``__metadata__`` is a dict of str to str, with the version of
this format as "mcomp"; 2 knows tensors that are another's equal, and more codes than 1.
The safetensors format: https://github.com/huggingface/safetensors, README.
"""

import hashlib
import io
import json
from itertools import chain

from mcomp.coding.bits import CorruptFileError

__all__ = ["checked", "seal", "sealed", "unseal"]

VERSION, READ = "2", ("1", "2")
MAX_HEADER = 65_536
CHECKSUM = 8
PIECE = 1 << 20  # bytes that are hashed at a time


def seal(metadata, body):
    """The bytes of a file with these `metadata` (dict of str to str) around the bytes `body`.

    Examples
    --------
    >>> unseal(seal({"a": "b"}, b"body"))
    ({'mcomp': '2', 'a': 'b'}, b'body')
    """
    return b"".join(sealed(metadata, [body], len(body)))


def sealed(metadata, pieces, n):
    """Yield the bytes of a file around a body that comes in `pieces`, `n` bytes in all."""
    header = {"__metadata__": {"mcomp": VERSION, **metadata}, "mcomp": _tensor(n + CHECKSUM)}
    header = json.dumps(header, separators=(",", ":")).encode()
    check = hashlib.blake2b(digest_size=CHECKSUM)
    for piece in chain([len(header).to_bytes(8, "little") + header], pieces):
        check.update(piece)
        yield piece
    yield check.digest()


def unseal(data):
    """Inverse of `seal`: the metadata and the body.

    Raises
    ------
    CorruptFileError
        If a byte isn't as `seal` wrote it, or the version is another.
    """
    metadata, begin, end = checked(io.BytesIO(data))
    return metadata, data[begin:end]


def checked(file):
    """As `unseal`, of an open file: the metadata, and where the body begins and ends in it."""
    size = file.seek(0, io.SEEK_END)
    header, begin = _header(file, size)
    try:
        metadata, tensor = header["__metadata__"], header["mcomp"]
        version = metadata["mcomp"]
    except (KeyError, TypeError, IndexError) as error:
        raise _unreadable(error) from None
    if version not in READ:
        raise CorruptFileError(f"version {str(version)[:20]!r} of the format; this mcomp reads {VERSION!r}")
    if tensor != _tensor(size - begin):
        reason = f"the header claims {str(tensor)[:80]}, the file holds {size - begin:,} bytes"
        raise CorruptFileError(f"{reason}: cut short or changed")
    if size - begin < CHECKSUM or _hashed(file, size - CHECKSUM) != file.read(CHECKSUM):
        raise CorruptFileError("the checksum doesn't fit: the file was changed after it was written")
    return metadata, begin, size - CHECKSUM


def _hashed(file, n):
    """The checksum of the first `n` bytes of a file, which is left there."""
    check = hashlib.blake2b(digest_size=CHECKSUM)
    file.seek(0)
    for begin in range(0, n, PIECE):
        check.update(file.read(min(PIECE, n - begin)))
    return check.digest()


def checksum(data):
    """The 8 bytes that stand at the end of a file, for all bytes before them."""
    return hashlib.blake2b(data, digest_size=CHECKSUM).digest()


def _header(file, size):
    """The parsed header, and where the tensor begins."""
    if size < 8:
        raise CorruptFileError(f"{size} bytes are no safetensors file; the header's length takes 8")
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(MAX_HEADER, size - 8):
        held = f"a header of {length:,} bytes in a file of {size:,}"
        raise CorruptFileError(f"{held}; allowed: up to {MAX_HEADER:,} and within the file")
    try:
        return json.loads(file.read(length).decode()), 8 + length
    except (ValueError, RecursionError) as error:
        raise _unreadable(error) from None


def _tensor(n):
    return {"dtype": "U8", "shape": [n], "data_offsets": [0, n]}


def _unreadable(error):
    return CorruptFileError(f"not a file of mcomp: its header can't be read ({type(error).__name__})")
