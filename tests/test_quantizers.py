"""Gradients through rounding: against torch's learnable fake_quantize, autograd, finite differences."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mcomp.qat.quantizers import lsq, lsq_share, lsq_start, pact, round_straight_through

quick = settings(derandomize=True, deadline=None, max_examples=30)
floats = npst.arrays(np.float64, npst.array_shapes(max_dims=3, max_side=5), elements=st.floats(-8, 8))


def leaf(x, dtype=torch.float64):
    return torch.tensor(x, dtype=dtype, requires_grad=True)


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_autograd(x, scale, qmin, qmax):
    """The definition: clip(x / scale) rounded with the gradient of the identity, times scale."""
    clipped = (x / scale).clamp(qmin, qmax)
    return (clipped + (clipped.round() - clipped).detach()) * scale


@pytest.mark.parametrize(("qmin", "qmax"), [(-8, 7), (-2, 1), (0, 15), (-7, 7)])
@pytest.mark.parametrize("shape", [(), (5, 1), (1, 9)])
def test_lsq_is_the_gradient_of_its_definition(qmin, qmax, shape):
    data, upstream = 3 * numbers(5, 9), numbers(5, 9, seed=1)
    found, expected = [], []
    for function, out in ((lambda *a: lsq(*a[:2], qmin=a[2], qmax=a[3]), found), (by_autograd, expected)):
        x, scale = (
            data.clone().requires_grad_(),
            torch.full(shape, 0.37, dtype=torch.float64).requires_grad_(),
        )
        y = function(x, scale, qmin, qmax)
        y.backward(upstream)
        out += [y.detach(), x.grad, scale.grad]
    assert torch.equal(found[0], expected[0])
    assert torch.allclose(found[1], expected[1], rtol=1e-12)  # divided by the scale and multiplied again
    assert torch.allclose(found[2], expected[2], rtol=1e-10, atol=1e-12)  # sums in another order


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_lsq_is_torchs_learnable_fake_quantize(bits):
    qmin, qmax = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    data, upstream = numbers(40, 30).float(), numbers(40, 30, seed=1).float()
    edge = ((data / 0.25).clamp(qmin, qmax) != data / 0.25) & (
        (data / 0.25).round().clamp(qmin, qmax) == (data / 0.25).round()
    )
    data[edge] = 0  # there torch asks whether the rounded number is inside, the paper whether the number is
    results = []
    for theirs in (False, True):
        x, scale = data.clone().requires_grad_(), torch.tensor([0.25], requires_grad=True)  # exact quotients
        if theirs:
            zero = torch.tensor([0.0])
            y = torch._fake_quantize_learnable_per_tensor_affine(x, scale, zero, qmin, qmax, 0.1)
        else:
            y = lsq(x, scale, qmin=qmin, qmax=qmax, share=0.1)
        y.backward(upstream)
        results.append((y.detach(), x.grad, scale.grad))
    ours, theirs = results
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1], theirs[1])
    assert torch.allclose(ours[2], theirs[2], rtol=1e-4)  # 1,200 float32 terms in another order


def test_the_scale_gradient_by_finite_differences():
    """With the integers and the rounding error held, x_hat = scale * clip(x / scale + error) is smooth."""
    x, s, h = 2 * numbers(200), 0.4, 1e-6
    error = (x / s).round() - x / s
    inside = ((x / s) >= -4) & ((x / s) <= 3)

    def frozen(scale):
        return torch.where(inside, x / scale + error, (x / s).clamp(-4, 3)) * scale

    scale = leaf(s)
    lsq(x, scale, qmin=-4, qmax=3).sum().backward()
    slope = (frozen(s + h) - frozen(s - h)).sum() / (2 * h)
    assert math.isclose(float(scale.grad), float(slope), rel_tol=1e-6)  # h**2 and rounding


@quick
@given(x=floats, scale=st.floats(0.01, 10), bits=st.integers(2, 8))
def test_lsq_gives_points_of_the_grid(x, scale, bits):
    qmin, qmax = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    x, scale = torch.from_numpy(x), torch.tensor(scale, dtype=torch.float64)
    q = lsq(x, scale, qmin=qmin, qmax=qmax) / scale
    assert torch.allclose(q, q.round(), atol=1e-9)  # a quotient of a product is rounded twice
    assert float(q.min()) >= qmin - 1e-9
    assert float(q.max()) <= qmax + 1e-9
    inside = (x / scale).clamp(qmin, qmax)
    assert float((q - inside).abs().max()) <= 0.5 + 1e-9


def test_share_and_start():
    assert lsq_share(100, 4) == 1 / 20
    w = numbers(6, 4, 3, 3)
    assert float(lsq_start(w, qmax=4)) == pytest.approx(float(w.abs().mean()))
    rows = lsq_start(w, qmax=1, axis=0)
    assert rows.shape == (6, 1, 1, 1)
    assert float(rows[2]) == pytest.approx(2 * float(w[2].abs().mean()))
    assert float(lsq_start(torch.zeros(3), qmax=1)) > 0


def test_straight_through():
    x = leaf([-0.5, 0.5, 1.5, 2.4])
    y = round_straight_through(x)
    (y * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert y.tolist() == [0.0, 0.0, 2.0, 2.0]
    assert x.grad.tolist() == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_pact_by_its_formulas(bits):
    data, upstream = 3 * numbers(300), numbers(300, seed=1)
    x, alpha = data.clone().requires_grad_(), leaf(2.5)
    y = pact(x, alpha, bits=bits)
    y.backward(upstream)
    clipped = 0.5 * (data.abs() - (data - 2.5).abs() + 2.5)  # eq. 1
    steps = 2**bits - 1
    assert torch.allclose(y.detach(), (clipped * steps / 2.5).round() * 2.5 / steps, atol=1e-12)  # eq. 2
    assert torch.equal(x.grad, upstream * ((data > 0) & (data < 2.5)))
    assert float(alpha.grad) == pytest.approx(float(upstream[data >= 2.5].sum()))  # eq. 3


def test_bad_input():
    x, scale = torch.ones(3, 4), torch.tensor(0.5)
    with pytest.raises(ValueError, match="qmax is -1; allowed: an integer from 1 to 65536"):
        lsq(x, scale, qmin=0, qmax=-1)
    with pytest.raises(ValueError, match=r"the least scale is -0.5; allowed: a number above 0"):
        lsq(x, -scale, qmin=0, qmax=1)
    with pytest.raises(ValueError, match="the least scale is nan"):
        lsq(x, scale * math.nan, qmin=0, qmax=1)
    for shape in ((3,), (2, 4), (1, 3, 4)):
        with pytest.raises(ValueError, match=r"scale.shape is \("):
            lsq(x, torch.ones(shape), qmin=0, qmax=1)
    with pytest.raises(ValueError, match="bits is 0; allowed: an integer from 1 to 16"):
        pact(x, scale, bits=0)
    with pytest.raises(ValueError, match=r"alpha is 0\.0; allowed: one number above 0"):
        pact(x, torch.tensor(0.0), bits=4)
    with pytest.raises(ValueError, match="alpha is"):
        pact(x, torch.ones(4), bits=4)
    with pytest.raises(ValueError, match="count is 0"):
        lsq_share(0, 3)
    with pytest.raises(ValueError, match="qmax is 0"):
        lsq_start(x, qmax=0)
