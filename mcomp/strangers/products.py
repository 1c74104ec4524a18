"""Which parameters a network multiplies with: the oracle for `mcomp.matrices`, by watching torch's functions.

Every product that the network computes is seen as torch is called. A factor that depends on parameters only,
on no input and no row of an embedding, is a weight; the largest tensor that it is made of is its matrix.
"""

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

__all__ = ["multiplied"]

_LINEAR = {F.linear, torch._C._nn.linear}
_CONVOLUTIONS = {torch.conv1d, torch.conv2d, torch.conv3d}
_TRANSPOSED = {torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d}
_MATMUL = {
    torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.mm, torch.bmm, torch.Tensor.__rmatmul__
}  # fmt: skip
_RECURRENT = {torch.lstm, torch.gru, torch._VF.lstm, torch._VF.gru}


class _Watch(TorchFunctionMode):
    """Collects (factor, which of its axes is the output)."""

    def __init__(self):
        super().__init__()
        self.factors = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in _LINEAR or function in _CONVOLUTIONS:
            self.factors.append((args[1], 0))
        elif function in _TRANSPOSED:
            self.factors.append((args[1], 1))
        elif function in _MATMUL:
            self.factors.append((args[1], args[1].ndim - 1))
        elif function is torch.addmm:
            self.factors.append((args[2], 1))
        elif function is F.multi_head_attention_forward:
            self.factors += [(args[5], 0), (args[11], 0)]  # of the projections in and out
        elif function in _RECURRENT:
            held = next(x for x in args if isinstance(x, (list, tuple)) and len(x) > 2)
            self.factors += [(w, 0) for w in held if w.ndim == 2]
        return function(*args, **(kwargs or {}))


def multiplied(stranger):
    """The matrices of a stranger: dict of name to the axis of its outputs, None where it is computed anew.

    A weight behind a parametrization or a hook has the name that its layer reads it by, "conv1.weight".
    """
    model = stranger.model().requires_grad_()
    x = stranger.x
    marked = [t.detach().clone().requires_grad_() for t in _tensors(x) if t.is_floating_point()]
    fresh = iter(marked)
    x = _mapped(x, lambda t: next(fresh) if t.is_floating_point() else t)
    with torch.enable_grad(), _Watch() as watch:
        stranger.logits(model, x)
    tensors = {id(p): name for name, p in model.named_parameters()}
    found = {}
    for factor, axis in watch.factors:
        leaves, of_data = _sources(factor, {id(t) for t in marked})
        named = [
            (leaf.numel(), tensors[id(leaf)]) for leaf in leaves if id(leaf) in tensors and leaf.ndim > 1
        ]
        if not of_data and named:
            name = max(named)[1]
            found.setdefault(plain_name(name), _axis(factor, axis, model.get_parameter(name)))
    return found


def plain_name(name):
    """What a layer calls a weight that a parametrization or an old hook makes.

    Examples
    --------
    >>> [plain_name(n) for n in ("fc.weight", "fc.parametrizations.weight.original1", "fc.weight_v")]
    ['fc.weight', 'fc.weight', 'fc.weight']
    """
    if "parametrizations." in name:
        return name.replace("parametrizations.", "").rpartition(".")[0]
    for end in ("_orig", "_v"):
        name = name.removesuffix(end)
    return name


def _tensors(x):
    return list(x.values()) if isinstance(x, dict) else list(x) if isinstance(x, tuple) else [x]


def _mapped(x, change):
    if isinstance(x, dict):
        return {name: change(t) for name, t in x.items()}
    return tuple(map(change, x)) if isinstance(x, tuple) else change(x)


def _sources(factor, inputs):
    """The leaves of autograd's graph behind a factor, and whether data is among them."""
    if factor.grad_fn is None:
        return [factor], id(factor) in inputs or not isinstance(factor, nn.Parameter)
    seen, stack, leaves, of_data = set(), [factor.grad_fn], [], False
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            leaves.append(leaf)
            of_data |= id(leaf) in inputs
        of_data |= "Embedding" in node.name()
        stack += [parent for parent, _ in node.next_functions if parent is not None]
    return leaves, of_data


def _axis(factor, axis, leaf):
    """The axis of `leaf` that `axis` of a view of it is."""
    if factor.untyped_storage().data_ptr() != leaf.untyped_storage().data_ptr():
        return None
    matches = [i for i in range(leaf.ndim) if leaf.stride(i) == factor.stride(axis)]
    return matches[0] if factor.shape[axis] in leaf.shape else None
