import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.coding.bits import (
    CorruptFileError,
    Reader,
    as_symbols,
    pack_bits,
    pack_codes,
    packed_size,
    symbol_dtype,
    unpack_bits,
    varint,
)


def as_text(symbols, widths):
    """The oracle: every symbol as text in base 2, padded with zeros, cut into bytes."""
    text = "".join(f"{s:0{w}b}" if w else "" for s, w in zip(symbols, widths, strict=True))
    text += "0" * (-len(text) % 8)
    return bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))


@pytest.mark.parametrize("width", range(17))
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 1001])
def test_pack_bits_writes_base_two(width, n):
    s = np.random.default_rng(n).integers(0, 1 << width, n)
    data = pack_bits(s, width)
    assert data == as_text(s.tolist(), [width] * n)
    back = unpack_bits(data, width, n)
    assert back.tolist() == s.tolist()
    assert back.dtype == symbol_dtype(1 << width)


@pytest.mark.parametrize("n", [(1 << 16) - 1, 1 << 16, (1 << 16) + 1, 200_003])
def test_pack_bits_over_several_chunks(n):
    s = np.random.default_rng(0).integers(0, 8, n)
    data = pack_bits(s, 3)
    assert data == as_text(s.tolist(), [3] * n)
    np.testing.assert_array_equal(unpack_bits(data, 3, n), s)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 32).flatmap(lambda w: st.tuples(st.just(w), st.integers(0, 2**w - 1)))))
def test_pack_codes_writes_base_two(pairs):
    widths, codes = [w for w, _ in pairs], [c for _, c in pairs]
    assert pack_codes(np.array(codes, np.int64), np.array(widths, np.int64)) == as_text(codes, widths)


def test_pack_codes_over_several_chunks():
    rng = np.random.default_rng(0)
    widths = rng.integers(0, 17, 150_000)
    codes = rng.integers(0, 1 << widths)
    assert pack_codes(codes, widths) == as_text(codes.tolist(), widths.tolist())


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 2**63 - 1)))
def test_varints_come_back(values):
    reader = Reader(b"".join(map(varint, values)))
    assert [reader.varint(high=2**63 - 1) for _ in values] == values
    reader.end()


def test_varint_of_the_dwarf_standard():
    # the examples of unsigned LEB128 in the DWARF standard, section "Variable Length Data"
    table = {2: "02", 127: "7f", 128: "8001", 129: "8101", 12857: "b964"}
    assert {v: varint(v).hex() for v in table} == table


@pytest.mark.parametrize("raw", [b"", b"\x80", b"\x80\x00", b"\xff" * 9 + b"\x01", b"\xff" * 20])
def test_malformed_varints(raw):
    with pytest.raises(CorruptFileError):
        Reader(raw).varint(high=2**63 - 1)


def test_reader_stays_inside():
    reader = Reader(b"abc")
    assert reader.read(2) == b"ab"
    assert reader.left() == 1
    for call in (lambda: reader.read(2), lambda: reader.read(-1), reader.end, lambda: reader.byte(high=5)):
        with pytest.raises(CorruptFileError):
            call()


def test_unpack_bits_refuses_what_pack_bits_never_writes():
    good = pack_bits([1, 2, 3], 3)
    for bad in (good[:-1], good + b"\0", good[:-1] + bytes([good[-1] | 1])):
        with pytest.raises(CorruptFileError):
            unpack_bits(bad, 3, 3)
    with pytest.raises(CorruptFileError, match=r"0 bytes came for 1000000000000 symbols"):
        unpack_bits(b"", 1, 10**12)


@pytest.mark.parametrize(
    "call",
    [
        lambda: pack_bits([4], 2),
        lambda: pack_bits([-1], 2),
        lambda: pack_bits([0.5], 2),
        lambda: pack_bits([0], 17),
        lambda: pack_codes(np.array([4]), np.array([2])),
        lambda: pack_codes(np.array([-1]), np.array([2])),
        lambda: pack_codes(np.array([1]), np.array([33])),
        lambda: pack_codes(np.array([1]), np.array([1, 2])),
        lambda: varint(-1),
        lambda: varint(2**63),
        lambda: symbol_dtype(65537),
        lambda: as_symbols([3], 3),
    ],
)
def test_bad_input(call):
    with pytest.raises(ValueError, match="allowed"):
        call()


def test_sizes_and_dtypes():
    assert [packed_size(n, 3) for n in (0, 1, 3, 8, 9)] == [0, 1, 2, 3, 4]
    assert as_symbols(np.array([[0, 1], [2, 3]]), 4).tolist() == [0, 1, 2, 3]
    assert [symbol_dtype(k).name for k in (1, 256, 257, 65536)] == ["uint8", "uint8", "uint16", "uint16"]
