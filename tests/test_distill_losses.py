import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from torch.nn import functional as F

from mcomp.arrays import to_numpy
from mcomp.distill import (
    decouple,
    decoupled_kd_loss,
    kd_loss,
    logit_matching_loss,
    smoothed_logits,
    softmax_t,
)

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


labels = npst.arrays(np.int64, (4,), elements=st.integers(0, 4))


@quick
@given(s=logits, t=logits)
def test_logit_matching_is_half_the_squared_distance_of_centred_logits(xp, s, t):
    centred = [z - z.mean(-1, keepdims=True) for z in (s, t)]
    expected = float(F.mse_loss(*map(torch.tensor, centred))) / 2
    value = float(logit_matching_loss(xp.asarray(s), xp.asarray(t)))
    np.testing.assert_allclose(value, expected, rtol=1e-11, atol=1e-11)  # rounding of sums of 20 squares


@quick
@given(s=logits, t=logits)
def test_logit_matching_is_the_limit_of_kd_loss(s, t):
    s, t = s / 10, t / 10
    limit = float(logit_matching_loss(s, t))
    for T in (1e2, 1e3, 1e4):
        # what is left falls as 1 / T: third moments of logits up to 3; rounding 1e-16 grows as T**2
        assert float(kd_loss(s, t, T=T)) == pytest.approx(limit, abs=100 / T + 1e-15 * T**2)


def test_logit_matching_has_the_gradient_of_centred_logits():
    s, t = (torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    logit_matching_loss(s, t).backward()
    gap = (s - t).detach()
    torch.testing.assert_close(s.grad, (gap - gap.mean(1, keepdim=True)) / 12)
    assert t.grad is None


def parts_by_scipy(s, t, y, T):
    """Target, other and weight of one image, each from probabilities."""
    p, q = scipy.special.softmax(t / T), scipy.special.softmax(s / T)
    rest = np.arange(len(p)) != y
    target = scipy.special.rel_entr([p[y], p[rest].sum()], [q[y], q[rest].sum()]).sum()
    other = scipy.special.rel_entr(p[rest] / p[rest].sum(), q[rest] / q[rest].sum()).sum()
    return target, other, p[rest].sum()


@quick
@given(s=logits, t=logits, y=labels, T=st.sampled_from([1, 2.0, 8.0]))
def test_decouple_agrees_with_scipys_relative_entropies(xp, s, t, y, T):
    s, t = s / 3, t / 3  # probabilities down to e**-20, so that the oracle's 1 - p has digits left
    parts = decouple(xp.asarray(s), xp.asarray(t), labels=xp.asarray(y), T=T)
    expected = np.array([parts_by_scipy(*image, T) for image in zip(s, t, y, strict=True)]).T
    # float64: the oracle divides by p[rest], which rounding leaves 1e-16 / e**-20 = 5e-8 of
    np.testing.assert_allclose(np.array([to_numpy(x) for x in parts]), expected, rtol=1e-6, atol=1e-9)


@quick
@given(s=logits, t=logits, y=labels, T=temperature)
def test_the_parts_add_up_to_kd_loss(s, t, y, T):
    target, other, weight = decouple(s, t, labels=y, T=T)
    whole = T**2 * np.mean(target + weight * other)
    assert float(kd_loss(s, t, T=T)) == pytest.approx(whole, rel=1e-10, abs=1e-10)  # cancels as above
    assert min(target.min(), other.min()) > -1e-12  # a divergence is never negative; rounding


@pytest.mark.parametrize("beta", [8.0, 0.0, 0.5])
def test_decoupled_kd_loss_and_its_gradient_agree_with_finite_differences(beta):
    rng = np.random.default_rng(1)
    s, t, y, h = rng.standard_normal((3, 4)), rng.standard_normal((3, 4)), np.array([0, 3, 3]), 1e-5
    call = lambda s, t, y: decoupled_kd_loss(s, t, labels=y, T=4, beta=beta)  # noqa: E731
    expected = np.array([parts_by_scipy(*image, 4) for image in zip(s, t, y, strict=True)]).mean(0)
    assert float(call(s, t, y)) == pytest.approx(16 * (expected[0] + beta * expected[1]))
    student = torch.tensor(s, requires_grad=True)
    teacher = torch.tensor(t, requires_grad=True)
    call(student, teacher, torch.tensor(y)).backward()
    assert teacher.grad is None
    for i in np.ndindex(3, 4):
        step = np.zeros((3, 4))
        step[i] = h
        slope = (call(s + step, t, y) - call(s - step, t, y)) / (2 * h)
        assert slope == pytest.approx(float(student.grad[i]), abs=1e-7)  # h**2, and rounding 1e-15 / h


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_parts_of_huge_logits_stay_finite(xp, dtype):
    s, t = np.array([[1e4, 0.0, -1e4]], dtype), np.array([[-1e4, 0.0, 1e4]], dtype)
    parts = decouple(xp.asarray(s), xp.asarray(t), labels=xp.asarray(np.array([2])), T=2.0)
    # the teacher is sure of class 2, log q is -2e4 / T; of the others it is sure of class 1, -1e4 / T
    np.testing.assert_allclose([float(x[0]) for x in parts], [1e4, 5e3, 0], rtol=1e-6)
    assert all(x.dtype == xp.asarray(s).dtype for x in parts)


def test_the_gradient_of_huge_logits_is_finite():
    s = torch.tensor([[1e4, 0.0, -1e4]], requires_grad=True)
    decoupled_kd_loss(s, -s.detach(), labels=torch.tensor([2]), T=1.0).backward()
    assert bool(s.grad.isfinite().all())


@quick
@given(s=logits, y=labels, epsilon=st.sampled_from([0.01, 0.1, 0.5, 1.0]))
def test_label_smoothing_is_a_teacher_that_knows_only_labels(s, y, epsilon):
    s, y = torch.tensor(s, requires_grad=True), torch.tensor(y)
    (theirs,) = torch.autograd.grad(F.cross_entropy(s, y, label_smoothing=epsilon), s)
    virtual = smoothed_logits(y, 5, epsilon=epsilon)
    (ours,) = torch.autograd.grad(kd_loss(s, virtual.double(), T=1), s)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)  # the virtual logits are float32


