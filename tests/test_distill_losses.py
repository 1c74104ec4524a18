import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from torch.nn import functional as F

from mcomp.arrays import to_numpy
from mcomp.distill import kd_loss, softmax_t

quick = settings(derandomize=True, deadline=None, max_examples=60)
temperature = st.sampled_from([0.5, 1, 2.0, 4, 20.0])
logits = npst.arrays(np.float64, (4, 5), elements=st.floats(-30, 30))


@quick
@given(z=logits, T=temperature)
def test_softmax_t_is_scipys_softmax_of_z_over_t(xp, z, T):
    p = to_numpy(softmax_t(xp.asarray(z), T))
    # float64; exp of a logarithm down to -120 loses 120 units in the last place
    np.testing.assert_allclose(p, scipy.special.softmax(z / T, axis=-1), rtol=1e-13)
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-14)


def test_softmax_t_softens_above_one_and_sharpens_below(xp):
    z = xp.asarray(np.array([0.0, 1.0, 3.0]))
    largest = [float(to_numpy(softmax_t(z, T)).max()) for T in (0.5, 1, 4)]
    assert largest == sorted(largest, reverse=True)
    assert largest[2] < 0.6 < largest[1] < largest[0]


@quick
@given(s=logits, t=logits, T=temperature)
def test_kd_loss_is_t_squared_times_scipys_relative_entropy(xp, s, t, T):
    p, q = (scipy.special.softmax(z / T, axis=-1) for z in (t, s))
    expected = T**2 * scipy.special.rel_entr(p, q).sum() / 4
    # rel_entr cancels p log p against p log q: absolute error 1e-16 times |log q| <= 120, times T**2 = 400
    np.testing.assert_allclose(
        float(kd_loss(xp.asarray(s), xp.asarray(t), T=T)), expected, rtol=1e-11, atol=1e-11
    )


@quick
@given(s=logits, t=logits, T=temperature)
def test_kd_loss_and_gradient_agree_with_kl_div(s, t, T):
    s, t = torch.tensor(s, requires_grad=True), torch.tensor(t)
    theirs = T**2 * F.kl_div(F.log_softmax(s / T, -1), F.softmax(t / T, -1), reduction="batchmean")
    (expected,) = torch.autograd.grad(theirs, s)
    ours = kd_loss(s, t, T=T)
    (gradient,) = torch.autograd.grad(ours, s)
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)  # as above
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-12)
    closed = T * (softmax_t(s, T) - softmax_t(t, T)) / 4  # Hinton et al. 2015, eq. 2, times T**2 / batch
    torch.testing.assert_close(gradient, closed.detach(), rtol=1e-10, atol=1e-12)


def test_the_gradient_agrees_with_finite_differences():
    rng = np.random.default_rng(0)
    s, t, h = rng.standard_normal((3, 4)), rng.standard_normal((3, 4)), 1e-5
    tensor = torch.tensor(s, requires_grad=True)
    kd_loss(tensor, torch.tensor(t), T=3.0).backward()
    for i in np.ndindex(3, 4):
        step = np.zeros((3, 4))
        step[i] = h
        slope = (kd_loss(s + step, t, T=3.0) - kd_loss(s - step, t, T=3.0)) / (2 * h)
        assert slope == pytest.approx(float(tensor.grad[i]), abs=1e-8)  # h**2, and rounding 1e-16 / h


def test_the_teacher_is_a_constant():
    s, t = torch.randn(2, 3, requires_grad=True), torch.randn(2, 3, requires_grad=True)
    kd_loss(s, t, T=2).backward()
    assert t.grad is None
    assert s.grad.abs().sum() > 0


def test_the_loss_is_not_symmetric_and_points_from_the_teacher():
    sure, unsure = np.array([[10.0, 0.0]]), np.array([[0.0, 0.0]])
    assert kd_loss(unsure, sure, T=1) == pytest.approx(
        np.log(2), abs=1e-3
    )  # KL((1, 0) || (1/2, 1/2)) = log 2
    assert kd_loss(sure, unsure, T=1) > 4  # KL((1/2, 1/2) || (1, 0)) grows with the logit: 5 - log 2


@quick
@given(z=logits, T=temperature, shift=st.floats(-100, 100))
def test_the_loss_of_the_same_answer_is_zero(xp, z, T, shift):
    value = float(kd_loss(xp.asarray(z + shift), xp.asarray(z), T=T))
    assert (
        abs(value) < 1e-10
    )  # a constant added to a row changes nothing; 1e-14 of the shift, times T**2 = 400


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_logits_stay_finite(xp, dtype):
    s, t = np.array([[1e4, 0.0, -1e4]], dtype), np.array([[-1e4, 0.0, 1e4]], dtype)
    loss = kd_loss(xp.asarray(s), xp.asarray(t), T=2.0)
    assert float(loss) == pytest.approx(
        4 * 1e4
    )  # p is 1 on the last class: T**2 * (0 - log q), log q = -2e4 / T
    assert loss.dtype == xp.asarray(s).dtype


ones = np.ones((2, 3))


@pytest.mark.parametrize(
    "call",
    [
        lambda f: softmax_t(f(ones), 0),
        lambda f: softmax_t(f(ones), -1.0),
        lambda f: softmax_t(f(ones), np.inf),
        lambda f: softmax_t(f(np.array([1.0, np.nan])), 1),
        lambda f: softmax_t(f(np.array(1.0)), 1),
        lambda f: softmax_t(f(np.array([1, 2])), 1),
        lambda f: softmax_t(f(np.ones((2, 0))), 1),
        lambda f: kd_loss(f(ones), f(ones), T=0),
        lambda f: kd_loss(f(ones), f(np.ones((3, 2))), T=1),
        lambda f: kd_loss(f(ones[0]), f(ones[0]), T=1),
        lambda f: kd_loss(f(np.ones((0, 3))), f(np.ones((0, 3))), T=1),
        lambda f: kd_loss(f(ones.astype(int)), f(ones), T=1),
        lambda f: kd_loss(f(np.array([[1.0, np.nan]])), f(ones[:1, :2]), T=1),
        lambda f: kd_loss(f(ones[:1, :2]), f(np.array([[1.0, np.nan]])), T=1),
    ],
)
def test_bad_arguments(xp, call):
    with pytest.raises(ValueError, match="allowed: "):
        call(xp.asarray)
