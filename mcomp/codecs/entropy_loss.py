"""The size of the file in the loss: attached codebooks learn values that code short.

`with_entropy` adds to a loss what the indices of all attached codebooks would take, by soft counts, so that
its gradient moves weights towards frequent values, while the codec's straight-through gradient repairs what
that does to the loss. In the spirit of Oktay et al. 2020 (arXiv:1906.06624), whose loss is the sum of the
cross-entropy and lambda times the bits; their density is learned, here it is the histogram of the weights.
"""

import functools

from mcomp.arrays import bad_value, check_real
from mcomp.codecs.attachment import attached
from mcomp.codecs.code import Code
from mcomp.quantize.soft import soft_entropy

__all__ = ["index_bits", "with_entropy"]

LEAST = 1e-6  # width of a codebook whose values are all one, so that no division fails


def with_entropy(loss, model, lam, *, width=0.25):
    """A loss for `mcomp.train.fit`: ``loss(logits, batch) + lam * index_bits(model)``.

    Parameters
    ----------
    loss : ``loss(logits, batch) -> scalar tensor``
    model : torch.nn.Module
        The one to be trained, with `Codebook` attached alone or within others: ``Sparse(0.9) | Codebook(8)``.
    lam : float, at least 0
        What a bit costs in the unit of the loss.
    width : float, above 0
        Of the soft counts, as a part of the mean distance between a codebook's values.

    Raises
    ------
    ValueError
        If no codebook is attached, or a number is out of range.

    Examples
    --------
    >>> import torch
    >>> from mcomp.codecs import Codebook, attach
    >>> layer = torch.nn.Linear(4, 4)
    >>> _ = attach(layer, {"weight": Codebook(4)})
    >>> loss = with_entropy(lambda logits, batch: logits.square().mean(), layer, 1e-3)
    >>> loss(layer(torch.ones(1, 4)), None).backward()
    >>> bool(layer.parametrizations.weight.original.grad.abs().sum() > 0)
    True
    """
    lam, width = check_real("lam", lam, 0.0), check_real("width", width, 1e-6)
    _codebooks_of(model)
    return functools.partial(_priced, loss, model, lam, width)


def _priced(loss, model, lam, width, logits, batch):
    return loss(logits, batch) + lam * index_bits(model, width=width)


def index_bits(model, *, width=0.25):
    """Bits of the indices of all attached codebooks by soft counts: a scalar tensor with a gradient.

    Of the weights that are kept, each pulled by `soft_entropy`; codebooks get none, as moving a value doesn't
    move what is nearest to it by much.
    """
    return sum(_bits(values, centroids.detach(), width) for values, centroids in _codebooks_of(model))


def _bits(values, centroids, width):
    k = centroids.shape[0]
    if k < 2 or values.numel() == 0:
        return 0.0 * values.sum()
    step = float(centroids.max() - centroids.min()) / (k - 1)
    return values.numel() * soft_entropy(values, centroids, width=max(width * step, LEAST))


def _codebooks_of(model):
    """Of each attached codebook the entries (n,) of the weight that it describes, and its values (k,)."""
    found = []
    for name, weight in attached(model).items():
        path, _, leaf = name.rpartition(".")
        w = model.get_submodule(path).parametrizations[leaf].original
        code, w = weight.code(w.detach()), w.reshape(-1)
        while isinstance(code, Code) and code.kind == "sparse":
            w, code = w[code.symbols["positions"]], code.floats["values"]
        values = code.floats.get("centroids") if isinstance(code, Code) and code.kind == "codebook" else None
        if values is not None and not isinstance(values, Code):
            found.append((w, values))
    if not found:
        raise bad_value("the model's codecs", [*attached(model)], "at least one Codebook, attached")
    return found
