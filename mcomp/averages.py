"""A network that follows another while that one trains: a mean of its weights, kept step by step."""

import copy
from itertools import chain

import torch
from torch import nn

from mcomp.arrays import bad_value
from mcomp.train import Callback

__all__ = ["Average"]


class Average(Callback):
    """A callback of `mcomp.train.fit`: `network` is a mean of the weights of `model`, without gradients.

    How the mean moves, and when, is said by who inherits (`mcomp.distill.MeanTeacher`,
    `mcomp.merge.RunningAverage`). Tied weights move once. Buffers, such as the statistics of batch norm, are
    averaged too, whether they are saved or not; counts are copied.

    Parameters
    ----------
    model : torch.nn.Module
        Parameters of 32 bits or more: an average of 16 bits loses small steps.

    Raises
    ------
    ValueError
        If `model` is no network, or a parameter too coarse, by its name; in `move`, if a tensor has become
        another than it was.
    """

    def __init__(self, model):
        if not isinstance(model, nn.Module):
            raise bad_value("model", type(model).__name__, "a torch.nn.Module")
        for name, tensor in model.named_parameters():
            if tensor.is_floating_point() and torch.finfo(tensor.dtype).bits < 32:
                raise bad_value(f"the dtype of {name}", str(tensor.dtype), "32 bits or more, to be averaged")
        self.model = model
        self.network = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def move(self, part):
        """Let `network` go the fraction `part` of the way to `model`."""
        averages = _tensors(self.network)
        for name, tensor in _tensors(self.model).items():
            average = averages.get(name)
            if average is None or _kind(average) != _kind(tensor):
                found = None if average is None else _kind(average)
                raise bad_value(f"the network's {name}", _kind(tensor), f"as at the start, {found}")
            moved = torch.lerp(average, tensor, part) if tensor.is_floating_point() else tensor
            average.copy_(torch.where(average == tensor, tensor, moved))  # an infinite mask stays one


def _tensors(model):
    """Parameters and buffers by name, each once, however many layers share it."""
    return dict(chain(model.named_parameters(), model.named_buffers()))


def _kind(tensor):
    return str(tensor.dtype), str(tensor.device), tuple(tensor.shape)
