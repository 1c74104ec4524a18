"""The reference networks, each a plain function of a few sizes; `architecture` names what was built."""

from torch import nn
from torch.nn import functional as F

from mcomp.arrays import bad_value, check_int

__all__ = ["ARCHITECTURES", "NAMES", "LeNet5", "LeNet300", "ResNet", "architecture", "build"]


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


ARCHITECTURES = {"lenet300": LeNet300, "lenet5": LeNet5, "resnet": ResNet}
NAMES = tuple(ARCHITECTURES)


def build(name, **config):
    """The untrained network `name`; `config` are the sizes its class takes, such as ``hidden=(60, 20)``.

    Examples
    --------
    >>> sum(p.numel() for p in build("lenet300").parameters())
    266610
    """
    if name not in NAMES:
        raise bad_value("name", name, f"one of {', '.join(NAMES)}")
    return ARCHITECTURES[name](**config)


def architecture(model):
    """The (name, config) from which `build` makes a network like `model`; ("", {}) if it isn't of the zoo."""
    for name, made in ARCHITECTURES.items():
        if type(model) is made:
            return name, model.config
    return "", {}
