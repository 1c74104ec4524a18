import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcomp.coding.arith import LIMIT, LN, SQUASH, AdaptiveBit, BitDecoder, BitEncoder, ln_fixed
from mcomp.coding.bits import CorruptFileError


def test_tables_are_logarithm_and_logistic():
    # rounded once: within 1/2; exp(1/256) from five terms of its series, 3072 times: within another 1/2
    assert max(abs(LN[k] - 256 * math.log(k)) for k in range(1, 4097)) <= 0.5
    assert max(abs(SQUASH[t] - 65536 / (1 + math.exp(-t / 256))) for t in range(-LIMIT, LIMIT)) <= 1.0
    assert 1 <= min(SQUASH) <= max(SQUASH) <= 65535
    v = np.random.default_rng(0).integers(1, 2**50, 10_000) >> np.random.default_rng(1).integers(
        0, 50, 10_000
    )
    v = np.maximum(v, 1)
    assert np.abs(ln_fixed(v) - 256 * np.log(v)).max() <= 2


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 65535)), max_size=400))
def test_range_coder_round_trip(pairs):
    coder = BitEncoder(iter([b for b, _ in pairs]))
    assert [coder.step(p) for _, p in pairs] == [b for b, _ in pairs]
    data = coder.finish()
    decoder = BitDecoder(data)
    assert [decoder.step(p) for _, p in pairs] == [b for b, _ in pairs]
    assert decoder.finish() is None
    ideal = -sum(math.log2((p if b else 65536 - p) / 65536) for b, p in pairs)
    # a cut is off by at most 1 in 2**8 of its ratio, which for odds of 1 to 65535 costs up to 0.006 bits
    assert 8 * len(data) <= ideal + 0.006 * len(pairs) + 9


def test_range_coder_carries():
    # the upper, improbable part of the interval again and again: bytes of 255 that a carry must pass
    bits = ([0] * 50 + [1]) * 20
    coder = BitEncoder(iter(bits))
    for _ in bits:
        coder.step(65535)
    decoder = BitDecoder(coder.finish())
    assert [decoder.step(65535) for _ in bits] == bits


def test_adaptive_bit_is_krichevsky_trofimov():
    bits = [1, 0, 0, 1, 1, 1, 0, 1] * 40
    model, coder = AdaptiveBit(), BitEncoder(iter(bits))
    for _ in bits:
        model.code(coder)
    n1, n0 = bits.count(1), bits.count(0)
    lg = math.lgamma
    ideal = (lg(n1 + n0 + 1) + math.log(math.pi) - lg(n1 + 0.5) - lg(n0 + 0.5)) / math.log(2)
    # the sequential estimate equals the closed form; the coder rounds to bytes and probabilities to 2**-16
    assert abs(8 * len(coder.finish()) - ideal) <= 9


def test_range_decoder_refuses_bytes_that_nobody_wrote():
    coder = BitEncoder(iter([1, 0, 1]))
    for p in (60000, 100, 50000):
        coder.step(p)
    data = coder.finish()
    for bad in (data + b"\0", data + bytes(range(1, 9))):
        decoder = BitDecoder(bad)
        for p in (60000, 100, 50000):
            decoder.step(p)
        with pytest.raises(CorruptFileError):
            decoder.finish()
