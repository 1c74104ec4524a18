"""The frame of a file: a standard safetensors header, one tensor of bytes, and a checksum over all of it.

Layout: 8 bytes header length, JSON header, one uint8 tensor "mcomp", whose last 8 bytes are BLAKE2b-64 (RFC
7693) of all bytes before them. The header's ``__metadata__`` is a dict of str to str, with the version of
this format as "mcomp". The safetensors format: https://github.com/huggingface/safetensors, README.
"""

import hashlib
import json

from mcomp.coding.bits import CorruptFileError

__all__ = ["seal", "unseal"]

VERSION = "1"
MAX_HEADER = 65_536
CHECKSUM = 8


def seal(metadata, body):
    """The bytes of a file with these `metadata` (dict of str to str) around the bytes `body`.

    Examples
    --------
    >>> unseal(seal({"a": "b"}, b"body"))
    ({'mcomp': '1', 'a': 'b'}, b'body')
    """
    header = {"__metadata__": {"mcomp": VERSION, **metadata}, "mcomp": _tensor(len(body) + CHECKSUM)}
    header = json.dumps(header, separators=(",", ":")).encode()
    data = len(header).to_bytes(8, "little") + header + body
    return data + checksum(data)


def unseal(data):
    """Inverse of `seal`: the metadata and the body.

    Raises
    ------
    CorruptFileError
        If a byte isn't as `seal` wrote it, or the version is another.
    """
    header, begin = _header(data)
    try:
        metadata, tensor = header["__metadata__"], header["mcomp"]
        version = metadata["mcomp"]
    except (KeyError, TypeError, IndexError) as error:
        raise _unreadable(error) from None
    if version != VERSION:
        raise CorruptFileError(f"version {str(version)[:20]!r} of the format; this mcomp reads {VERSION!r}")
    if tensor != _tensor(len(data) - begin):
        reason = f"the header claims {str(tensor)[:80]}, the file holds {len(data) - begin:,} bytes"
        raise CorruptFileError(f"{reason}: cut short or changed")
    if len(data) - begin < CHECKSUM or checksum(data[:-CHECKSUM]) != data[-CHECKSUM:]:
        raise CorruptFileError("the checksum doesn't fit: the file was changed after it was written")
    return metadata, data[begin:-CHECKSUM]


def checksum(data):
    """The 8 bytes that stand at the end of a file, for all bytes before them."""
    return hashlib.blake2b(data, digest_size=CHECKSUM).digest()


def _header(data):
    """The parsed header, and where the tensor begins."""
    if len(data) < 8:
        raise CorruptFileError(f"{len(data)} bytes are no safetensors file; the header's length takes 8")
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= min(MAX_HEADER, len(data) - 8):
        held = f"a header of {length:,} bytes in a file of {len(data):,}"
        raise CorruptFileError(f"{held}; allowed: up to {MAX_HEADER:,} and within the file")
    try:
        return json.loads(data[8 : 8 + length].decode()), 8 + length
    except (ValueError, RecursionError) as error:
        raise _unreadable(error) from None


def _tensor(n):
    return {"dtype": "U8", "shape": [n], "data_offsets": [0, n]}


def _unreadable(error):
    return CorruptFileError(f"not a file of mcomp: its header can't be read ({type(error).__name__})")
