"""Strangers off the main road: sound, video, recurrence, weights made of others, forwards that branch."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune, weight_norm

from mcomp.strangers.stranger import CLASSES, ROWS, named, stranger


@stranger("audio", "Conv1d with batch norm, strided, as for raw sound")
def audio():
    def block(inputs, outputs, kernel, stride):
        conv = nn.Conv1d(inputs, outputs, kernel, stride, padding=kernel // 2)
        return nn.Sequential(conv, nn.BatchNorm1d(outputs), nn.ReLU())

    body = nn.Sequential(block(1, 6, 9, 4), nn.MaxPool1d(2), block(6, 8, 3, 1), nn.AdaptiveAvgPool1d(1))
    return named(body=body, flat=nn.Flatten(), fc=nn.Linear(8, CLASSES)), torch.randn(ROWS, 1, 64)


class C3D(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv3d(2, 4, 3, padding=1), nn.BatchNorm3d(4)
        self.pool = nn.MaxPool3d((1, 2, 2))
        self.conv2, self.bn2 = nn.Conv3d(4, 6, 3, padding=(0, 1, 1), bias=False), nn.BatchNorm3d(6)
        self.fc6 = nn.Linear(6 * 2 * 3 * 3, 8)
        self.fc7 = nn.Linear(8, CLASSES)

    def forward(self, x):
        x = self.pool(F.relu(self.bn1(self.conv1(x))))
        x = F.relu(self.bn2(self.conv2(x)))
        x = x.view(x.size(0), -1)
        return self.fc7(F.relu(self.fc6(x)))


@stranger("video", "Conv3d with batch norm; view(x.size(0), -1) before the head")
def video():
    return C3D(), torch.randn(ROWS, 2, 4, 6, 6)


class LSTMClassifier(nn.Module):
    def __init__(self, words=11, dim=6, hidden=5):
        super().__init__()
        self.embedding = nn.Embedding(words, dim)
        self.lstm = nn.LSTM(dim, hidden, num_layers=2, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * hidden, CLASSES)

    def forward(self, text):
        _, (hidden, _) = self.lstm(self.embedding(text))
        return self.fc(torch.cat((hidden[-2], hidden[-1]), dim=1))


@stranger("lstm", "a bidirectional LSTM of two layers on words")
def lstm():
    return LSTMClassifier(), torch.randint(11, (ROWS, 7))


class Chomp(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        return x[:, :, : -self.size].contiguous()


class TemporalBlock(nn.Module):
    def __init__(self, inputs, outputs, dilation):
        super().__init__()
        pad = 2 * dilation
        self.conv1 = weight_norm(nn.Conv1d(inputs, outputs, 3, padding=pad, dilation=dilation))
        self.conv2 = weight_norm(nn.Conv1d(outputs, outputs, 3, padding=pad, dilation=dilation))
        self.chomp = Chomp(pad)
        self.downsample = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x):
        out = F.relu(self.chomp(self.conv1(x)))
        out = F.relu(self.chomp(self.conv2(out)))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


class TCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.tcn = nn.Sequential(TemporalBlock(2, 6, 1), TemporalBlock(6, 6, 2))
        self.linear = nn.Linear(6, CLASSES)

    def forward(self, x):
        return self.linear(self.tcn(x)[:, :, -1])


@stranger("weight-norm-hook", "a TCN whose weights are normed by the old hooks of torch.nn.utils")
def weight_norm_hook():
    return TCN(), torch.randn(ROWS, 2, 12)


@stranger("weight-norm", "weights normed by torch.nn.utils.parametrizations, batch norm behind them")
def weight_norm_parametrization():
    conv1 = parametrizations.weight_norm(nn.Conv2d(3, 6, 3))
    fc1 = parametrizations.spectral_norm(nn.Linear(54, 8))
    network = named(
        conv1=conv1, bn1=nn.BatchNorm2d(6), relu1=nn.ReLU(), pool=nn.MaxPool2d(2), flat=nn.Flatten(), fc1=fc1,
        relu2=nn.ReLU(), fc2=nn.Linear(8, CLASSES),
    )  # fmt: skip
    return network, torch.randn(ROWS, 3, 8, 8)


@stranger("frozen", "transfer learning: a trunk without gradients, a new head")
def frozen():
    trunk = nn.Sequential(
        nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip
    trunk.requires_grad_(False)
    head = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    return named(trunk=trunk, head=head), torch.randn(ROWS, 3, 8, 8)


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.w1 = nn.Parameter(torch.randn(6, 3, 3, 3) * 0.2)
        self.w2 = nn.Parameter(torch.randn(8, 54) * 0.2)
        self.b2 = nn.Parameter(torch.zeros(8))
        self.w3 = nn.Parameter(torch.randn(8, CLASSES) * 0.3)

    def forward(self, x):
        x = F.max_pool2d(F.relu(F.conv2d(x, self.w1)), 2)
        x = F.relu(F.linear(x.flatten(1), self.w2, self.b2))
        return x @ self.w3


@stranger("functional", "no layers: F.conv2d, F.linear and @ on parameters of its own")
def functional():
    return Functional(), torch.randn(ROWS, 3, 8, 8)


class BranchingBlock(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.conv_a, self.conv_b = nn.Conv2d(dim, dim, 3, padding=1), nn.Conv2d(dim, dim, 3, padding=1)

    def forward(self, x):
        if x.mean() > 0:
            x = x - x.mean()
        return x + self.conv_b(F.relu(self.conv_a(x)))


@stranger("branching", "a block whose path depends on the data, so that torch.fx can't follow it")
def branching():
    stem = nn.Sequential(nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU())
    tail = nn.Sequential(nn.Conv2d(6, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return named(stem=stem, block1=BranchingBlock(6), tail=tail, fc=nn.Linear(8, CLASSES)), torch.randn(
        ROWS, 3, 8, 8
    )


class MixtureOfExperts(nn.Module):
    def __init__(self, dim=6, experts=3):
        super().__init__()
        self.gate = nn.Linear(dim, experts)
        self.experts = nn.ModuleList(
            [nn.Sequential(nn.Linear(dim, 8), nn.ReLU(), nn.Linear(8, CLASSES)) for _ in range(experts)]
        )

    def forward(self, batch):
        features = batch["features"] if isinstance(batch, dict) else batch
        gates = self.gate(features).softmax(-1)
        outs = torch.stack([expert(features) for expert in self.experts], dim=1)
        return {"logits": (gates.unsqueeze(-1) * outs).sum(1), "gates": gates}


@stranger("experts", "a mixture of experts in a ModuleList, a dict out", pick=lambda out: out["logits"])
def experts():
    return MixtureOfExperts(), torch.randn(ROWS, 6)


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(6, 10), nn.BatchNorm1d(10), nn.ReLU(), nn.Linear(10, 8))
        self.compare = nn.Linear(16, CLASSES)

    def forward(self, left, right):
        return self.compare(torch.cat([self.tower(left), self.tower(right)], dim=-1))


@stranger("siamese", "two inputs through one tower")
def siamese():
    return Siamese(), (torch.randn(ROWS, 6), torch.randn(ROWS, 6))


@stranger("pruned", "masks of torch.nn.utils.prune still on the layers")
def pruned():
    network = named(
        conv1=nn.Conv2d(3, 6, 3), bn1=nn.BatchNorm2d(6), relu1=nn.ReLU(), pool=nn.MaxPool2d(2),
        flat=nn.Flatten(), fc1=nn.Linear(54, 8), relu2=nn.ReLU(), fc2=nn.Linear(8, CLASSES),
    )  # fmt: skip
    prune.l1_unstructured(network.conv1, "weight", amount=0.5)
    prune.l1_unstructured(network.fc1, "weight", amount=0.7)
    return network, torch.randn(ROWS, 3, 8, 8)


class PatchMixer(nn.Module):
    def __init__(self, depth=2, dim=8):
        super().__init__()
        self.depth = depth
        self.stem = nn.Conv2d(3, dim, 2, stride=2)
        self.mixers = nn.ModuleList([nn.Conv2d(dim, dim, 3, padding=1, groups=dim) for _ in range(depth)])
        self.norms = nn.ModuleList([nn.BatchNorm2d(dim) for _ in range(depth)])
        self.points = nn.ModuleList([nn.Conv2d(dim, dim, 1, groups=2) for _ in range(depth)])
        self.classify = nn.Linear(dim, CLASSES)

    def forward(self, x):
        x = self.stem(x)
        for i in range(self.depth):
            x = x + self.norms[i](F.relu(self.mixers[i](x)))
            x = F.relu(self.points[i](x))
        b, c, h, w = x.shape
        return self.classify(x.view(b, c, h * w).mean(-1))


@stranger("modulelist", "blocks in ModuleLists, called in a loop by number; grouped convolutions")
def modulelist():
    return PatchMixer(), torch.randn(ROWS, 3, 8, 8)
