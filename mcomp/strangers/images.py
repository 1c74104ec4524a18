"""Strangers that look at images, in the styles of torchvision, timm and the papers' own code."""

import torch
from torch import nn
from torch.nn import functional as F

from mcomp.strangers.stranger import CLASSES, ROWS, named, stranger


def _images(channels=3, size=16):
    return torch.randn(ROWS, channels, size, size)


class BasicBlock(nn.Module):
    def __init__(self, inplanes, planes, stride=1, downsample=None):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x):
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, widths=(6, 8), num_classes=CLASSES):
        super().__init__()
        self.inplanes = widths[0]
        self.conv1 = nn.Conv2d(3, self.inplanes, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(widths[0], 1)
        self.layer2 = self._make_layer(widths[1], 1, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(widths[1], num_classes)

    def _make_layer(self, planes, blocks, stride=1):
        downsample = None
        if stride != 1 or self.inplanes != planes:
            downsample = nn.Sequential(
                nn.Conv2d(self.inplanes, planes, 1, stride=stride, bias=False), nn.BatchNorm2d(planes)
            )
        layers = [BasicBlock(self.inplanes, planes, stride, downsample)]
        self.inplanes = planes
        layers += [BasicBlock(planes, planes) for _ in range(1, blocks)]
        return nn.Sequential(*layers)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.avgpool(self.layer2(self.layer1(x)))
        x = torch.flatten(x, 1)
        return self.fc(x)


@stranger("resnet", "torchvision's ResNet: basic blocks, a branch with downsampling")
def resnet():
    return ResNet(), _images()


class DoubleConv(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.double_conv(x)


class Up(nn.Module):
    def __init__(self, inputs, outputs, bilinear):
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        else:
            self.up = nn.ConvTranspose2d(inputs, inputs, kernel_size=2, stride=2)
        self.conv = DoubleConv(inputs + outputs, outputs)

    def forward(self, x1, x2):
        x1 = self.up(x1)
        dy, dx = x2.size()[2] - x1.size()[2], x2.size()[3] - x1.size()[3]
        x1 = F.pad(x1, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.conv(torch.cat([x2, x1], dim=1))


class UNet(nn.Module):
    def __init__(self, bilinear=False):
        super().__init__()
        self.inc = DoubleConv(3, 4)
        self.down1 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(4, 6))
        self.down2 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(6, 8))
        self.up1, self.up2 = Up(8, 6, bilinear), Up(6, 4, not bilinear)
        self.outc = nn.Conv2d(4, CLASSES, 1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        return self.outc(self.up2(self.up1(x3, x2), x1))


@stranger("unet", "UNet: concatenation, padded upsampling, odd sizes, a label for each pixel")
def unet():
    return UNet(), _images(size=10)


class DenseLayer(nn.Module):
    def __init__(self, inputs, growth):
        super().__init__()
        self.norm1, self.relu1 = nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(inputs, 2 * growth, 1, bias=False)
        self.norm2, self.relu2 = nn.BatchNorm2d(2 * growth), nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(2 * growth, growth, 3, padding=1, bias=False)

    def forward(self, features):
        x = torch.cat(features, 1)
        x = self.conv1(self.relu1(self.norm1(x)))
        return self.conv2(self.relu2(self.norm2(x)))


class DenseBlock(nn.ModuleDict):
    def __init__(self, layers, inputs, growth):
        super().__init__()
        for i in range(layers):
            self.add_module(f"denselayer{i + 1}", DenseLayer(inputs + i * growth, growth))

    def forward(self, x):
        features = [x]
        for layer in self.values():
            features.append(layer(features))
        return torch.cat(features, 1)


class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential()
        self.features.add_module("conv0", nn.Conv2d(3, 6, 3, padding=1, bias=False))
        self.features.add_module("denseblock1", DenseBlock(2, 6, 4))
        self.features.add_module("transition1", nn.Sequential(
            nn.BatchNorm2d(14), nn.ReLU(inplace=True), nn.Conv2d(14, 7, 1, bias=False), nn.AvgPool2d(2, 2)
        ))  # fmt: skip
        self.features.add_module("denseblock2", DenseBlock(1, 7, 4))
        self.features.add_module("norm5", nn.BatchNorm2d(11))
        self.classifier = nn.Linear(11, CLASSES)

    def forward(self, x):
        out = F.relu(self.features(x), inplace=True)
        out = F.adaptive_avg_pool2d(out, (1, 1))
        return self.classifier(torch.flatten(out, 1))


@stranger("densenet", "torchvision's DenseNet: norm before convolution, lists of features concatenated")
def densenet():
    return DenseNet(), _images(size=8)


class ScaledStdConv2d(nn.Conv2d):
    """timm's: the weight is standardised at each call."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.gain = nn.Parameter(torch.ones(self.out_channels, 1, 1, 1))

    def forward(self, x):
        mean = self.weight.mean((1, 2, 3), keepdim=True)
        var = self.weight.var((1, 2, 3), keepdim=True, unbiased=False)
        weight = self.gain * (self.weight - mean) / (var * self.weight[0].numel() + 1e-6).sqrt()
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class NormFreeBlock(nn.Module):
    def __init__(self, dim, alpha=0.2, beta=1.2):
        super().__init__()
        self.alpha, self.beta = alpha, beta
        self.conv1 = ScaledStdConv2d(dim, dim, 3, padding=1)
        self.conv2 = ScaledStdConv2d(dim, dim, 3, padding=1)
        self.skip_gain = nn.Parameter(torch.ones(()))

    def forward(self, x):
        out = F.gelu(x) / self.beta
        return self.conv2(F.gelu(self.conv1(out))) * self.skip_gain * self.alpha + x


@stranger("nfnet", "a network without norms: standardised weights in a subclass of Conv2d")
def nfnet():
    stem, stages = nn.Conv2d(3, 8, 3, stride=2), nn.Sequential(NormFreeBlock(8), NormFreeBlock(8))
    pool = nn.AdaptiveAvgPool2d(1)
    return named(stem=stem, stages=stages, pool=pool, flat=nn.Flatten(), fc=nn.Linear(8, CLASSES)), _images(
        size=9
    )


@stranger("autoencoder", "ConvTranspose2d with batch norm, a decoder that puts out an image")
def autoencoder():
    encoder = nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.LeakyReLU(0.2),
        nn.Conv2d(6, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.LeakyReLU(0.2),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.ConvTranspose2d(8, 6, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(True),
        nn.ConvTranspose2d(6, CLASSES, 4, stride=2, padding=1), nn.Tanh(),
    )  # fmt: skip
    return named(encoder=encoder, decoder=decoder), _images(size=8)
