import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mcomp.coding import floats
from mcomp.coding.batch import run
from mcomp.coding.bits import CorruptFileError, packed_size
from mcomp.coding.counted import Count
from mcomp.coding.entropy import entropy, histogram
from mcomp.coding.floats import pack_floats, unpack_floats
from mcomp.coding.huffman import huffman_encode
from mcomp.coding.least import floor_bytes, least_huffman, least_rans
from mcomp.coding.rans import best_table, rans_encode
from mcomp.coding.streams import pack_symbols, unpack_symbols


@pytest.mark.parametrize("alphabet", [1, 2, 3, 4, 15, 16, 17, 255, 256, 257, 1000, 65535, 65536])
@pytest.mark.parametrize("n", [0, 1, 2, 5001])
def test_symbols_round_trip(alphabet, n):
    rng = np.random.default_rng(n)
    for s in (rng.integers(0, alphabet, n), np.full(n, alphabet - 1), rng.binomial(alphabet - 1, 0.1, n)):
        data = pack_symbols(s, alphabet)
        np.testing.assert_array_equal(unpack_symbols(data, n, alphabet), s)
        assert len(data) <= 1 + packed_size(n, (alphabet - 1).bit_length()) or s.min() == s.max()


@settings(derandomize=True, deadline=None, max_examples=80)
@given(st.integers(1, 40).flatmap(lambda k: st.tuples(st.just(k), st.lists(st.integers(0, k - 1)))))
def test_any_symbols_round_trip(case):
    alphabet, s = case
    assert unpack_symbols(pack_symbols(s, alphabet), len(s), alphabet).tolist() == s


@pytest.mark.parametrize("n", [50, 500, 5000])
def test_short_streams_cost_little_beyond_their_entropy(n):
    s = np.random.default_rng(0).choice(4, n, p=[0.5, 0.25, 0.15, 0.1])
    # three adaptive bits learn one probability each, (1/2) log2 n bits; a tag and a byte's rest: 6 bytes
    assert len(pack_symbols(s, 4)) <= entropy(histogram(s, 4)) * n / 8 + 6 + 0.001 * n


def test_long_streams_stay_near_the_entropy():
    s = np.random.default_rng(0).binomial(15, 0.4, 200_000)
    bits = entropy(histogram(s, 16)) * s.size
    assert bits / 8 <= len(pack_symbols(s, 16)) <= 1.005 * bits / 8 + 64


SPECIAL = np.array([0x7FC00001, 0xFFC12345, 0x7F800001, 0x80000000, 0, 0x7F800000, 1], "<u4").view("<f4")


@pytest.mark.parametrize("repeat", [1, 40])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "u1", "i1", "u2", "i2", "i4", "u4", "i8", "u8", "?"])
def test_floats_come_back_bit_for_bit(dtype, repeat):
    bits = np.random.default_rng(0).integers(0, 256, 64 * np.dtype(dtype).itemsize, np.uint8)
    x = np.tile((bits % 2 if dtype == "?" else bits).view(dtype), repeat)
    back = unpack_floats(pack_floats(x), x.size, dtype)
    assert back.dtype == x.dtype
    assert back.tobytes() == x.tobytes()


def test_payloads_of_nan_and_minus_zero():
    for x in (SPECIAL, np.tile(SPECIAL, 30)):
        assert unpack_floats(pack_floats(x), x.size, np.float32).tobytes() == x.tobytes()


@settings(derandomize=True, deadline=None, max_examples=60)
@given(hnp.arrays(st.sampled_from(["f4", "f2", "u2", "i8"]), st.integers(0, 60)))
def test_any_floats_come_back(x):
    data = pack_floats(x)
    assert unpack_floats(data, x.size, x.dtype).tobytes() == x.tobytes()
    assert len(data) <= x.nbytes + 1


def test_floats_are_shorter_where_they_can_be():
    x = np.random.default_rng(0).normal(size=20_000).astype(np.float32)
    assert len(pack_floats(x)) < 0.93 * x.nbytes  # sign and exponent hold about 3 bits of 9 for a Gaussian
    few = np.random.default_rng(0).choice(x[:16], 20_000)
    assert len(pack_floats(few)) < 20_000 * 4 / 8 + 64 + 100  # an index of 4 bits, 16 values


def test_byte_order_of_the_machine_does_not_matter():
    x = np.arange(100, dtype=">f4")
    assert pack_floats(x) == pack_floats(x.astype("<f4"))


