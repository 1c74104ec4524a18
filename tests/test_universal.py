"""Universal codes: against codes written out as text, and noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.coding import gaps, universal
from mcomp.coding.bits import CorruptFileError

CODES = {
    "gamma": (universal.encode_gamma, universal.decode_gamma, universal.gamma_bits, 1),
    "delta": (universal.encode_delta, universal.decode_delta, universal.delta_bits, 1),
}


def as_text(name, n):
    """The code word of one number, digit by digit as the papers print it."""
    binary = f"{n:b}"
    if name == "gamma":
        return "0" * (len(binary) - 1) + binary
    return as_text("gamma", len(binary)) + binary[1:]


def packed(text):
    text += "0" * (-len(text) % 8)
    return bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))


@pytest.mark.parametrize("name", CODES)
@settings(derandomize=True, max_examples=20, deadline=None)
@given(numbers=st.lists(st.integers(0, 300), max_size=30))
def test_codes_are_those_of_the_papers_and_come_back(name, numbers):
    encode, decode, bits, low = CODES[name]
    n = np.array(numbers, np.int64) + low
    words = [as_text(name, int(x)) for x in n]
    assert bits(n).tolist() == [*map(len, words)]
    assert encode(n) == packed("".join(words))
    assert decode(encode(n), len(n)).tolist() == n.tolist()


@pytest.mark.parametrize("name", ["gamma", "delta"])
def test_the_largest_number_comes_back(name):
    encode, decode, bits, _ = CODES[name]
    n = np.array([universal.MOST, 1, universal.MOST])
    assert decode(encode(n), 3).tolist() == n.tolist()
    assert len(encode(n)) == -(-int(bits(n).sum()) // 8)


def test_lengths_and_gaps_on_every_library(xp):
    mask = np.array([[True, False, False, True], [False, False, True, True]])
    found = gaps.gaps(xp.asarray(mask))
    assert np.asarray(found).tolist() == [1, 3, 3, 1]
    assert (gaps.kept_from_gaps(np.asarray(found), mask.shape) == mask).all()
    for _, _, bits, low in CODES.values():
        n = np.arange(low, 50)
        assert np.asarray(bits(xp.asarray(n))).tolist() == bits(n).tolist()
    assert universal.encode_gamma(xp.asarray(np.array([3]))) == universal.encode_gamma(np.array([3]))


def test_the_lengths_of_gamma_and_delta_satisfy_kraft():
    n = np.arange(1, 1 << 16)
    sums = [float(2.0 ** -bits(n).astype(float) @ np.ones(n.size)) for bits in
            (universal.gamma_bits, universal.delta_bits)]  # fmt: skip
    assert 0.99 < sums[0] <= 1
    assert 0.9 < sums[1] <= 1


@settings(derandomize=True, max_examples=60, deadline=None)
@given(data=st.binary(max_size=12), n=st.integers(0, 40))
def test_noise_is_refused_or_is_a_code(data, n):
    for encode, decode, _, _ in CODES.values():
        try:
            found = decode(data, n)
        except CorruptFileError:
            continue
        assert encode(found) == data


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: universal.gamma_bits(np.array([0])), r"n from is \(0, 0\); allowed: 1 to"),
        (lambda: universal.delta_bits(np.array([2**31])), "allowed: 1 to 2147483647"),
        (lambda: universal.gamma_bits(np.array([1.0])), "n.dtype is 'float64'"),
        (lambda: gaps.gaps(np.array([1, 0])), "mask.dtype is 'int64'; allowed: bool"),
        (lambda: gaps.kept_from_gaps(np.array([2, 9]), (2, 2)), "lead to entry 10 of 4"),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(ValueError, match=said):
        call()
