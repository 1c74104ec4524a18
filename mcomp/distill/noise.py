"""Features that are a Dropout's output under another name: found while the network runs."""

import contextlib

from torch import nn

from mcomp.arrays import bad_value

__all__ = ["DROPOUT", "refusing_noise"]

DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


@contextlib.contextmanager
def refusing_noise(model, names):
    """While the network runs once: refuse a layer of `names` that gives the very numbers that a Dropout gave.

    A block that ends in one, a Flatten or an Identity behind one: their outputs share the memory of its own.
    Only in training mode, and only of modules: `F.dropout` isn't seen.

    Parameters
    ----------
    model : torch.nn.Module
    names : sequence of str
        Names of submodules, as in ``model.named_modules()``.

    Raises
    ------
    ValueError
        With the names of the layer and of the Dropout.

    Examples
    --------
    >>> import torch
    >>> model = nn.Sequential(nn.Dropout(), nn.Flatten()).train()
    >>> with refusing_noise(model, ["1"]):
    ...     y = model(torch.ones(2, 3))
    Traceback (most recent call last):
    ValueError: the layer 1 is 'the Dropout 0'; allowed: a layer before it: Dropout adds noise
    """
    modules, noisy = dict(model.named_modules()), []  # tensors stay alive, so that no address is used twice
    handles = []

    def remember(name):
        def look(layer, inputs, y):
            if layer.training and layer.p > 0:
                noisy.append((name, y))

        return look

    def compare(name):
        def look(layer, inputs, y):
            for source, told in noisy:
                if _address(y) == _address(told):
                    raise bad_value(f"the layer {name}", f"the Dropout {source}", _ALLOWED)

        return look

    try:
        for name, layer in modules.items():
            if isinstance(layer, DROPOUT):
                handles.append(layer.register_forward_hook(remember(name)))
        for name in names if handles else ():
            if name in modules:
                handles.append(modules[name].register_forward_hook(compare(name)))
        yield
    finally:
        for handle in handles:
            handle.remove()


_ALLOWED = "a layer before it: Dropout adds noise"


def _address(y):
    return y.untyped_storage().data_ptr() if hasattr(y, "untyped_storage") else None