def test_mutations_never_crash():
    rng = np.random.default_rng(0)
    cases = [
        (pack_symbols(s, k), lambda d, n=n, k=k: unpack_symbols(d, n, k).size, n)
        for k, n in [(2, 80), (4, 200), (16, 3000), (300, 100), (256, 2000)]
        for s in (rng.integers(0, k, n), rng.binomial(k - 1, 0.2, n))
    ]
    for x in (SPECIAL, np.tile(SPECIAL, 9), rng.normal(size=90).astype(np.float32), np.arange(99) % 2 == 0):
        cases.append((pack_floats(x), lambda d, x=x: unpack_floats(d, x.size, x.dtype).size, x.size))
    for data, decode, n in cases:
        for _ in range(60):
            bad = bytearray(data)
            bad[rng.integers(min(len(bad), 12 if rng.random() < 0.5 else len(bad)))] = rng.integers(256)
            bad = bytes(bad[: rng.integers(len(bad) + 1)]) if rng.random() < 0.3 else bytes(bad)
            try:
                count = decode(bad)
            except CorruptFileError:
                count = n
            assert count == n


def test_data_must_be_used_up():
    for data, n, k in [(pack_symbols([1, 0, 2], 4), 3, 4), (pack_symbols([3] * 9, 4), 9, 4), (b"", 0, 4)]:
        with pytest.raises(CorruptFileError):
            unpack_symbols(data + b"\0", n, k)
    with pytest.raises(CorruptFileError):
        unpack_floats(pack_floats(SPECIAL) + b"\0", SPECIAL.size, np.float32)


@pytest.mark.parametrize(
    "call",
    [
        lambda: pack_symbols([4], 4),
        lambda: pack_symbols([0], 0),
        lambda: unpack_symbols(b"", -1, 4),
        lambda: pack_floats(np.array([1j])),
        lambda: unpack_floats(b"", 1, np.complex64),
    ],
)
def test_bad_input(call):
    with pytest.raises(ValueError, match="allowed"):
        call()


def every_plane(planes):
    counted = yield [Count(plane, 256) for plane in planes]
    return (yield from floats._planes(planes, False, counted))


@pytest.mark.parametrize("n", [1, 300, 9000, 40_000])
def test_floats_take_no_more_than_the_shortest_way(n):
    """`pack_floats` skips a way by its entropy; trying all of them gives nothing shorter."""
    rng = np.random.default_rng(n)
    w = rng.normal(size=n).astype(np.float32)
    grid, sparse = np.round(4 * w) * np.float32(0.07), np.where(rng.random(n) < 0.9, 0, w)
    for x in (w, grid, sparse, rng.normal(size=n), rng.integers(0, 9, n), np.zeros(n, bool)):
        planes = np.ascontiguousarray(x).view(np.uint8).reshape(n, -1).T
        values, index = np.unique(x.view(f"u{x.itemsize}"), return_inverse=True)
        ways = [bytes(1) + x.tobytes(), run(every_plane(planes))]
        if values.size <= n // 2:
            ways.append(run(floats._table(values, index)))
        assert len(pack_floats(x)) == min(map(len, ways))


def every_code(s, alphabet):
    """The length in each of the codes that `pack_symbols` need not try."""
    yield 1 + packed_size(len(s), (alphabet - 1).bit_length())
    yield 1 + len(rans_encode(s, alphabet))
    yield 1 + len(huffman_encode(s, alphabet))


@pytest.mark.parametrize("alphabet", [2, 5, 16, 64, 256, 3000])
def test_codes_that_are_not_tried_would_not_be_shorter(alphabet):
    rng, wrong = np.random.default_rng(alphabet), []
    for n in (20, 150, 600, 2500):
        few = rng.choice(alphabet, min(alphabet, 12), replace=False)
        streams = {
            "binomial": rng.binomial(alphabet - 1, rng.uniform(0.05, 0.95), n),
            "few, wide apart": rng.choice(few, n),
            "geometric": np.minimum(rng.geometric(0.3, n) - 1, alphabet - 1),
            "half of them": rng.integers(alphabet // 2, alphabet, n),
            "nearly one": np.where(rng.random(n) < 0.01, alphabet - 1, 0),
        }
        for name, s in streams.items():
            if s.min() < s.max() and len(pack_symbols(s, alphabet)) > min(every_code(s, alphabet)):
                wrong.append((name, n))
    assert wrong == []


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    st.sampled_from([2, 3, 17, 256, 1000]),
    st.integers(2, 3000),
    st.floats(0.01, 30),
    st.integers(0, 2**32 - 1),
)
def test_no_code_is_shorter_than_its_least(alphabet, n, spread, seed):
    rng = np.random.default_rng(seed)
    s = rng.permutation(alphabet)[np.minimum(rng.exponential(spread, n), alphabet - 1).astype(int)]
    counts = histogram(s, alphabet)
    floor, coded = floor_bytes(counts), len(rans_encode(s, alphabet))
    least = least_rans(counts, floor, best_table(counts)[2])
    assert least_rans(counts, floor) <= least <= coded
    if np.count_nonzero(counts) > 1:
        coded = len(huffman_encode(s, alphabet))
        for most in (0, coded, np.inf):
            assert least_huffman(counts, floor, most) <= coded
