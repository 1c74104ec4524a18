import math

import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mcomp import arrays
from mcomp.arrays import (
    bad_value,
    check_finite,
    check_int,
    check_real,
    constant,
    from_host,
    host_array,
    in_host_memory,
    kth_largest,
    log_softmax,
    scatter_sum,
    to_numpy,
)

quick = settings(derandomize=True, deadline=None, max_examples=60)
tied = npst.arrays(
    np.float32, npst.array_shapes(max_dims=3, max_side=5), elements=st.integers(-2, 2).map(float)
)


@quick
@given(data=st.data(), a=tied)
def test_kth_largest_is_the_kth_of_the_sorted_list(xp, data, a):
    k = data.draw(st.integers(1, a.size))
    assert kth_largest(xp.asarray(a), k) == sorted(a.flatten().tolist(), reverse=True)[k - 1]


def test_kth_largest_on_another_device_agrees(monkeypatch):
    a = torch.randn(50, generator=torch.Generator().manual_seed(0))
    here = [kth_largest(a, k) for k in range(1, 51)]
    monkeypatch.setattr(arrays, "in_host_memory", lambda x: False)
    assert [kth_largest(a, k) for k in range(1, 51)] == here


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.int64])
def test_kth_largest_takes_any_real_dtype_and_a_gradient(dtype):
    a = torch.tensor([1, 7, 3, 7]).to(dtype).requires_grad_(dtype.is_floating_point)
    assert [kth_largest(a, k) for k in (1, 2, 3, 4)] == [7, 7, 3, 1]


@pytest.mark.parametrize("k", [0, 4, -1, 1.0, True, None])
def test_kth_largest_refuses_a_bad_k(k):
    with pytest.raises(ValueError, match=r"^k is .*; allowed: an integer from 1 to 3$"):
        kth_largest(np.arange(3.0), k)


def test_log_softmax_agrees_with_scipy_where_exp_overflows(xp):
    z = np.array([[1e4, 1e4 - 1, -1e4], [0.0, 1.0, 2.0], [-800.0, -801.0, -802.0]])
    # float64 throughout: a few units in the last place
    np.testing.assert_allclose(
        to_numpy(log_softmax(xp.asarray(z))), scipy.special.log_softmax(z, axis=-1), rtol=1e-14, atol=1e-14
    )


@quick
@given(data=st.data(), n=st.integers(1, 6))
def test_scatter_sum_is_the_loop(xp, data, n):
    pairs = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(-9, 9)), min_size=1, max_size=20))
    expected = [float(sum(v for i, v in pairs if i == j)) for j in range(n)]
    index, values = np.array(pairs).T
    out = scatter_sum(xp.asarray(values.astype(np.float32)), xp.asarray(index.copy()), n=n)
    assert to_numpy(out).tolist() == expected  # small integers: exact
    assert out.dtype == xp.float64


def test_scatter_sum_hands_the_gradient_to_each_value():
    v = torch.ones(2, 2, requires_grad=True)
    (scatter_sum(v, torch.tensor([[0, 1], [1, 1]]), n=2) * torch.tensor([3.0, 5.0])).sum().backward()
    assert v.grad.tolist() == [[3, 5], [5, 5]]


def test_host_array_shares_memory_and_from_host_brings_it_back(xp):
    a = np.arange(6.0).reshape(2, 3)
    x = xp.asarray(a)
    assert in_host_memory(x)
    assert np.shares_memory(host_array("x", x), to_numpy(x))
    back = from_host(a, x)
    assert type(back) is type(x)
    assert to_numpy(back).tolist() == a.tolist()


def test_host_array_takes_bfloat16_and_a_gradient():
    x = torch.tensor([1.5, -2.0], dtype=torch.bfloat16, requires_grad=True)
    assert host_array("x", x).tolist() == [1.5, -2.0]


def test_host_array_refuses_another_device():
    with pytest.raises(ValueError, match=r"^w.device is 'meta'; allowed: cpu, .*w\.cpu\(\)$"):
        host_array("w", torch.empty(3, device="meta"))


def test_constant_lets_no_gradient_through():
    x = torch.ones(2, requires_grad=True)
    assert not constant(x).requires_grad
    assert constant(x).data_ptr() == x.data_ptr()
    a = np.ones(2)
    assert constant(a) is a


@pytest.mark.parametrize("value", [3, np.int8(3), np.uint64(3)])
def test_check_int_takes_integers(value):
    assert check_int("n", value, 0, 3) == 3
    assert type(check_int("n", value, 0)) is int


@pytest.mark.parametrize("value", [4, -1, 3.0, True, "3", None, np.float64(3)])
def test_check_int_refuses_the_rest(value):
    with pytest.raises(ValueError, match=r"^n is .*; allowed: an integer from 0 to 3$"):
        check_int("n", value, 0, 3)


def test_check_int_without_a_top():
    with pytest.raises(ValueError, match="at least 2"):
        check_int("n", 1, 2)


@pytest.mark.parametrize("value", [0.25, 0, 1, np.float32(0.5), np.int64(1)])
def test_check_real_takes_numbers(value):
    assert check_real("s", value, 0, 1) == value


@pytest.mark.parametrize("value", [1.2, -0.1, math.nan, math.inf, -math.inf, True, "0.5", None, 1j])
def test_check_real_refuses_the_rest(value):
    with pytest.raises(ValueError, match=r"^s is .*; allowed: a finite number from 0 to 1$"):
        check_real("s", value, 0, 1)


def test_check_finite_counts_what_is_wrong(xp):
    good = xp.asarray(np.ones((2, 2)))
    assert check_finite("x", good) is good
    assert check_finite("x", xp.asarray(np.ones(2, dtype=np.int64))) is not None
    with pytest.raises(ValueError, match="x holds 2 NaN or infinite entries of 4"):
        check_finite("x", xp.asarray(np.array([[1.0, np.nan], [-np.inf, 0.0]])))
    with pytest.raises(ValueError, match=r"x is empty, shape \(2, 0\)"):
        check_finite("x", xp.asarray(np.ones((2, 0))))


def test_bad_value_shows_the_value_and_what_is_allowed():
    assert str(bad_value("bits", 0, "1 to 16")) == "bits is 0; allowed: 1 to 16"
    assert str(bad_value("bits", object(), "1 to 16")) == "bits is <object object>; allowed: 1 to 16"
    assert "'jumps at 0x10'" in str(bad_value("text", "jumps at 0x10", "no jump"))


def test_to_numpy_drops_the_gradient():
    assert to_numpy(torch.ones(2, requires_grad=True)).tolist() == [1, 1]
