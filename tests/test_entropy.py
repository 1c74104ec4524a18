import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.coding.bits import CorruptFileError
from mcomp.coding.entropy import cross_entropy, entropy, histogram, quantize_counts, quantized
from mcomp.coding.tables import pack_table, table_sizes, unpack_table

counts_lists = st.lists(st.integers(0, 2**40), min_size=1, max_size=60).filter(any)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(counts_lists)
def test_entropy_is_scipys(counts):
    # both sum at most 60 float64 terms of at most 6 bits: rounding stays below 1e-12
    assert entropy(counts) == pytest.approx(scipy.stats.entropy(counts, base=2), abs=1e-12)


def test_cross_entropy_is_entropy_plus_kl():
    rng = np.random.default_rng(0)
    p, q = rng.integers(1, 100, 20), rng.integers(1, 100, 20)
    expected = scipy.stats.entropy(p, base=2) + scipy.stats.entropy(p, q, base=2)
    assert cross_entropy(p, q) == pytest.approx(expected, abs=1e-12)  # float64 rounding, as above
    assert cross_entropy([1, 1], [1, 0]) == math.inf
    assert entropy([0.25, 0.75]) == pytest.approx(0.811278, abs=1e-6)  # probabilities do, too
    assert entropy([0, 0]) == entropy([7]) == 0.0


def test_histogram():
    assert histogram([0, 3, 3], 5).tolist() == [1, 0, 0, 2, 0]
    assert histogram([], 2).tolist() == [0, 0]


def best_table(counts, total):
    """The oracle: from all ones, always add where the cross entropy falls most (optimal, as it is convex)."""
    freqs = [min(c, 1) for c in counts]
    while sum(freqs) < total:
        gain = [c * math.log2((f + 1) / f) if f else -1.0 for c, f in zip(counts, freqs, strict=True)]
        freqs[gain.index(max(gain))] += 1
    return freqs


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=40).filter(any), st.integers(6, 9))
def test_quantized_counts_are_nearly_the_best(counts, bits):
    freqs = quantize_counts(counts, bits)
    assert freqs.sum() == 1 << bits
    assert ((freqs > 0) == (np.array(counts) > 0)).all()
    best = cross_entropy(counts, best_table(counts, 1 << bits))
    # rounding by the largest remainder instead of by gain: at most a few per cent of a bit, at 40 of 64 slots
    assert best - 1e-9 <= cross_entropy(counts, freqs) <= best + 0.03


def test_counts_that_fit_stay_as_they_are():
    counts = np.array([7, 0, 1, 3, 5])
    np.testing.assert_array_equal(quantize_counts(counts, 4), counts)
    np.testing.assert_array_equal(quantize_counts(counts * 1000, 4), counts)
    assert quantize_counts([0, 5], 0).tolist() == [0, 1]


@settings(derandomize=True, deadline=None, max_examples=60)
@given(counts_lists, st.integers(6, 16), st.binary(max_size=3))
def test_tables_come_back(counts, bits, tail):
    freqs = quantize_counts(counts, bits)
    data = pack_table(freqs)
    back, used = unpack_table(data + tail, len(counts), 1 << bits)
    assert used == len(data)
    np.testing.assert_array_equal(back, freqs)


def test_tables_are_short():
    # every split costs at most log2(T + 1) + 0.09 bits: 3 splits of 8, 8 and 7 bits are at most 3 bytes
    assert len(pack_table(quantize_counts([5, 9, 3, 100], 8))) <= 3
    lonely = np.zeros(65536, np.int64)
    lonely[[5, 60000]] = 2048
    # two paths of 16 splits at 12 bits, and a bit for what is left
    assert len(pack_table(lonely)) <= 2 * 16 * 12 // 8


def test_a_table_cut_short():
    data = pack_table(quantize_counts(np.arange(1, 100), 12))
    for n in (0, 1, len(data) - 1):
        with pytest.raises(CorruptFileError):
            unpack_table(data[:n], 99, 4096)


@pytest.mark.parametrize(
    "call",
    [
        lambda: entropy([-1, 2]),
        lambda: entropy([math.nan]),
        lambda: cross_entropy([1], [1, 2]),
        lambda: histogram([2], 2),
        lambda: quantize_counts([0, 0], 4),
        lambda: quantize_counts([1] * 5, 2),
        lambda: quantize_counts([-1, 1], 4),
        lambda: quantize_counts([1.5], 4),
        lambda: quantize_counts([1], 17),
        lambda: pack_table([]),
    ],
)
def test_bad_input(call):
    with pytest.raises(ValueError, match="allowed"):
        call()


def scaled_one_by_one(counts, bits):
    """`quantize_counts`: shares below 1 are 1, the others divide what is left, the largest rest first."""
    free, room, freqs = {i for i, c in enumerate(counts) if c}, 1 << bits, [0] * len(counts)
    while pinned := {i for i in free if counts[i] * room < sum(counts[j] for j in free)}:
        free, room = free - pinned, room - len(pinned)
        for i in pinned:
            freqs[i] = 1
    weight = sum(counts[j] for j in free)
    for i in free:
        freqs[i] = counts[i] * room // weight
    rest = sorted(free, key=lambda i: (-(counts[i] * room % weight), i))
    for i in rest[: (1 << bits) - sum(freqs)]:
        freqs[i] += 1
    return freqs


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(st.sampled_from([0, 0, 1, 2, 7, 100, 5000]), min_size=1, max_size=40).filter(any))
def test_tables_of_several_precisions_are_those_of_each(counts):
    bits = [b for b in (0, 3, 6, 9, 16) if np.count_nonzero(counts) <= 1 << b]
    tables = quantized(np.array(counts), np.array(bits))
    for b, freqs in zip(bits, tables.tolist(), strict=True):
        assert freqs == scaled_one_by_one(counts, b) == quantize_counts(counts, b).tolist()
    assert table_sizes(tables).tolist() == [len(pack_table(f)) for f in tables]
