"""One way to say how a network is called, and which part of its answer is the logits.

Everywhere in mcomp where inputs `x` go into a network, `x` is a tensor, a tuple of the positional arguments
(``model(*x)``), or a dict of the keyword arguments (``model(**x)``). Tensors in it whose first axis is as
long as that of the first one hold a row for each example and are cut into batches together; all else goes
along as it is. Where logits are wanted, ``output=`` picks them.
"""

from collections.abc import Mapping

import torch
from torch.utils._pytree import tree_leaves, tree_map

from mcomp.arrays import bad_value, check_int

__all__ = ["are_images", "arguments", "call", "copied", "count", "invoke", "mapped", "parts", "pick", "take"]

ALLOWED = "a tensor, a tuple of arguments or a dict of keyword arguments, with a row for each example"


def arguments(x):
    """How a network is called: a tuple holds its arguments, a dict those by name, all else is the only one.

    Examples
    --------
    >>> arguments((1, 2)), arguments({"mask": 1}), arguments(3)
    (((1, 2), {}), ((), {'mask': 1}), ((3,), {}))
    """
    if isinstance(x, Mapping):
        return (), dict(x)
    return (x, {}) if isinstance(x, tuple) else ((x,), {})


def invoke(model, x):
    """``model(x)``, ``model(*x)`` for a tuple, ``model(**x)`` for a dict: whatever the model returns.

    Examples
    --------
    >>> invoke(torch.add, (torch.ones(1), torch.ones(1)))
    tensor([2.])
    """
    args, kwargs = arguments(x)
    return model(*args, **kwargs)


def call(model, x, *, output=None):
    """The logits of ``invoke(model, x)``, see `pick`."""
    return pick(invoke(model, x), output)


def pick(answer, output=None):
    """The tensor of logits in what a network returned.

    Parameters
    ----------
    answer : tensor, or whatever a network returns
    output : str, int or callable, optional
        A key, attribute or place in `answer`, or ``output(answer) -> tensor``. Default: `answer` if it is a
        tensor, else what it holds as "logits", else the only tensor in it.

    Raises
    ------
    ValueError
        If that is no tensor; the message lists what there is.

    Examples
    --------
    >>> pick({"logits": torch.ones(1), "hidden": torch.zeros(3)})
    tensor([1.])
    >>> pick((torch.ones(1), torch.zeros(3)), output=1)
    tensor([0., 0., 0.])
    """
    if callable(output):
        found = output(answer)
    elif output is not None:
        found = _held(answer, output)
    elif isinstance(answer, torch.Tensor):
        found = answer
    else:
        found = _held(answer, "logits")
        tensors = [leaf for leaf in tree_leaves(_tree(answer)) if isinstance(leaf, torch.Tensor)]
        found = tensors[0] if found is None and len(tensors) == 1 else found
    if not isinstance(found, torch.Tensor):
        allowed = f'what picks a tensor from {_described(answer)}, such as "logits", 0 or a function'
        raise bad_value("output", output, allowed)
    return found


def _held(answer, output):
    """What `answer` holds under a key, an attribute or a place; None if it doesn't."""
    if isinstance(output, str) and not isinstance(answer, Mapping):
        return getattr(answer, output, None)
    try:
        return answer[output]
    except (LookupError, TypeError):
        return None


def _described(answer):
    if isinstance(answer, Mapping):
        return f"{type(answer).__name__} with {', '.join(map(str, answer)) or 'nothing'}"
    if isinstance(answer, (tuple, list)):
        kinds = ", ".join(type(item).__name__ for item in answer)
        return f"a {type(answer).__name__} of {kinds or 'nothing'}"
    return type(answer).__name__


def are_images(x):
    """Whether inputs are images, (n, channels, height, width) in one tensor."""
    return isinstance(x, torch.Tensor) and x.ndim == 4


def count(x):
    """How many examples `x` holds: the length of its first tensor.

    Raises
    ------
    ValueError
        If there is no tensor with a first axis, or it has no rows.
    """
    tensors = [leaf for leaf in tree_leaves(_tree(x)) if isinstance(leaf, torch.Tensor) and leaf.ndim]
    if not tensors or not tensors[0].numel():
        raise bad_value("x", _shape(x), ALLOWED)
    return len(tensors[0])


def _tree(x):
    """Another mapping than a dict, such as what a tokenizer returns, as a dict: torch looks into those."""
    return dict(x) if isinstance(x, Mapping) else x


def _shape(x):
    return tuple(x.shape) if isinstance(x, torch.Tensor) else _described(x)


def take(x, rows):
    """`x` with only these rows (a slice or an index tensor) of each tensor that has one for each example.

    Examples
    --------
    >>> take({"x": torch.arange(3), "scale": torch.tensor(2.0)}, slice(0, 2))
    {'x': tensor([0, 1]), 'scale': tensor(2.)}
    """
    n = count(x)
    return tree_map(
        lambda t: t[rows] if isinstance(t, torch.Tensor) and t.ndim and len(t) == n else t, _tree(x)
    )


def copied(x):
    """`x` with a copy of every tensor, for a network that may write into what it gets."""
    return mapped(x, torch.clone)


def mapped(x, change):
    """`x` with ``change(tensor)`` in place of every tensor."""
    return tree_map(lambda t: change(t) if isinstance(t, torch.Tensor) else t, _tree(x))


def parts(x, batch_size):
    """`x` in batches of `batch_size` rows, in order."""
    check_int("batch_size", batch_size, 1)
    return (take(x, slice(start, start + batch_size)) for start in range(0, count(x), batch_size))
