import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as npst

from mcomp.arrays import to_numpy
from mcomp.quantize.binary import binarize, pack_signs, popcount, rows, unpack_signs, unrows, xnor_matmul

quick = settings(derandomize=True, deadline=None, max_examples=60)
words32 = npst.arrays(np.uint32, npst.array_shapes(max_dims=2, max_side=5))


@pytest.mark.parametrize("seed", range(5))
def test_no_signs_and_scale_are_nearer(xp, seed):
    w = np.random.default_rng(seed).normal(size=6)
    signs, scale = binarize(xp.asarray(w))
    ours = ((w - to_numpy(scale) * np.where(to_numpy(signs), 1, -1)) ** 2).sum()
    errors = []
    for pattern in itertools.product([-1.0, 1.0], repeat=6):  # the best scale for each by least squares
        a = np.linalg.lstsq(np.array(pattern)[:, None], w, rcond=None)[0][0]
        errors.append(((w - a * np.array(pattern)) ** 2).sum())
    assert ours == pytest.approx(min(errors), rel=1e-12)
    assert ours == pytest.approx((w**2).sum() - 6 * to_numpy(scale)[0] ** 2, rel=1e-9)


def test_a_scale_for_each_channel_is_binarize_row_by_row(xp):
    w = np.random.default_rng(0).normal(size=(3, 4, 2, 2)).astype(np.float32)
    for axis in (0, 1, -1):
        signs, scale = binarize(xp.asarray(w), axis=axis)
        assert signs.dtype == xp.bool
        assert scale.dtype == xp.float32
        expected = [abs(np.take(w, i, axis)).astype(np.float64).mean() for i in range(w.shape[axis])]
        assert (to_numpy(scale) == np.float32(expected)).all()
        assert (to_numpy(signs) == (w >= 0)).all()


@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1])
def test_rows_and_back(xp, axis):
    w = xp.asarray(np.random.default_rng(0).normal(size=(2, 3, 4)))
    table = rows(w, axis)
    assert table.shape[0] == (1 if axis is None else w.shape[axis])
    assert (to_numpy(unrows(table, w.shape, axis)) == to_numpy(w)).all()


@pytest.mark.parametrize(
    ("w", "axis", "complaint"),
    [
        (np.array([1, 2]), None, "w.dtype is .*int64"),
        (np.array([]), None, "w is empty"),
        (np.array([np.nan]), None, "w holds 1 NaN"),
        (np.ones((2, 2)), 2, "axis is 2; allowed: an integer from -2 to 1"),
    ],
)
def test_bad_weights(xp, w, axis, complaint):
    with pytest.raises(ValueError, match=complaint):
        binarize(xp.asarray(w), axis=axis)


@quick
@given(signs=npst.arrays(bool, npst.array_shapes(max_dims=3, max_side=70)))
def test_packing_is_numpy_s_and_comes_back(signs):
    words = pack_signs(signs)
    padded = np.zeros((*signs.shape[:-1], 32 * words.shape[-1]), bool)
    padded[..., : signs.shape[-1]] = signs
    theirs = np.packbits(padded, axis=-1, bitorder="little").view("<u4")
    assert words.dtype == np.uint32
    assert (words == theirs).all()
    assert (unpack_signs(words, signs.shape[-1]) == signs).all()


@quick
@given(words=words32)
def test_popcount_is_python_s(words):
    before = words.copy()
    expected = [int(word).bit_count() for word in words.reshape(-1)]
    assert popcount(words).reshape(-1).tolist() == expected
    assert (words == before).all()


@pytest.mark.parametrize("n", [1, 31, 32, 33, 100, 784])
@pytest.mark.parametrize("count", [popcount, np.bitwise_count])
def test_xnor_is_the_matrix_product(n, count):
    rng = np.random.default_rng(n)
    a, b = rng.random((5, n)) < 0.5, rng.random((7, n)) < 0.3
    found = xnor_matmul(pack_signs(a), pack_signs(b), n=n, count=count)
    assert found.dtype == np.int32
    assert (found == (2 * a.astype(int) - 1) @ (2 * b.astype(int) - 1).T).all()


def test_bad_words():
    a = pack_signs(np.ones((2, 40), bool))
    for call, complaint in [
        (lambda: pack_signs(np.ones(3)), "signs is .*float64"),
        (lambda: pack_signs(np.ones((2, 0), bool)), "signs is"),
        (lambda: popcount(np.array([1])), "words.dtype is 'int64'; allowed: uint32"),
        (lambda: unpack_signs(a, 65), "n is 65; allowed: an integer from 1 to 64"),
        (lambda: xnor_matmul(a, a, n=32), "n is 32; allowed: an integer from 33 to 64"),
        (lambda: xnor_matmul(a, a[:, :1], n=40), "b is"),
        (lambda: xnor_matmul(a[0], a, n=40), "a is"),
    ]:
        with pytest.raises(ValueError, match=complaint):
            call()
