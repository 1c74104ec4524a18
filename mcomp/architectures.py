"""The reference networks, each a plain function of a few sizes, and the names of networks of your own.

`register` gives a class a name under which a file opens again, `architecture` names what was built, `build`
builds it, `imported` is what the command line's ``package.module:factory`` means.
"""

import importlib
import json
import re

from torch import nn
from torch.nn import functional as F

from mcomp.arrays import bad_value, check_int
from mcomp.gpt import TinyGPT

__all__ = [
    "ARCHITECTURES", "NAMES", "LeNet5", "LeNet300", "ResNet", "TinyGPT", "architecture", "build", "imported",
    "register", "registered",
]  # fmt: skip


def _sizes(name, values, count, most):
    """`values` as a list of `count` ints from 1 to `most`, else ValueError."""
    if not isinstance(values, (list, tuple)) or len(values) != count:
        raise bad_value(name, values, f"{count} integers from 1 to {most}")
    return [check_int(name, value, 1, most) for value in values]


class LeNet300(nn.Sequential):
    """LeNet-300-100: three fully connected layers, 266,610 parameters (LeCun et al. 1998)."""

    def __init__(self, hidden=(300, 100)):
        a, b = _sizes("hidden", hidden, 2, 4096)
        super().__init__()
        self.config = {"hidden": [a, b]}
        self.add_module("flatten", nn.Flatten())
        self.add_module("fc1", nn.Linear(784, a))
        self.add_module("relu1", nn.ReLU())
        self.add_module("fc2", nn.Linear(a, b))
        self.add_module("relu2", nn.ReLU())
        self.add_module("fc3", nn.Linear(b, 10))


class LeNet5(nn.Sequential):
    """LeNet-5 as Caffe has it: two convolutions, two fully connected layers, 431,080 parameters."""

    def __init__(self, channels=(20, 50), hidden=500):
        a, b = _sizes("channels", channels, 2, 1024)
        hidden = check_int("hidden", hidden, 1, 4096)
        super().__init__()
        self.config = {"channels": [a, b], "hidden": hidden}
        self.add_module("conv1", nn.Conv2d(1, a, 5))
        self.add_module("pool1", nn.MaxPool2d(2))
        self.add_module("conv2", nn.Conv2d(a, b, 5))
        self.add_module("pool2", nn.MaxPool2d(2))
        self.add_module("flatten", nn.Flatten())
        self.add_module("fc1", nn.Linear(b * 16, hidden))
        self.add_module("relu1", nn.ReLU())
        self.add_module("fc2", nn.Linear(hidden, 10))


