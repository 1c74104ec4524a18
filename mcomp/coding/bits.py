"""Bits and bytes: fixed-width packing, variable-length codes, varints, and a reader that trusts nobody.

Bit order is that of a number on paper: the first bit of a stream is the highest bit of its first byte.
"""

import numpy as np

from mcomp.arrays import bad_value, check_int

__all__ = [
    "CorruptFileError", "Reader", "as_symbols", "pack_bits", "pack_codes", "packed_size", "symbol_dtype",
    "unpack_bits", "varint",
]  # fmt: skip

CHUNK = 1 << 16  # symbols unpacked at a time: a multiple of 8, so that every chunk ends at a whole byte


class CorruptFileError(ValueError):
    """Bytes that no encoder of this package wrote: cut short, changed, or lying about a size."""


def symbol_dtype(alphabet):
    """The dtype of decoded symbols: uint8 for at most 256 of them, else uint16.

    Examples
    --------
    >>> symbol_dtype(256).name, symbol_dtype(257).name
    ('uint8', 'uint16')
    """
    return np.dtype(np.uint8 if check_int("alphabet", alphabet, 1, 65536) <= 256 else np.uint16)


def as_symbols(symbols, alphabet):
    """`symbols` flattened, in `symbol_dtype(alphabet)`; ValueError if one lies outside [0, alphabet)."""
    dtype, s = symbol_dtype(alphabet), np.asarray(symbols)
    if s.size == 0:
        return np.zeros(0, dtype)
    if s.dtype.kind not in "biu":
        raise bad_value("symbols.dtype", s.dtype.name, "an integer dtype")
    fits = s.dtype == dtype and alphabet == 1 << 8 * dtype.itemsize
    for extreme in () if fits else (s.min(), s.max()):
        if not 0 <= int(extreme) < alphabet:
            raise bad_value("symbol", int(extreme), f"0 to {alphabet - 1}")
    return np.ascontiguousarray(s.reshape(-1), dtype=dtype)


def packed_size(n, width):
    """Bytes that `n` symbols of `width` bits fill.

    Examples
    --------
    >>> packed_size(9, width=1)
    2
    """
    return (n * width + 7) // 8


def pack_bits(symbols, width):
    """Write each symbol with `width` bits, one after the other.

    Parameters
    ----------
    symbols : integer array, any shape (flattened)
        Each in [0, 2**width).
    width : int
        Bits per symbol: 1 to 16, or 0 for an alphabet of one symbol.

    Returns
    -------
    data : bytes
        ``ceil(n * width / 8)`` bytes; the last is filled up with zero bits.

    Raises
    ------
    ValueError
        If `width` or a symbol is out of range.

    Examples
    --------
    >>> pack_bits([1, 2, 3, 0], width=2).hex()  # 01 10 11 00
    '6c'
    """
    width = check_int("width", width, 0, 16)
    s = as_symbols(symbols, 1 << width).astype(">u2")
    return b"".join(_pack_chunk(s[a : a + CHUNK], width) for a in range(0, s.size, CHUNK))


def _pack_chunk(s, width):
    bits = np.unpackbits(s.view(np.uint8)).reshape(-1, 16)
    return np.packbits(bits[:, 16 - width :]).tobytes()


