"""Rotate a transformer's residual stream: the same function, and no channel stands out any more.

Let Q be orthogonal. If all that writes to the stream x writes ``Qᵀx``, an RMS norm without a gain gives
``Qᵀ`` of what it gave, since ``‖Qᵀx‖ = ‖x‖``, and a layer that reads it, ``W Qᵀ⁻¹ = W Q``, undoes it: ``W
x = (W Q)(Qᵀx)``. So first each gain is multiplied into the layers behind its norm, then embeddings and
writers are turned by Qᵀ and readers by Q. A layer norm subtracts the mean, which Q doesn't keep. Ashkboos
et al. 2024, arXiv:2401.15024, and arXiv:2404.00456 (QuaRot).
"""

import torch
from torch import nn

from mcomp import calling
from mcomp.arrays import bad_value
from mcomp.measure.difference import largest_difference
from mcomp.plain import copied, not_plain
from mcomp.ptq.scaling import SAME, read_by
from mcomp.quantize.hadamard import random_rotation

__all__ = ["fold_gains", "rotate"]


def fold_gains(model, x, *, output=None):
    """A copy of `model`, the same function, in which each norm's gain is 1: it is in the layers behind it.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed.
    x : tensor (n, ...), or several inputs as in `mcomp.calling`; two rows are used
    output : what picks the outputs, see `mcomp.calling.pick`

    Raises
    ------
    ValueError
        By name, if something else than plain linear layers reads a norm, or the function wouldn't stay.
    """
    wide, x = _wide(model, x)
    _fold(wide, _stream(wide, x))
    return _same(model, wide, x, output, "a network whose gains can be folded")


@torch.no_grad()
def rotate(model, x, *, rotation=None, seed=0, output=None):
    """A copy of `model`, the same function, whose residual stream is turned by an orthogonal matrix.

    Parameters
    ----------
    model : torch.nn.Module
        A transformer with RMS norms in front of its blocks: each linear layer either reads a norm, or
        writes to the stream, or neither has the stream's width; a head tied to the embedding must be
        untied before. Not changed.
    x : tensor (n, ...), or several inputs as in `mcomp.calling`; two rows are used
    rotation : tensor or array (width, width), optional
        Orthogonal. Default: `random_rotation` of `seed`, by Hadamard's matrix if there is one of that size.
    seed : int
    output : what picks the outputs, see `mcomp.calling.pick`

    Returns
    -------
    rotated : torch.nn.Module
        Computed in float64, stored in the dtype of each weight.

    Raises
    ------
    ValueError
        By name, if something else than plain linear layers reads a norm; or if the function wouldn't stay.

    Examples
    --------
    >>> from mcomp.gpt import TinyGPT
    >>> model = TinyGPT(dim=16, layers=1, heads=2, hidden=24, tied=False)
    >>> x = torch.zeros(2, 5, dtype=torch.int64)
    >>> rotated = rotate(model.double(), x)
    >>> largest_difference(model, rotated, x) < 1e-12, torch.equal(rotated.embed.weight, model.embed.weight)
    (True, False)
    """
    wide, x = _wide(model, x)
    readers = _stream(wide, x)
    width = _fold(wide, readers)
    if rotation is None:
        rotation = random_rotation(width, seed=seed, kind=_kind(width))
    q, read = _checked(rotation, width), {name for names in readers.values() for name in names}
    for name, module in wide.named_modules():
        table = isinstance(module, nn.Embedding) and module.embedding_dim == width
        if table or name in read:
            _set(module.weight, module.weight @ q)
        elif isinstance(module, nn.Linear) and module.out_features == width:
            _set(module.weight, q.T @ module.weight)
            if module.bias is not None:
                _set(module.bias, q.T @ module.bias)
    return _same(model, wide, x, output, "a network to rotate")


def _wide(model, x):
    """A copy in float64 to work on, and two rows of its inputs."""
    x = calling.mapped(calling.take(x, slice(2)), lambda t: t.double() if t.is_floating_point() else t)
    return copied(model).double().eval(), x


def _stream(model, x):
    """Norm name -> its readers, all plain linear layers; ValueError by name if one isn't."""
    found = read_by(model, x)
    for norm, readers in found.items():
        for name in readers:
            if why := not_plain(model, name, (nn.Linear,)):
                untie = "; untie it first" if "shared" in why else ""
                raise bad_value("a layer behind a norm", f"{name}: {why}", f"a plain linear layer{untie}")
        if not readers:
            raise bad_value("the readers of a norm", f"{norm}: none", "plain linear layers, which read it")
    if len({len(model.get_submodule(norm).weight) for norm in found}) != 1:
        raise bad_value(
            "the norms", f"{', '.join(found) or 'none'} in {type(model).__name__}", "all of one width"
        )
    return found


@torch.no_grad()
def _fold(model, readers):
    """In place: gains go into the readers' columns; returns the width of the stream."""
    for norm, names in readers.items():
        gain = model.get_submodule(norm).weight
        for name in names:
            w = model.get_submodule(name).weight
            _set(w, w * gain)
        gain.fill_(1.0)
    return len(gain)


@torch.no_grad()
def _set(p, value):
    p.copy_(value)


def _kind(width):
    try:
        random_rotation(width)
    except ValueError:
        return "orthogonal"
    return "hadamard"


def _checked(rotation, width):
    q = torch.as_tensor(rotation).double()
    if tuple(q.shape) != (width, width):
        raise bad_value("rotation.shape", tuple(q.shape), (width, width))
    if not torch.allclose(q @ q.T, torch.eye(width, dtype=q.dtype), atol=1e-6):
        raise bad_value("rotation", "not orthogonal", "Q with Q·Qᵀ = I")
    return q


def _same(model, wide, x, output, what):
    """A copy of `model` with the weights of `wide`, if that is the same function."""
    found = largest_difference(model, wide, x, output=output)
    if not found <= SAME:
        norms = ", ".join(sorted({type(m).__name__ for m in model.modules() if "Norm" in type(m).__name__}))
        said = f"{type(model).__name__} with {norms}: its outputs would differ by {found:.1g}"
        allowed = "RMS norms in front of every block, linear layers that read them or write to the stream"
        raise bad_value(what, said, allowed)
    changed = copied(model)
    changed.load_state_dict(wide.state_dict())
    return changed
