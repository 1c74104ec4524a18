"""Strangers made for telephones and after: depthwise convolutions, squeeze-and-excitation, channels last."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from mcomp.strangers.stranger import CLASSES, ROWS, stranger


def _images(channels=3, size=16):
    return torch.randn(ROWS, channels, size, size)


class ConvBNReLU(nn.Sequential):
    def __init__(self, inputs, outputs, kernel_size=3, stride=1, groups=1):
        super().__init__(
            nn.Conv2d(
                inputs, outputs, kernel_size, stride, (kernel_size - 1) // 2, groups=groups, bias=False
            ),
            nn.BatchNorm2d(outputs),
            nn.ReLU6(inplace=True),
        )


class InvertedResidual(nn.Module):
    def __init__(self, inp, oup, stride, expand_ratio):
        super().__init__()
        hidden = round(inp * expand_ratio)
        self.use_res_connect = stride == 1 and inp == oup
        layers = [ConvBNReLU(inp, hidden, kernel_size=1)] if expand_ratio != 1 else []
        layers += [
            ConvBNReLU(hidden, hidden, stride=stride, groups=hidden),
            nn.Conv2d(hidden, oup, 1, 1, 0, bias=False),
            nn.BatchNorm2d(oup),
        ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self):
        super().__init__()
        settings = ((1, 6, 1), (2, 8, 2), (2, 8, 1))
        features, width = [ConvBNReLU(3, 6, stride=2)], 6
        for t, c, s in settings:
            features.append(InvertedResidual(width, c, s, expand_ratio=t))
            width = c
        features.append(ConvBNReLU(width, 12, kernel_size=1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(12, CLASSES))

    def forward(self, x):
        x = self.features(x)
        return self.classifier(x.mean([2, 3]))


@stranger("mobilenet", "torchvision's MobileNetV2: inverted residuals, depthwise, ReLU6, mean over positions")
def mobilenet():
    return MobileNetV2(), _images()


class Conv2dSame(nn.Conv2d):
    """TensorFlow's padding, which depends on the size of the input."""

    def forward(self, x):
        h, w = x.size()[-2:]
        kh, kw = self.weight.size()[-2:]
        sh, sw = self.stride
        pad_h = max((math.ceil(h / sh) - 1) * sh + kh - h, 0)
        pad_w = max((math.ceil(w / sw) - 1) * sw + kw - w, 0)
        if pad_h > 0 or pad_w > 0:
            x = F.pad(x, [pad_w // 2, pad_w - pad_w // 2, pad_h // 2, pad_h - pad_h // 2])
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class SqueezeExcite(nn.Module):
    def __init__(self, channels, reduced):
        super().__init__()
        self.conv_reduce = nn.Conv2d(channels, reduced, 1)
        self.act = nn.SiLU(inplace=True)
        self.conv_expand = nn.Conv2d(reduced, channels, 1)

    def forward(self, x):
        gate = x.mean((2, 3), keepdim=True)
        gate = self.conv_expand(self.act(self.conv_reduce(gate)))
        return x * torch.sigmoid(gate)


class MBConv(nn.Module):
    def __init__(self, inputs, hidden, outputs, stride):
        super().__init__()
        self.conv_pw, self.bn1 = nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden)
        self.conv_dw = Conv2dSame(hidden, hidden, 3, stride, groups=hidden, bias=False)
        self.bn2 = nn.BatchNorm2d(hidden)
        self.se = SqueezeExcite(hidden, 3)
        self.conv_pwl, self.bn3 = nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.act = nn.SiLU()
        self.has_skip = stride == 1 and inputs == outputs

    def forward(self, x):
        out = self.act(self.bn1(self.conv_pw(x)))
        out = self.se(self.act(self.bn2(self.conv_dw(out))))
        out = self.bn3(self.conv_pwl(out))
        return out + x if self.has_skip else out


class EfficientNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv_stem, self.bn1 = Conv2dSame(3, 6, 3, 2, bias=False), nn.BatchNorm2d(6)
        self.blocks = nn.Sequential(MBConv(6, 12, 8, 2), MBConv(8, 16, 8, 1))
        self.conv_head, self.bn2 = nn.Conv2d(8, 12, 1, bias=False), nn.BatchNorm2d(12)
        self.global_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1))
        self.classifier = nn.Linear(12, CLASSES)

    def forward(self, x):
        x = F.silu(self.bn1(self.conv_stem(x)))
        x = F.silu(self.bn2(self.conv_head(self.blocks(x))))
        return self.classifier(self.global_pool(x))


@stranger(
    "efficientnet", "timm's EfficientNet: squeeze-and-excitation, a subclass of Conv2d that pads by itself"
)
def efficientnet():
    return EfficientNet(), _images(size=11)


def channel_shuffle(x, groups):
    b, c, h, w = x.size()
    x = x.view(b, groups, c // groups, h, w)
    x = torch.transpose(x, 1, 2).contiguous()
    return x.view(b, c, h, w)


class ShuffleUnit(nn.Module):
    def __init__(self, channels):
        super().__init__()
        half = channels // 2
        self.branch2 = nn.Sequential(
            nn.Conv2d(half, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU(inplace=True),
            nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False), nn.BatchNorm2d(half),
            nn.Conv2d(half, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU(inplace=True),
        )  # fmt: skip

    def forward(self, x):
        x1, x2 = x.chunk(2, dim=1)
        return channel_shuffle(torch.cat((x1, self.branch2(x2)), dim=1), 2)


class ShuffleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        )
        self.stage2 = nn.Sequential(ShuffleUnit(8), ShuffleUnit(8))
        self.conv5 = nn.Sequential(nn.Conv2d(8, 12, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU(inplace=True))
        self.fc = nn.Linear(12, CLASSES)

    def forward(self, x):
        x = self.conv5(self.stage2(self.conv1(x)))
        return self.fc(x.mean([2, 3]))


@stranger("shufflenet", "torchvision's ShuffleNetV2: chunk, concatenation, channels shuffled by view")
def shufflenet():
    return ShuffleNet(), _images(size=8)


class ConvNeXtBlock(nn.Module):
    def __init__(self, dim, layer_scale=0.3):
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1 = nn.Linear(dim, 2 * dim)
        self.act = nn.GELU()
        self.pwconv2 = nn.Linear(2 * dim, dim)
        self.gamma = nn.Parameter(layer_scale * torch.ones(dim))

    def forward(self, x):
        shortcut = x
        x = self.dwconv(x).permute(0, 2, 3, 1)
        x = self.gamma * self.pwconv2(self.act(self.pwconv1(self.norm(x))))
        return shortcut + x.permute(0, 3, 1, 2)


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x):
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, kernel_size=4, stride=4), LayerNorm2d(8, eps=1e-6))
        self.stages = nn.ModuleList([nn.Sequential(ConvNeXtBlock(8)) for _ in range(2)])
        self.norm = nn.LayerNorm(8, eps=1e-6)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        x = self.stem(x)
        for i in range(2):
            x = self.stages[i](x)
        return self.head(self.norm(x.mean([-2, -1])))


@stranger("convnext", "ConvNeXt: channels last inside the block, LayerNorm, layer scale")
def convnext():
    return ConvNeXt(), _images()