def unpack_bits(data, width, n):
    """Inverse of `pack_bits`: `n` symbols of `width` bits from exactly ``packed_size(n, width)`` bytes.

    Returns
    -------
    symbols : uint8 or uint16 array, shape (n,)

    Raises
    ------
    CorruptFileError
        If `data` is too short or too long, or the bits that fill up the last byte are not zero.

    Examples
    --------
    >>> unpack_bits(bytes.fromhex("6c"), width=2, n=4)
    array([1, 2, 3, 0], dtype=uint8)
    """
    width, n = check_int("width", width, 0, 16), check_int("n", n, 0)
    if len(data) != packed_size(n, width):
        raise CorruptFileError(f"{len(data)} bytes came for {n} symbols of {width} bits")
    fill = len(data) * 8 - n * width
    if fill and data[-1] & ((1 << fill) - 1):
        raise CorruptFileError(f"the last {fill} bits of the packed symbols are not zero")
    out = np.zeros(n, symbol_dtype(1 << width))
    raw = np.frombuffer(data, np.uint8)
    for a in range(0, n if width else 0, CHUNK):
        count = min(CHUNK, n - a)
        out[a : a + count] = _unpack_chunk(raw[a * width // 8 :][: packed_size(count, width)], width, count)
    return out


def _unpack_chunk(raw, width, count):
    bits = np.zeros((count, 16), np.uint8)
    bits[:, 16 - width :] = np.unpackbits(raw, count=count * width).reshape(count, width)
    return np.packbits(bits).view(">u2")


def pack_codes(codes, lengths):
    """Write code ``i`` with ``lengths[i]`` bits: what `pack_bits` does, with a width for every symbol.

    Parameters
    ----------
    codes : integer array, shape (n,)
        ``codes[i]`` in [0, 2**lengths[i]).
    lengths : integer array, shape (n,)
        0 to 32 bits each.

    Returns
    -------
    data : bytes
        ``ceil(lengths.sum() / 8)`` bytes, the last filled up with zero bits.

    Examples
    --------
    >>> pack_codes(np.array([0, 0b10, 0b11]), np.array([1, 2, 2])).hex()  # 0 10 11 000
    '58'
    """
    codes, lengths = np.asarray(codes), np.asarray(lengths)
    if codes.shape != lengths.shape or codes.ndim != 1:
        raise bad_value("codes.shape", codes.shape, f"the shape (n,) of lengths, {lengths.shape}")
    if lengths.size and not 0 <= int(lengths.min()) <= int(lengths.max()) <= 32:
        raise bad_value("lengths", (int(lengths.min()), int(lengths.max())), "0 to 32")
    total = int(lengths.sum(dtype=np.int64))
    words, bit = np.zeros(total // 64 + 2, np.uint64), 0
    for a in range(0, codes.size, CHUNK):
        c, n = codes[a : a + CHUNK].astype(np.uint64), lengths[a : a + CHUNK].astype(np.int64)
        if (c >> n.astype(np.uint64)).any():
            raise bad_value("codes", "wider than their lengths", "codes[i] in [0, 2**lengths[i])")
        bit = _add_codes(words, c, bit + np.cumsum(n), bit)
    return words.astype(">u8").tobytes()[: packed_size(total, 1)]


def _add_codes(words, codes, ends, begin):
    """OR codes that end before bit `ends` into 64-bit `words`; the first starts at bit `begin`."""
    word = np.concatenate([[begin], ends[:-1]]) >> 6  # the word in which each code starts
    over = ends - 64 * (word + 1)  # > 0: so many of its bits go to the next word
    right, left = np.maximum(over, 0).astype(np.uint64), np.maximum(-over, 0).astype(np.uint64)
    first = np.flatnonzero(np.diff(word, prepend=-1))
    words[word[first]] |= np.bitwise_or.reduceat(codes << left >> right, first)
    spill = np.flatnonzero(over > 0)
    words[word[spill] + 1] |= codes[spill] << (64 - right[spill])
    return int(ends[-1])


def varint(value):
    """A whole number in as few bytes as it needs: seven bits a byte, lowest first, top bit = more follow.

    The LEB128 of the DWARF standard.

    Examples
    --------
    >>> varint(300).hex()  # 0b10_0101100
    'ac02'
    """
    value, out = check_int("value", value, 0, 2**63 - 1), bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


class Reader:
    """Reads bytes in order and raises `CorruptFileError` instead of going past the end.

    Examples
    --------
    >>> r = Reader(varint(300) + b"abc")
    >>> r.varint(high=1000), r.read(2), r.rest()
    (300, b'ab', b'c')
    """

    def __init__(self, data):
        self.data, self.at, self.marks = bytes(data), 0, []

    def mark(self):
        """Remember in `marks` how far it was read."""
        self.marks.append(self.at)

    def left(self):
        """Bytes not read yet."""
        return len(self.data) - self.at

    def read(self, n):
        """The next `n` bytes."""
        if not 0 <= n <= self.left():
            raise CorruptFileError(f"{n} bytes wanted at byte {self.at}, {self.left()} are there")
        self.at += n
        return self.data[self.at - n : self.at]

    def byte(self, high=255):
        """The next byte as an int of at most `high`."""
        return self._checked(self.read(1)[0], high)

    def varint(self, high):
        """The next `varint`, at most `high`; one with needless zero bytes is refused."""
        value = shift = 0
        while True:
            b = self.byte()
            value |= (b & 127) << shift
            shift += 7
            if b < 128 or shift > 63:
                break
        if b >= 128 or (b == 0 and shift > 7):
            raise CorruptFileError(f"malformed varint before byte {self.at}")
        return self._checked(value, high)

    def rest(self):
        """All bytes that are left."""
        return self.read(self.left())

    def end(self):
        """Raise unless every byte was read."""
        if self.left():
            raise CorruptFileError(f"{self.left()} bytes too many after byte {self.at}")

    def _checked(self, value, high):
        if value > high:
            raise CorruptFileError(f"{value} before byte {self.at}; allowed: 0 to {high}")
        return value