class Block(nn.Module):
    """Two 3x3 convolutions with batch norm, and a skip (He et al. 2015, arXiv:1512.03385, fig. 2)."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.skip = nn.Identity()
        if stride != 1 or inputs != outputs:
            narrow = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.skip = nn.Sequential(narrow, nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.skip(x))


class ResNet(nn.Sequential):
    """Three residual blocks with batch norm, 77,754 parameters (He et al. 2015, arXiv:1512.03385)."""

    def __init__(self, widths=(16, 32, 64)):
        a, b, c = _sizes("widths", widths, 3, 1024)
        super().__init__()
        self.config = {"widths": [a, b, c]}
        self.add_module("conv", nn.Conv2d(1, a, 3, padding=1, bias=False))
        self.add_module("bn", nn.BatchNorm2d(a))
        self.add_module("relu", nn.ReLU())
        self.add_module("pool", nn.MaxPool2d(2))
        self.add_module("block1", Block(a, a, 1))
        self.add_module("block2", Block(a, b, 2))
        self.add_module("block3", Block(b, c, 1))
        self.add_module("mean", nn.AdaptiveAvgPool2d(1))
        self.add_module("flatten", nn.Flatten())
        self.add_module("fc", nn.Linear(c, 10))


ARCHITECTURES = {"lenet300": LeNet300, "lenet5": LeNet5, "resnet": ResNet, "tinygpt": TinyGPT}
NAMES = ("lenet300", "lenet5", "resnet")  # those that tell images apart
_REGISTERED = {}  # name -> class, in this process


def register(name):
    """A class decorator: from now on `mcomp.save` writes `name` and `mcomp.load` builds the class again.

    Each network has an attribute `config`, the dict of the arguments that its class was called with. JSON
    must be able to hold it; tuples come back as lists. A class without arguments has ``config = {}``.

    Parameters
    ----------
    name : str
        Letters, digits and ``_ . / -``; no name of the zoo, and no other class's.

    Raises
    ------
    ValueError
        If the name is none, or taken, or what is decorated is no class of modules.

    Examples
    --------
    >>> @register("doc/twice")
    ... class Twice(nn.Sequential):
    ...     def __init__(self, width):
    ...         super().__init__(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
    ...         self.config = {"width": width}
    >>> architecture(Twice(3)), build("doc/twice", width=2)[0]
    (('doc/twice', {'width': 3}), Linear(in_features=2, out_features=2, bias=True))
    """
    if not isinstance(name, str) or not re.fullmatch(r"[\w./-]{1,100}", name) or name in ARCHITECTURES:
        raise bad_value("name", name, f"letters, digits, _ . / -, and none of {', '.join(ARCHITECTURES)}")

    def decorate(cls):
        if not isinstance(cls, type) or not issubclass(cls, nn.Module):
            raise bad_value(f"what is registered as {name}", cls, "a subclass of torch.nn.Module")
        taken = _REGISTERED.get(name, cls)
        if _where(taken) != _where(cls):  # a cell of a notebook that runs again makes the same class anew
            raise bad_value("name", name, f"another one; it is {'.'.join(_where(taken))}'s")
        _REGISTERED[name] = cls
        return cls

    return decorate


def registered():
    """The classes that `build` knows: dict of name to class, the zoo's first."""
    return {**ARCHITECTURES, **_REGISTERED}


def build(name, **config):
    """The untrained network `name`; `config` are the sizes its class takes, such as ``hidden=(60, 20)``.

    Examples
    --------
    >>> sum(p.numel() for p in build("lenet300").parameters())
    266610
    """
    if name not in registered():
        raise bad_value("name", name, f"one of {', '.join(registered())}")
    return registered()[name](**config)


def architecture(model):
    """The (name, config) from which `build` makes a network like `model`; ("", {}) if its class has no name.

    Raises
    ------
    ValueError
        If its class has a name, but the network no `config` that a file can hold.
    """
    for name, made in registered().items():
        if _where(type(model)) == _where(made):
            return name, check_config(f"the config of {name}", getattr(model, "config", None))
    return "", {}


def check_config(name, config):
    """`config`, if it is a dict of arguments that JSON can hold, else ValueError."""
    try:
        if isinstance(config, dict) and all(isinstance(key, str) for key in config):
            json.dumps(config, allow_nan=False)
            return config
    except (TypeError, ValueError, RecursionError):
        pass
    allowed = "a dict of the arguments that its class was called with, of what JSON can hold; {} if none"
    raise bad_value(name, config, f"{allowed}. Set self.config in __init__")


def imported(name):
    """What a ``package.module:attribute`` names, imported; it must be callable.

    Raises
    ------
    ValueError
        Says which half is wrong: no such module, one that can't be imported, no such attribute.

    Examples
    --------
    >>> imported("mcomp.architectures:LeNet5") is LeNet5
    True
    """
    form = re.fullmatch(r"([\w.]+):([\w.]+)", name) if isinstance(name, str) else None
    if not form:
        raise bad_value("the name of a factory", name, "package.module:function")
    module, path = form.groups()
    try:
        found = importlib.import_module(module)
    except Exception as error:  # a module's own code may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"the module {module} of {name!r} can't be imported ({reason})") from None
    for leaf in path.split("."):
        if not hasattr(found, leaf):
            raise ValueError(f"{module} has no {path!r}, which {name!r} names")
        found = getattr(found, leaf)
    if not callable(found):
        raise bad_value(name, type(found).__name__, "a function or class that makes a network")
    return found


def _where(cls):
    return cls.__module__, cls.__qualname__
