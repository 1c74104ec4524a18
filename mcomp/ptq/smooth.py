"""Scale what a network's layers read, so that rounding costs less: SmoothQuant by ranges, AWQ by a search.

Both leave the function as it is; afterwards weights and inputs are quantized as ever. Which factors, and why:
mcomp/quantize/scales.py; where they go: mcomp/ptq/scaling.py. Xiao et al. 2022, arXiv:2211.10438; Lin et al.
2023, arXiv:2306.00978.
"""

import torch

from mcomp.arrays import bad_value, check_real
from mcomp.codecs.code import Codec
from mcomp.plain import copied, naming
from mcomp.ptq.scaling import checked_pairs, divide, norm_readers
from mcomp.quantize.scales import ALPHAS, activation_aware_scales, smoothing_scales
from mcomp.watch import input_grams, watch

__all__ = ["awq", "smooth"]


def smooth(model, x, *, alpha=0.5, pairs=None, output=None):
    """A copy of `model`, the same function; the weights took over some of the range of their inputs.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed.
    x : tensor (n, ...), or several inputs as in `mcomp.calling`
        Training examples; their labels aren't needed.
    alpha : float in [0, 1]
        How much the weights take over, see `smoothing_scales`.
    pairs : dict of name to names, optional
        What makes the inputs of which layers; default all of `norm_readers`. The readers of one share a
        factor.
    output : what picks the outputs, see `mcomp.calling.pick`

    Returns
    -------
    smoothed : torch.nn.Module

    Raises
    ------
    ValueError
        By name, if a factor can't move there; or if there is nowhere to move one.

    Examples
    --------
    >>> from mcomp.ptq.scaling import plant_outliers
    >>> model = torch.nn.Sequential(torch.nn.LayerNorm(8), torch.nn.Linear(8, 4))
    >>> x = torch.randn(100, 8, generator=torch.Generator().manual_seed(0))
    >>> planted = plant_outliers(model, x)
    >>> with torch.no_grad():
    ...     [round(float(m[0](x).abs().max())) for m in (model, planted, smooth(planted, x))]
    [2, 246, 1]
    """
    alpha = check_real("alpha", alpha, 0, 1)

    def chosen(model, readers):
        w = torch.cat([model.get_submodule(name).weight for name in readers])
        return smoothing_scales(_sizes(model, x, readers[0])[0], w.detach().abs().amax(0), alpha=alpha)

    return _scaled(model, x, pairs, output, chosen)


def awq(model, x, *, codec, alphas=ALPHAS, pairs=None, output=None):
    """A copy of `model`, the same function, whose weights lose less when `codec` rounds them.

    Each group of layers that read the same inputs gets the factor of `activation_aware_scales`; all are
    chosen on the inputs of the network as it came.

    Parameters
    ----------
    codec : Codec
        What will be attached to the readers' weights, such as ``GroupUniform(4)``.
    alphas : sequence of floats in [0, 1]
    model, x, pairs, output : as for `smooth`

    Returns
    -------
    scaled : torch.nn.Module

    Raises
    ------
    ValueError
        As `smooth`, or if `codec` is none.
    """
    if not isinstance(codec, Codec):
        raise bad_value("codec", codec, "a codec such as GroupUniform(4)")

    def chosen(model, readers):
        weights = [model.get_submodule(name).weight.detach() for name in readers]
        project = lambda rows: torch.cat([  # noqa: E731 (each layer has grids of its own)
            codec.project(part) for part in rows.split([len(w) for w in weights])
        ])  # fmt: skip
        hessian = input_grams(model, x, names=readers[:1])[readers[0]]
        mean = _sizes(model, x, readers[0])[1]
        options = {"size": mean, "project": project, "alphas": alphas}
        return activation_aware_scales(torch.cat(weights), hessian, **options)[0]

    return _scaled(model, x, pairs, output, chosen)


def _scaled(model, x, pairs, output, chosen):
    """The copy in which each pair is divided by ``chosen(model, readers)``, the model as it came."""
    if pairs is None:
        pairs = norm_readers(model, x, output=output)
    else:
        pairs = checked_pairs(model, x, pairs, output=output)
    scaled = copied(model).eval()
    for producer, readers in pairs.items():
        with naming(producer), torch.no_grad():
            s = chosen(model, readers)
        divide(scaled, producer, readers, s)
    return scaled


def _sizes(model, x, name):
    """The largest |input| of each channel of a linear layer, and the mean one: two tensors (in,)."""
    most, total, rows = [], [], []

    def look(name, layer, a):
        a = a.detach().abs().flatten(0, -2)  # (rows, in)
        most.append(a.amax(0)), total.append(a.double().sum(0)), rows.append(len(a))

    watch(model, x, look, names=[name])
    return torch.stack(most).amax(0), sum(total) / sum(rows)
