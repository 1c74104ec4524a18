"""IDX: what the format says comes back, everything else is a ValueError."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.data.idx import read_idx, split_idx

TYPES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def write_idx(array):
    """The oracle: the format written down with struct, entry by entry."""
    code = TYPES[array.dtype.str[1:]]
    entries = struct.pack(f">{array.size}{array.dtype.char}", *array.ravel().tolist())
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape) + entries


@pytest.mark.parametrize("kind", sorted(TYPES))
@pytest.mark.parametrize("shape", [(1,), (7,), (2, 3), (2, 3, 4), (1, 2, 1, 2)])
def test_every_type_and_shape_comes_back(kind, shape):
    array = (np.arange(np.prod(shape)).reshape(shape) % 100).astype(kind)
    back = read_idx(write_idx(array))
    assert back.shape == array.shape
    assert back.dtype.kind == array.dtype.kind
    assert back.dtype.itemsize == array.dtype.itemsize
    np.testing.assert_array_equal(back, array)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(st.lists(st.integers(0, 255), min_size=1, max_size=9), max_size=5))
def test_files_one_after_the_other_are_taken_apart(rows):
    arrays = split_idx(b"".join(write_idx(np.array(row, dtype="u1")) for row in rows))
    assert [array.tolist() for array in arrays] == rows


GOOD = write_idx(np.arange(24, dtype="u1").reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "begins with"),
        (GOOD[:3], "begins with"),
        (b"\1" + GOOD[1:], "begins with"),
        (GOOD[:2] + b"\x07" + GOOD[3:], "type of"),
        (GOOD[:3] + b"\0" + GOOD[4:], "at least one dimension"),
        (GOOD[:3] + b"\xff" + GOOD[4:], "255 dimensions"),
        (GOOD[:8], "all sizes there"),
        (GOOD[:-1], "24 bytes; allowed: the 23"),
        (GOOD + b"\0", "24 bytes; allowed: the 25"),
        (GOOD[:4] + b"\0\0\0\0" + GOOD[8:], "at least 1"),
        (GOOD[:4] + b"\xff" * 12 + GOOD[16:], "allowed: the 24 that follow"),
    ],
)
def test_a_header_that_lies_is_refused(data, said):
    with pytest.raises(ValueError, match=said):
        read_idx(data)
    if data:
        with pytest.raises(ValueError, match=r"IDX"):
            split_idx(data)


def readable_or_refused(read, data):
    """Arrays no larger than the bytes that came, or ValueError; any other end is a fault."""
    try:
        arrays = read(data)
    except ValueError:
        return True
    arrays = arrays if isinstance(arrays, list) else [arrays]
    return sum(array.nbytes for array in arrays) < max(1, len(data))


@settings(derandomize=True, deadline=None, max_examples=500)
@given(st.binary(max_size=40), st.booleans())
def test_random_bytes_are_read_or_refused(tail, with_start):
    data = b"\0\0\x08" + tail if with_start else tail
    assert readable_or_refused(read_idx, data)
    assert readable_or_refused(split_idx, data)


def test_mutations_of_a_good_file_are_read_or_refused():
    rng = np.random.default_rng(0)
    for _ in range(5_000):
        data = bytearray(GOOD)
        for place in rng.integers(0, 16, rng.integers(1, 4)):
            data[place] = rng.integers(0, 256)
        data = bytes(data[: rng.integers(0, len(data) + 1)]) if rng.random() < 0.3 else bytes(data)
        assert readable_or_refused(read_idx, data)
        assert readable_or_refused(split_idx, data)
