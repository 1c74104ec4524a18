import heapq
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.coding.bits import CorruptFileError
from mcomp.coding.entropy import entropy, histogram
from mcomp.coding.huffman import canonical_codes, code_lengths, huffman_decode, huffman_encode


def heap_total(counts):
    """The oracle without a limit: total bits of Huffman's own construction (each merge costs its weight)."""
    heap = [c for c in counts if c]
    heapq.heapify(heap)
    total = 0
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        total += both
        heapq.heappush(heap, both)
    return total


def brute_force_total(counts, limit):
    """The oracle with a limit: the best of all lengths that satisfy Kraft's inequality."""
    m, best = len(counts), None
    for lengths in itertools.product(range(1, limit + 1), repeat=m):
        if sum(2.0**-n for n in lengths) <= 1:
            total = sum(c * n for c, n in zip(counts, lengths, strict=True))
            best = total if best is None else min(best, total)
    return best


@settings(derandomize=True, deadline=None, max_examples=80)
@given(st.lists(st.integers(0, 1000), min_size=2, max_size=300).filter(lambda c: sum(map(bool, c)) > 1))
def test_lengths_are_huffmans(counts):
    # counts of at most 1000 and 300 symbols: no optimal word passes 16 bits unless the counts grow like
    # Fibonacci's numbers, of which 16 lie below 1000
    lengths = code_lengths(counts)
    assert np.dot(counts, lengths) == heap_total(counts)
    assert sum(2.0 ** -int(n) for n in lengths if n) == 1.0
    assert ((lengths > 0) == (np.array(counts) > 0)).all()


@settings(derandomize=True, deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 200), min_size=2, max_size=5), st.integers(3, 4))
def test_limited_lengths_are_the_best(counts, limit):
    lengths = code_lengths(counts, limit)
    assert lengths.max() <= limit
    assert np.dot(counts, lengths) == brute_force_total(counts, limit)


def test_fibonacci_counts_meet_the_limit():
    counts = [1, 1]
    while len(counts) < 30:
        counts.append(counts[-1] + counts[-2])
    lengths = code_lengths(counts)
    assert lengths.max() == 16
    assert sum(2.0 ** -int(n) for n in lengths) == 1.0
    assert heap_total(counts) <= np.dot(counts, lengths) < 1.001 * heap_total(counts)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 50), min_size=2, max_size=40).filter(lambda c: sum(map(bool, c)) > 1))
def test_codes_are_prefix_free_and_in_order(counts):
    lengths = code_lengths(counts)
    codes = canonical_codes(lengths)
    words = [f"{c:0{n}b}" for c, n in zip(codes, lengths, strict=True) if n]
    for a, b in itertools.permutations(words, 2):
        assert not b.startswith(a)
    assert sorted(words, key=lambda w: (len(w), w)) == sorted(words)


@pytest.mark.parametrize("alphabet", [1, 2, 3, 4, 16, 255, 256, 257, 1000, 65535, 65536])
@pytest.mark.parametrize("n", [0, 1, 2, 300, 4096, 4097, 20_000])
def test_round_trip(alphabet, n):
    rng = np.random.default_rng(n)
    s = np.minimum(rng.geometric(0.05, n), alphabet) - 1 if n % 2 else rng.integers(0, alphabet, n)
    back = huffman_decode(huffman_encode(s, alphabet), n, alphabet)
    np.testing.assert_array_equal(back, s)


def test_within_one_bit_of_the_entropy():
    s = np.random.default_rng(0).binomial(15, 0.4, 50_000)
    bits, h = 8 * len(huffman_encode(s, 16)), entropy(histogram(s, 16)) * s.size
    # Huffman's bound of one bit a symbol; lengths and 12 entry points take less than 64 bytes
    assert h <= bits <= h + s.size + 512


def test_every_cut_and_flip_is_noticed_or_harmless():
    s = np.random.default_rng(0).binomial(15, 0.4, 150)
    data = huffman_encode(s, 16)
    for i in range(len(data)):
        with pytest.raises(CorruptFileError):
            huffman_decode(data[:i], 150, 16)
    for i in range(8 * len(data)):
        bad = bytearray(data)
        bad[i // 8] ^= 1 << i % 8
        try:
            outcome = huffman_decode(bytes(bad), 150, 16).shape
        except CorruptFileError:
            outcome = (150,)
        assert outcome == (150,)


def test_bad_input():
    for call in (
        lambda: code_lengths([1] * 5, 2),
        lambda: code_lengths([1], 17),
        lambda: canonical_codes([1, 1, 1]),
        lambda: canonical_codes([17]),
        lambda: huffman_encode([3], 3),
    ):
        with pytest.raises(ValueError, match="allowed"):
            call()
