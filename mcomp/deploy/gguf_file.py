"""The container GGUF, version 3, little endian: numbers and words about a network, then its tensors.

Magic, version, the two counts; each key with a type and a value; each tensor's name, sizes, type and place;
the tensors, each from a multiple of 32 bytes on. Sizes are stored with the fastest axis first, shapes here
are as in numpy. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import struct

import numpy as np

from mcomp.arrays import bad_value, check_int
from mcomp.coding.bits import CorruptFileError, Reader
from mcomp.plain import naming

__all__ = ["KINDS", "parsed", "written"]

KINDS = {  # name: its number, the weights of a block, the bytes of a block
    "f32": (0, 1, 4), "f16": (1, 1, 2), "q4_0": (2, 32, 18), "q8_0": (8, 32, 34),
}  # fmt: skip
MAGIC, VERSION, ALIGNMENT, MAX_AXES = b"GGUF", 3, 32, 4
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


def written(metadata, tensors):
    """Yield the bytes of a file.

    Parameters
    ----------
    metadata : dict of str to bool, int (up to 32 bits, not negative), float, str, or a list of one of these
    tensors : dict of name to (kind, uint8 array (..., bytes of a row))
        `kind` of `KINDS`.

    Examples
    --------
    >>> data = b"".join(written({"a.b": [1, 2]}, {"w": ("f16", np.zeros((3, 8), np.uint8))}))
    >>> found, tensors = parsed(data)
    >>> found, tensors["w"][0], tensors["w"][1].shape, len(data) % 32
    ({'a.b': [1, 2]}, 'f16', (3, 8), 0)
    """
    head = [MAGIC, struct.pack("<IQQ", VERSION, len(tensors), len(metadata))]
    for key, value in metadata.items():
        number, data = _typed(key, value)
        head += [_string(key), struct.pack("<I", number), data]
    place = 0
    for name, (kind, data) in tensors.items():
        sizes = [*data.shape[:-1], _row(name, kind, data.shape[-1])][::-1]
        head += [_string(name), struct.pack(f"<I{len(sizes)}Q", len(sizes), *sizes)]
        head.append(struct.pack("<IQ", KINDS[kind][0], place))
        place += data.nbytes + _gap(data.nbytes)
    head = b"".join(head)
    yield head + bytes(_gap(len(head)))
    for _, data in tensors.values():
        yield data.tobytes() + bytes(_gap(data.nbytes))


def _row(name, kind, nbytes):
    """The weights of a row of so many bytes."""
    _, weights, size = KINDS[kind]
    if nbytes % size:
        raise bad_value(f"the bytes of a row of {name}", nbytes, f"a multiple of {size}, for {kind}")
    return nbytes // size * weights


def _gap(n):
    return -n % ALIGNMENT


def _string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _typed(key, value):
    """The number of a value's type, and its bytes; an empty list is one of strings."""
    if isinstance(value, str):
        return STRING, _string(value)
    if isinstance(value, list):
        typed = [_typed(key, one) for one in value]
        numbers = {number for number, _ in typed} or {STRING}
        if len(numbers) > 1 or ARRAY in numbers:
            raise bad_value(key, value, "values of one type in a list")
        return ARRAY, struct.pack("<IQ", *numbers, len(value)) + b"".join(data for _, data in typed)
    if isinstance(value, (bool, float)):
        return (7, struct.pack("<?", value)) if isinstance(value, bool) else (6, struct.pack("<f", value))
    return 4, struct.pack("<I", check_int(key, value, 0, 2**32 - 1))


def parsed(data):
    """Inverse of `written`, of the bytes of a file: metadata, and dict of name to (kind, uint8 array).

    Nothing in the bytes is trusted: no more is read or set aside than there is.

    Raises
    ------
    ValueError
        If the bytes are no such file, cut short, or lie about a size; the message says where and what.
    """
    reader = Reader(data)
    with naming("the header"):
        if reader.read(4) != MAGIC:
            raise CorruptFileError(f"it begins with {data[:4]!r}; allowed: {MAGIC!r}")
        version, tensors, keys = _numbers(reader, "IQQ")
        if version != VERSION:
            raise bad_value("the version", version, f"{VERSION}, little endian")
    metadata, infos = {}, {}
    for i in range(keys):
        with naming(f"key {i} of the metadata"):
            key = _new(_text(reader), metadata)
            metadata[key] = _value(reader, *_numbers(reader, "I"))
    if metadata.get("general.alignment", ALIGNMENT) != ALIGNMENT:
        raise bad_value("general.alignment", metadata["general.alignment"], str(ALIGNMENT))
    for i in range(tensors):
        with naming(f"tensor {i}"):
            name = _new(_text(reader), infos)
            infos[name] = _info(reader)
    return metadata, _tensors(reader, infos)


def _tensors(reader, infos):
    """The bytes of each tensor; they must stand one after the other, in the order of their infos."""
    reader.read(_gap(reader.at) if infos else 0)
    start, found = reader.at, {}
    for name, (kind, shape, place) in infos.items():
        with naming(name):
            if place != reader.at - start:
                raise bad_value("its place", place, f"{reader.at - start}, where the one before ends")
            data = np.frombuffer(reader.read(math.prod(shape)), np.uint8).reshape(shape)
            found[name] = kind, data
            reader.read(min(_gap(data.nbytes), reader.left()))
    with naming("the end"):
        reader.end() if infos or reader.left() >= ALIGNMENT else reader.rest()
    return found


def _info(reader):
    """Kind, shape with the bytes of a row last, and place of a tensor."""
    (axes,) = _numbers(reader, "I")
    if not 1 <= axes <= MAX_AXES:
        raise bad_value("the number of its axes", axes, f"1 to {MAX_AXES}")
    *sizes, number, place = _numbers(reader, f"{axes}QIQ")
    kind = {n: kind for kind, (n, _, _) in KINDS.items()}.get(number)
    if kind is None:
        raise bad_value("its type", number, ", ".join(f"{n} ({kind})" for kind, (n, *_) in KINDS.items()))
    _, weights, size = KINDS[kind]
    if min(sizes) < 1 or sizes[0] % weights:
        raise bad_value("its sizes", sizes, f"at least 1, the first a multiple of {weights}, for {kind}")
    return kind, (*sizes[:0:-1], sizes[0] // weights * size), place


def _new(name, seen):
    if name in seen:
        raise bad_value("its name", name, "one that wasn't there before")
    return name


def _numbers(reader, form):
    form = struct.Struct(f"<{form}")
    return form.unpack(reader.read(form.size))


def _text(reader):
    return reader.read(*_numbers(reader, "Q")).decode()


def _value(reader, number):
    if number == STRING:
        return _text(reader)
    if number == ARRAY:
        inner, n = _numbers(reader, "IQ")
        if inner in SCALARS:
            size = struct.calcsize(f"<{SCALARS[inner]}")
            return [x for (x,) in struct.iter_unpack(f"<{SCALARS[inner]}", reader.read(n * size))]
        if inner == STRING:
            return [_text(reader) for _ in range(n)]
        raise bad_value("the type of an array's values", inner, "a number or a string")
    if number not in SCALARS:
        raise bad_value("its type", number, "0 to 12")
    return _numbers(reader, SCALARS[number])[0]
