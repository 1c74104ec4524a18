"""An integer network without the steps that do nothing.

A folded batch norm and an empty skip connection are reshapings to the shape that is there already. An engine
runs them all the same, and where its integer kernels want another layout it turns every tensor around them
twice: 1.5 times the milliseconds of the ResNet in ONNX Runtime. See chapters/17_running_it_elsewhere.ipynb.
"""

from dataclasses import replace

import torch

from mcomp.integer.steps import Reshape
from mcomp.quantize.grids import quantize

__all__ = ["tidy"]


def tidy(network, shape):
    """The same function in fewer steps: reshapings that change no shape are left out, but for the last step.

    Parameters
    ----------
    network : IntegerNetwork
        Not changed.
    shape : sequence
        Of a batch of images; the first entry is not read.

    Returns
    -------
    network : IntegerNetwork
    """
    tensors = network.run(quantize(torch.zeros(1, *shape[1:]), network.grid))
    stands_for, steps = {}, []
    for step in network.steps:
        inputs = tuple(stands_for.get(name, name) for name in step.inputs)
        idle = isinstance(step.run, Reshape) and tensors[step.name].shape == tensors[step.inputs[0]].shape
        if idle and step is not network.steps[-1]:
            stands_for[step.name] = inputs[0]
        else:
            steps.append(replace(step, inputs=inputs))
    return replace(network, steps=tuple(steps))
