"""Multiply-accumulates by watching the operations that run, each charged to the module that runs it.

What a class is called doesn't matter: a product in attention, a recurrent step or a functional layer is seen
like that of a Linear, since all of them end in a few kernels. Chapter 01.
"""

import contextlib
import math
import warnings
from collections import defaultdict

import torch
from torch.nn.modules import module as hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["address", "count_macs"]


def count_macs(model, run):
    """Call ``run()`` and charge what it multiplies to the modules of `model` in which that happens.

    Counted are products of matrices, convolutions and attention; elementwise work (normalisation, activation
    functions, sums) and look-ups in a table multiply nothing that is added up, and count 0.

    Returns
    -------
    macs : dict of str to int
        By the name of the innermost module, "" for the model itself; only those that multiply.
    read : set of int
        Addresses of the memory of all tensors that an operation read: tells which parameters took part.

    Examples
    --------
    >>> model = torch.nn.LSTM(2, 3)
    >>> with torch.no_grad():
    ...     count_macs(model, lambda: model(torch.zeros(4, 1, 2)))[0]  # 4 steps, 4 gates: 4·4·3·(2 + 3)
    {'': 240}
    """
    names, stack = {module: name for name, module in model.named_modules()}, [""]

    def enter(module, inputs):
        stack.append(names.get(module, stack[-1]))

    def leave(module, inputs, output):
        stack.pop()

    mode = _Counter(stack)
    handles = [hooks.register_module_forward_pre_hook(enter), hooks.register_module_forward_hook(leave)]
    try:
        with _as_written(), mode:
            run()
    finally:
        for handle in handles:
            handle.remove()
    return dict(mode.macs), mode.read


@contextlib.contextmanager
def _as_written():
    """Without fused kernels for whole layers, which would hide their products."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about TF32, which no processor has
            with torch.backends.mkldnn.flags(enabled=False):
                yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


class _Counter(TorchDispatchMode):
    def __init__(self, stack):
        super().__init__()
        self.stack, self.macs, self.read = stack, defaultdict(int), set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        if name not in _OPERATIONS:  # in inference mode a linear or recurrent layer arrives in one piece
            with self:
                result = function.decompose(*args, **(kwargs or {}))
            if result is not NotImplemented:
                return result
        result = function(*args, **(kwargs or {}))
        self.read.update(address(x) for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor))
        count = _OPERATIONS.get(name)
        if count is not None:
            self.macs[self.stack[-1]] += count(result, *args)
        return result


def address(x):
    """Where the memory of a tensor begins: the same for all views of it."""
    return x.untyped_storage().data_ptr()


def _matrices(result, a, b, *_):
    """(..., m, k) times (..., k, n): k products an entry of the result."""
    return result.numel() * a.shape[-1]


def _convolution(result, x, w, bias, stride, padding, dilation, transposed, *_):
    """Each output sums one patch of its group; transposed, each input goes into one patch of the output."""
    entries = x.numel() if transposed else result.numel()
    return entries * w.shape[1] * math.prod(w.shape[2:])


def _attention(result, q, k, v, *_):
    """Scores (length, keys) of each head, and their weighted sums of the values."""
    return math.prod(q.shape[:-1]) * k.shape[-2] * (q.shape[-1] + v.shape[-1])


def _added(result, bias, a, b, *_):
    return _matrices(result, a, b)


def _summed(result, bias, a, b, *_):
    """The products of a batch, added up."""
    return a.numel() * b.shape[-1]


def _bilinear(result, x, w, *_):
    """x W z for each output, whose matrix W is used once."""
    return result.numel() * math.prod(w.shape[-2:])


_OPERATIONS = {
    "mm": _matrices, "bmm": _matrices, "mv": _matrices, "dot": lambda result, a, b: a.numel(),
    "addmm": _added, "baddbmm": _added, "addmv": _added, "addbmm": _summed, "_trilinear": _bilinear,
    "convolution": _convolution, "_convolution": _convolution,
    "_scaled_dot_product_flash_attention": _attention,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_efficient_attention": _attention,
    "_scaled_dot_product_cudnn_attention": _attention,
}  # fmt: skip
