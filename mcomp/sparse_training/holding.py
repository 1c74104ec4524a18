"""Masks on a network that trains: put on by `attach_masks`, changed by a callback that is a `Masking`."""

import torch

from mcomp.arrays import bad_value
from mcomp.chance import own_stream
from mcomp.codecs import Sparse, masked
from mcomp.codecs.attachment import attach, attached
from mcomp.layers import tell, untouched
from mcomp.prune.masks import kept_count, topk_mask
from mcomp.prune.moves import erdos_renyi_counts
from mcomp.sparse_training.network import prunable_weights
from mcomp.train import Callback

__all__ = ["Masking", "attach_masks", "random_masks"]


def attach_masks(model, masks=None):
    """Put masks on `model`, in place, so that training keeps its zeros; `bake` takes them off again.

    Parameters
    ----------
    model : torch.nn.Module
    masks : dict of str to bool tensor, optional
        By the names of ``model.named_parameters()``. Default: all True on every prunable weight; parameters
        of two or more axes that are none are printed.

    Returns
    -------
    model : torch.nn.Module

    Examples
    --------
    >>> layer = attach_masks(torch.nn.Linear(2, 1), {"weight": torch.tensor([[True, False]])})
    >>> bool(layer.weight[0, 1] == 0)
    True
    """
    if masks is None:
        tell("not pruned", untouched(model))
        masks = {name: torch.ones_like(w, dtype=torch.bool) for name, w in prunable_weights(model).items()}
    weights = {name: model.get_parameter(name).detach() for name in masks}
    codes = {name: masked(weights[name], mask) for name, mask in masks.items()}
    for name, weight in attach(model, {name: Sparse(0.0) for name in masks}, refresh="never").items():
        weight.set_code(codes[name])
    return model


def random_masks(model, sparsity, *, seed=0):
    """Random masks of every prunable weight, the counts by layer as `erdos_renyi_counts` shares them out.

    The stream is their own (`mcomp.chance`): a network that was built after
    ``torch.manual_seed(seed)`` shares no number with them. Weights that belong to no matrix stay whole, and a
    line says which.
    """
    tell("not pruned", untouched(model))
    shapes = {name: tuple(w.shape) for name, w in prunable_weights(model).items()}
    total = sum(w.numel() for w in prunable_weights(model).values())
    counts = erdos_renyi_counts(shapes, kept_count(total, sparsity))
    chance = own_stream("random_masks", seed)
    return {name: topk_mask(torch.rand(s, generator=chance), counts[name]) for name, s in shapes.items()}


class Masking(Callback):
    """What the callbacks share: `weights` with a codec, the `originals` behind them, `masks`, and a `log`.

    An entry of the log is a change of the masks: at which step, the sparsity after it, how many weights went
    and how many came back.
    """

    def __init__(self, model):
        self.weights, self.step, self.log = attached(model), 0, []
        wrong = [n for n, x in self.weights.items() if type(x.codec) is not Sparse or x.refresh != "never"]
        if wrong or not self.weights:
            allowed = "attached weights, each a Sparse with refresh='never'; attach_masks(model) makes them"
            raise bad_value("the model's codecs", wrong or "missing", allowed)
        self.originals = {name: model.get_parameter(_original_name(name)) for name in self.weights}
        self.masks = {name: _mask_of(self.weights[name].code(w)) for name, w in self.originals.items()}

    def effective(self):
        """The weights as the network sees them: zero where the mask is False."""
        with torch.no_grad():
            return {name: self.weights[name](w).detach() for name, w in self.originals.items()}

    def keep(self, masks):
        """Put other masks on the weights, and log the change."""
        gone = sum(int((self.masks[name] & ~mask).sum()) for name, mask in masks.items())
        back = sum(int((~self.masks[name] & mask).sum()) for name, mask in masks.items())
        self.put(masks)
        entry = {"step": self.step, "sparsity": self.sparsity(), "gone": gone, "back": back}
        self.log.append(entry)

    def put(self, masks):
        """Put other masks on the weights."""
        for name, mask in masks.items():
            self.weights[name].set_code(masked(self.originals[name].detach(), mask))
        self.masks = masks

    def sparsity(self):
        """The fraction of all attached weights that the masks set to zero."""
        kept = sum(int(mask.sum()) for mask in self.masks.values())
        return 1 - kept / sum(mask.numel() for mask in self.masks.values())

    def pass_gradient(self, gradient):
        """From now on weights that are out get a gradient ("dense") or none ("masked")."""
        for weight in self.weights.values():
            weight.gradient = gradient
        self.put(self.masks)


def _mask_of(code):
    mask = torch.zeros(code.shape, dtype=torch.bool, device=code.symbols["positions"].device)
    mask.view(-1)[code.symbols["positions"]] = True
    return mask


def _original_name(name):
    path, _, leaf = name.rpartition(".")
    return f"{path}.parametrizations.{leaf}.original".lstrip(".")
