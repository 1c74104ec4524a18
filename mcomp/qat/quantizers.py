"""Training with the rounding in the loop: quantizers with a gradient, for any training loop.

The gradient of a staircase is zero almost everywhere; each function here puts another one in its place and
says which. Derived in chapters/08_training_with_the_rounding.ipynb. Torch only.
"""

import math

import torch

from mcomp.arrays import bad_value, check_int, check_real

__all__ = ["lsq", "lsq_share", "lsq_start", "pact", "round_straight_through"]

MAX = 2**16  # integers go from -MAX to MAX


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def round_straight_through(x):
    """The nearest integer, half to even; its gradient is taken to be that of the identity.

    The straight-through estimator of Bengio et al. 2013 (arXiv:1308.3432), section 4.

    Examples
    --------
    >>> x = torch.tensor([0.4, 0.5, 1.5], requires_grad=True)
    >>> y = round_straight_through(x)
    >>> y.sum().backward()
    >>> y.tolist(), x.grad.tolist()
    ([0.0, 0.0, 2.0], [1.0, 1.0, 1.0])
    """
    return _Round.apply(x)


class _Lsq(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, qmin, qmax, share):
        position = x / scale
        ctx.save_for_backward(position, scale)
        ctx.qmin, ctx.qmax, ctx.share = qmin, qmax, share
        return position.clamp(qmin, qmax).round_().mul_(scale)

    @staticmethod
    def backward(ctx, gradient):
        position, scale = ctx.saved_tensors
        inside = (position >= ctx.qmin) & (position <= ctx.qmax)
        to_x = to_scale = None
        if ctx.needs_input_grad[0]:
            to_x = gradient * inside
        if ctx.needs_input_grad[1]:
            slope = position.clamp(ctx.qmin, ctx.qmax).round_()
            slope = slope.sub_(position * inside).mul_(gradient)
            to_scale = slope.sum_to_size(scale.shape).mul_(ctx.share)
        return to_x, to_scale, None, None, None


def lsq(x, scale, *, qmin, qmax, share=1.0):
    """`x` on the grid scale * (qmin ... qmax), with gradients for `x` and for the step `scale`.

    Learned step size quantization, Esser et al. 2019 (arXiv:1902.08153), eq. 1 to 3. With v = x / scale the
    gradient of the output is, taking rounding for the identity,

    - to x: 1 where qmin <= v <= qmax, else 0;
    - to scale: round(v) - v inside, qmin below, qmax above.

    Parameters
    ----------
    x : floating tensor, any shape
    scale : floating tensor that broadcasts against `x`
        Step, above 0. One number, or one for each channel.
    qmin, qmax : int
    share : float
        Factor of the gradient to `scale`, see `lsq_share`.

    Returns
    -------
    y : tensor of the shape of `x`

    Raises
    ------
    ValueError
        If a scale is not above 0, the range is empty, or the shapes don't broadcast to that of `x`.

    Examples
    --------
    >>> x, scale = torch.tensor([0.3, 9.0], requires_grad=True), torch.tensor(0.5, requires_grad=True)
    >>> y = lsq(x, scale, qmin=-1, qmax=1)
    >>> y.sum().backward()
    >>> y.tolist(), x.grad.tolist(), round(float(scale.grad), 6)  # (1 - 0.6) + 1
    ([0.5, 0.5], [1.0, 0.0], 1.4)
    """
    check_int("qmax", qmax, check_int("qmin", qmin, -MAX) + 1, MAX)
    pairs = zip(reversed(scale.shape), reversed(x.shape), strict=False)
    if scale.ndim > x.ndim or any(n not in (1, m) for n, m in pairs):
        raise bad_value("scale.shape", tuple(scale.shape), f"one that broadcasts to {tuple(x.shape)}")
    if not bool((scale.detach() > 0).all()):
        raise bad_value("the least scale", float(scale.detach().min()), "a number above 0")
    return _Lsq.apply(x, scale, qmin, qmax, check_real("share", share))


def lsq_share(count, qmax):
    """1 / sqrt(count * qmax): makes the relative step of a scale as large as that of a weight.

    Esser et al. 2019 (arXiv:1902.08153), section 2.2; `count` weights share the scale.

    Examples
    --------
    >>> lsq_share(25, 4)
    0.1
    """
    return 1 / math.sqrt(check_int("count", count, 1) * check_int("qmax", qmax, 1))


def lsq_start(x, *, qmax, axis=None):
    """Where learning the step begins: 2 * mean|x| / sqrt(qmax), of all of `x` or by index along `axis`.

    Esser et al. 2019 (arXiv:1902.08153), section 2.1. The result broadcasts against `x`.

    Examples
    --------
    >>> lsq_start(torch.tensor([[1.0, -3.0], [2.0, 2.0]]), qmax=4, axis=0).tolist()
    [[2.0], [2.0]]
    """
    others = [a for a in range(x.ndim) if axis is None or a != axis % x.ndim]
    mean = x.detach().abs().mean(others, keepdim=axis is not None)
    return (2 * mean / math.sqrt(check_int("qmax", qmax, 1))).clamp_min(torch.finfo(x.dtype).eps)


def pact(x, alpha, *, bits):
    """`x` clipped to [0, alpha] and rounded to 2**bits - 1 steps; the ceiling `alpha` learns.

    Choi et al. 2018 (arXiv:1805.06085), eq. 1 to 3: the gradient to `x` is 1 strictly inside and 0 elsewhere,
    the gradient to `alpha` is 1 where x >= alpha and 0 elsewhere: how far the grid moves inside is ignored,
    which is what `lsq` adds.

    Parameters
    ----------
    x : floating tensor, any shape
    alpha : floating tensor ()
        Above 0.
    bits : int
        1 to 16.

    Examples
    --------
    >>> x, alpha = torch.tensor([-1.0, 0.4, 5.0], requires_grad=True), torch.tensor(3.0, requires_grad=True)
    >>> y = pact(x, alpha, bits=2)
    >>> y.sum().backward()
    >>> y.tolist(), x.grad.tolist(), float(alpha.grad)
    ([0.0, 0.0, 3.0], [0.0, 1.0, 0.0], 1.0)
    """
    steps = 2 ** check_int("bits", bits, 1, 16) - 1
    if alpha.ndim or not float(alpha.detach()) > 0:
        raise bad_value("alpha", alpha.detach().tolist(), "one number above 0")
    clipped = torch.where(x > 0, torch.where(x < alpha, x, alpha), torch.zeros_like(x))
    scale = alpha.detach() / steps
    return clipped + (torch.round(clipped.detach() / scale) * scale - clipped.detach())