def test_smoothed_logits_are_logarithms_of_probabilities(xp):
    z = to_numpy(smoothed_logits(xp.asarray(np.array([1, 0])), 3, epsilon=0.3))
    # torch's default dtype is float32
    np.testing.assert_allclose(np.exp(z), [[0.1, 0.8, 0.1], [0.8, 0.1, 0.1]], rtol=1e-6)


two = np.array([0, 1])


@pytest.mark.parametrize(
    "call",
    [
        lambda f: logit_matching_loss(f(ones), f(np.ones((3, 2)))),
        lambda f: logit_matching_loss(f(ones[0]), f(ones[0])),
        lambda f: logit_matching_loss(f(np.array([[1.0, np.nan]])), f(ones[:1, :2])),
        lambda f: decouple(f(ones), f(ones), labels=f(two), T=0),
        lambda f: decouple(f(ones), f(ones), labels=f(np.array([0, 3])), T=1),
        lambda f: decouple(f(ones), f(ones), labels=f(np.array([0, -1])), T=1),
        lambda f: decouple(f(ones), f(ones), labels=f(np.array([0, 1, 2])), T=1),
        lambda f: decouple(f(ones), f(ones), labels=f(np.array([0.0, 1.0])), T=1),
        lambda f: decouple(f(ones[:, :1]), f(ones[:, :1]), labels=f(np.array([0, 0])), T=1),
        lambda f: decouple(f(ones), f(np.ones((3, 2))), labels=f(two), T=1),
        lambda f: decoupled_kd_loss(f(ones), f(ones), labels=f(two), T=1, beta=-1.0),
        lambda f: decoupled_kd_loss(f(ones), f(ones), labels=f(two), T=1, beta=np.nan),
        lambda f: decoupled_kd_loss(f(np.array([[1.0, np.nan]])), f(ones[:1, :2]), labels=f(two[:1]), T=1),
        lambda f: smoothed_logits(f(two), 3, epsilon=0.0),
        lambda f: smoothed_logits(f(two), 3, epsilon=1.1),
        lambda f: smoothed_logits(f(two), 1, epsilon=0.1),
        lambda f: smoothed_logits(f(two), 2.0, epsilon=0.1),
        lambda f: smoothed_logits(f(np.array([0, 5])), 3, epsilon=0.1),
    ],
)
def test_bad_arguments_of_the_other_losses(xp, call):
    with pytest.raises(ValueError, match="allowed: "):
        call(xp.asarray)


@pytest.mark.parametrize("wrong", [-100, 7])
def test_a_label_that_is_none_is_the_one_named(xp, wrong):
    y = xp.asarray(np.array([1, 2, wrong]))
    with pytest.raises(ValueError, match=rf"a label is {wrong}; allowed: labels from 0 to 3"):
        decouple(xp.asarray(np.ones((3, 4))), xp.asarray(np.ones((3, 4))), labels=y, T=1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_losses_of_half_precision_logits_are_those_of_float32(dtype):
    """A thousand classes: in half precision the sum alone would lose the third digit."""
    chance = torch.Generator().manual_seed(0)
    s, t = (3 * torch.randn(64, 1000, generator=chance) for _ in range(2))
    s, t, y = s.to(dtype).requires_grad_(), t.to(dtype), torch.arange(64)
    for loss in (
        lambda s, t: kd_loss(s, t, T=2.0),
        logit_matching_loss,
        lambda s, t: decoupled_kd_loss(s, t, labels=y, T=2.0),
    ):
        exact = float(loss(s.detach().double(), t.double()))
        found = loss(s, t)
        assert found.dtype == torch.float32
        assert found.item() == pytest.approx(exact, rel=1e-5)  # 64,000 float32 terms
        (gradient,) = torch.autograd.grad(found, s)
        assert gradient.dtype == dtype
    assert softmax_t(s, 2.0).dtype == dtype
