"""Networks as people write them: what is offered for removal is exact, the rest is refused by name."""

import math
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mcomp.calling import arguments
from mcomp.channels import Plan, channel_graph, remove_channels, zero_channels

IMAGE = (2, 3, 8, 8)


class BasicBlock(nn.Module):
    """torchvision's, with a projection."""

    def __init__(self, read=4, made=6, stride=2):
        super().__init__()
        self.conv1 = nn.Conv2d(read, made, 3, stride, 1, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(made), nn.ReLU(inplace=True)
        self.conv2, self.bn2 = nn.Conv2d(made, made, 3, 1, 1, bias=False), nn.BatchNorm2d(made)
        self.downsample = nn.Sequential(nn.Conv2d(read, made, 1, stride, bias=False), nn.BatchNorm2d(made))

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.downsample(x)
        return self.relu(out)


class Bottleneck(nn.Module):
    def __init__(self, width=4, groups=1):
        super().__init__()
        self.conv1, self.conv3 = nn.Conv2d(6, width, 1), nn.Conv2d(width, 6, 1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, groups=groups)

    def forward(self, x):
        return F.relu(x + self.conv3(F.relu(self.conv2(F.relu(self.conv1(x))))))


class Classifier(nn.Module):
    """A body of images, pooled and flattened as torchvision does it."""

    def __init__(self, *body, channels=6):
        super().__init__()
        self.stem, self.body = nn.Conv2d(3, 4, 3, padding=1), nn.Sequential(*body)
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(channels, 3)

    def forward(self, x):
        return self.fc(torch.flatten(self.avgpool(self.body(self.stem(x))), 1))


class InvertedResidual(nn.Module):
    def __init__(self, channels=4, ratio=2):
        super().__init__()
        hidden = channels * ratio
        self.conv = nn.Sequential(
            nn.Conv2d(channels, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, hidden, 3, 1, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True), nn.Conv2d(hidden, channels, 1, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x):
        return x + self.conv(x)


class Shuffle(nn.Module):
    """ShuffleNetV2's unit: halves, a shuffle by view and transpose."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 4, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        x1, x2 = x.chunk(2, dim=1)
        out = torch.cat((x1, self.b(F.relu(self.a(x2)))), dim=1)
        n, c, h, w = out.size()
        return torch.transpose(out.view(n, 2, c // 2, h, w), 1, 2).contiguous().view(n, -1, h, w)


class DenseLayer(nn.Module):
    def __init__(self, read):
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(read), nn.Conv2d(read, 3, 3, padding=1)

    def forward(self, features):
        if isinstance(features, torch.Tensor):
            features = [features]
        return self.conv(F.relu(self.norm(torch.cat(features, 1))))


class DenseBlock(nn.ModuleDict):
    def __init__(self):
        super().__init__({"l1": DenseLayer(4), "l2": DenseLayer(7)})

    def forward(self, x):
        features = [x]
        for _, layer in self.items():
            features.append(layer(features))
        return torch.cat(features, 1)


class UNet(nn.Module):
    """Padded upsampling: sizes are subtracted and halved."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, 3, 2, 1)
        self.up, self.c, self.out = nn.ConvTranspose2d(5, 4, 2, 2), nn.Conv2d(8, 4, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        skip = F.relu(self.a(x))
        up = self.up(F.max_pool2d(F.relu(self.b(skip)), 3, 1))
        dy, dx = skip.size()[2] - up.size()[2], skip.shape[3] - up.shape[3]
        up = F.pad(up, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.out(F.relu(self.c(torch.cat([skip, up], dim=1))))


class Squeeze(nn.Module):
    def __init__(self, channels=4):
        super().__init__()
        self.avg = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(nn.Linear(channels, 2), nn.ReLU(), nn.Linear(2, channels), nn.Sigmoid())

    def forward(self, x):
        b, c, _, _ = x.size()
        y = self.fc(self.avg(x).view(b, c)).view(b, c, 1, 1)
        return x * y.expand_as(x)


class ConvNeXt(nn.Module):
    def __init__(self, dim=4):
        super().__init__()
        self.dwconv, self.norm = nn.Conv2d(dim, dim, 3, padding=1, groups=dim), nn.LayerNorm(dim, eps=1e-6)
        self.pwconv1, self.act, self.pwconv2 = nn.Linear(dim, 8), nn.GELU(), nn.Linear(8, dim)
        self.gamma = nn.Parameter(1e-6 * torch.ones(dim))

    def forward(self, x):
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.gamma * self.pwconv2(self.act(self.pwconv1(y)))
        return x + y.permute(0, 3, 1, 2)


class Attention(nn.Module):
    """Heads by reshape and permute, timm's way."""

    def __init__(self, dim=4, heads=2):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x):
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, c))


class TorchAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        return self.attn(x, x, x, need_weights=False)[0]


class Block(nn.Module):
    def __init__(self, attention, dim=4):
        super().__init__()
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(dim), attention, nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 8), nn.GELU(), nn.Dropout(0.1), nn.Linear(8, dim))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch, self.cls = nn.Conv2d(3, 4, 4, 4), nn.Parameter(torch.zeros(1, 1, 4))
        self.pos, self.block = nn.Parameter(torch.zeros(1, 5, 4)), Block(Attention())
        self.norm, self.head = nn.LayerNorm(4), nn.Linear(4, 3)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls.expand(x.shape[0], -1, -1), x), dim=1) + self.pos
        return self.head(self.norm(self.block(x))[:, 0])


class Conv1D(nn.Module):
    """Hugging Face's: a linear layer whose weight is transposed, whose width is a number of its own."""

    def __init__(self, made, read):
        super().__init__()
        self.nf, self.weight = made, nn.Parameter(torch.empty(read, made).normal_())
        self.bias = nn.Parameter(torch.zeros(made))

    def forward(self, x):
        size_out = (*x.size()[:-1], self.nf)
        return torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight).view(size_out)


class GPT(nn.Module):
    """Tied embeddings, Conv1D, a causal mask."""

    def __init__(self):
        super().__init__()
        self.wte, self.wpe, self.ln = nn.Embedding(11, 4), nn.Embedding(6, 4), nn.LayerNorm(4)
        self.c_attn, self.c_proj, self.c_fc, self.c_out = (
            Conv1D(12, 4),
            Conv1D(4, 4),
            Conv1D(8, 4),
            Conv1D(4, 8),
        )
        self.up, self.down = nn.Linear(4, 8), nn.Linear(8, 4)
        self.lm_head = nn.Linear(4, 11, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, input_ids, attention_mask=None):
        x = self.wte(input_ids) + self.wpe(torch.arange(input_ids.size(-1)))
        q, k, v = self.c_attn(self.ln(x)).split(4, dim=2)
        scores = q @ k.transpose(-1, -2) / math.sqrt(v.size(-1))
        if attention_mask is not None:
            scores = scores + (1.0 - attention_mask[:, None, :].to(scores.dtype)) * -1e4
        x = x + self.c_proj(scores.softmax(-1) @ v)
        x = x + self.c_out(F.gelu(self.c_fc(x), approximate="tanh"))
        return {"logits": self.lm_head(x + self.down(F.gelu(self.up(x)))), "hidden": x}


class Gated(nn.Module):
    """LLaMA's MLP, and the same with both matrices in one."""

    def __init__(self):
        super().__init__()
        self.gate, self.up = nn.Linear(4, 6, bias=False), nn.Linear(4, 6, bias=False)
        self.down = nn.Linear(6, 4, bias=False)
        self.both, self.out = nn.Linear(4, 10), nn.Linear(5, 3)

    def forward(self, x):
        x = x + self.down(F.silu(self.gate(x)) * self.up(x))
        gate, up = self.both(x).chunk(2, dim=-1)
        return self.out(F.silu(gate) * up)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.lstm = nn.Embedding(10, 4), nn.LSTM(4, 6, batch_first=True, bidirectional=True)
        self.hidden, self.fc = nn.Linear(12, 5), nn.Linear(5, 2)

    def forward(self, tokens):
        y, (h, _) = self.lstm(self.embed(tokens))
        return self.fc(F.relu(self.hidden(y[:, -1]))) + h.sum()


class Signal(nn.Module):
    """(N, C, L) with C = L, then a linear layer along L."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.mix = nn.Conv1d(3, 6, 3, padding=1), nn.BatchNorm1d(6), nn.Linear(6, 6)
        self.bn2, self.head = nn.BatchNorm1d(6), nn.Conv1d(6, 2, 1)

    def forward(self, x):
        return self.head(self.bn2(self.mix(F.relu(self.bn(self.conv(x))))))


class ChannelsLast(nn.Module):
    """Pools along an axis that looks like a position and isn't."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        y = F.max_pool2d(self.conv(x).permute(0, 2, 3, 1), 3, 1, 1)
        return self.head(y.permute(0, 3, 1, 2))


class SharedTwice(nn.Module):
    """A matrix in two modules, one of which it can't be followed in."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.head = nn.Linear(4, 5), nn.Linear(4, 5), nn.Linear(4, 5), nn.Linear(5, 2)
        self.c.weight = self.b.weight

    def forward(self, x):
        tied = x @ self.c.weight.t()
        return self.head(F.relu(self.a(x)) + F.relu(self.b(x)) + tied.cumsum(-1))


class Autoencoder(nn.Module):
    """Decoded with the transposed matrix."""

    def __init__(self):
        super().__init__()
        self.enc, self.code, self.bias = nn.Linear(4, 6), nn.Linear(6, 6), nn.Parameter(torch.zeros(4))

    def forward(self, x):
        return F.linear(F.relu(self.code(F.relu(self.enc(x)))), self.enc.weight.t(), self.bias)


class TiedText(nn.Module):
    """Embedding and output share a matrix, no norm between: what one must keep, the other must."""

    def __init__(self):
        super().__init__()
        self.embed, self.mlp, self.out = nn.Embedding(9, 4), nn.Linear(4, 4), nn.Linear(4, 9)
        self.out.weight = self.embed.weight

    def forward(self, tokens):
        return self.out(F.relu(self.mlp(self.embed(tokens))))


class FunctionalHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 3)

    def forward(self, x):
        x = F.conv2d(x, self.conv.weight, self.conv.bias, padding=1)
        x = F.batch_norm(x, self.bn.running_mean, self.bn.running_var, self.bn.weight, self.bn.bias)
        x = F.adaptive_avg_pool2d(F.relu(x), 1).view(x.size(0), -1)
        return F.linear(x, self.fc.weight, self.fc.bias)


class SamePad(nn.Conv2d):
    """EfficientNet's convolution, which counts its own padding."""

    def forward(self, x):
        h, w = x.size()[-2:]
        ph = max((math.ceil(h / self.stride[0]) - 1) * self.stride[0] + self.kernel_size[0] - h, 0)
        pw = max((math.ceil(w / self.stride[1]) - 1) * self.stride[1] + self.kernel_size[1] - w, 0)
        if ph > 0 or pw > 0:
            x = F.pad(x, [pw // 2, pw - pw // 2, ph // 2, ph - ph // 2])
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class NormAct(nn.BatchNorm2d):
    """timm's BatchNormAct2d."""

    def forward(self, x):
        return F.relu(super().forward(x))


class MaskedConv(nn.Conv2d):
    """Standardizes its weight each time."""

    def forward(self, x):
        w = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return self._conv_forward(x, w, self.bias)


class Counting(nn.Module):
    """Divides by the root of the number of channels, in front of a sum over them."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x):
        y = F.relu(self.a(x))
        return self.b(y / y.shape[-1] ** 0.5)


class InPlace(nn.Module):
    """Adds to what a layer made and doesn't look at the result."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.head = nn.Linear(4, 6), nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, x):
        y = self.a(x)
        y.add_(self.b(x))
        return self.head(y.relu_())


class Listed(nn.Module):
    """Takes a list of tensors and sums from 0."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.head = nn.Linear(4, 6), nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, xs):
        ys = [layer(x) for layer, x in zip((self.a, self.b), xs, strict=True)]
        return self.head(F.relu(sum(ys)))


class Written(nn.Module):
    """Writes into what a layer made."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.head = nn.Linear(4, 6), nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, x):
        y = self.a(x) * 1
        y[:, 0] = 1
        return self.head(F.relu(self.b(y)))


class Unbatched(nn.Module):
    """(C, H, W) without a batch."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        return self.b(F.relu(self.a(x)))


class Several(nn.Module):
    """Two inputs, one by keyword, a flag, a dict of outputs."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.head = nn.Linear(3, 5), nn.Linear(2, 5), nn.Linear(5, 2)

    def forward(self, left, *, right=None, double=False):
        y = F.relu(self.left(left))
        if right is not None:
            y = y + F.relu(self.right(right))
        return {"logits": self.head(2 * y if double else y)}


class Untraced(nn.Module):
    """A branch on data: what is inside must stay as it is."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)

    def forward(self, x):
        x = self.conv(x)
        torch._assert(x.ndim == 4, "4D")
        x = self.bn(x)
        return x + 1 if x.sum() > 0 else x


class Auxiliary(nn.Module):
    """A second head that runs in training alone."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.head, self.aux = (nn.Linear(*n) for n in ((4, 6), (6, 5), (5, 3), (6, 3)))

    def forward(self, x):
        y = F.relu(self.a(x))
        out = self.head(F.relu(self.b(y)))
        return (out, self.aux(y)) if self.training else out


class TwoMatrices(nn.Module):
    """A layer of one's own that holds both matrices of an MLP, and a list of others."""

    def __init__(self):
        super().__init__()
        self.w1, self.w2 = nn.Parameter(torch.ones(6, 4)), nn.Parameter(torch.ones(4, 6))
        self.more = nn.ParameterList([torch.ones(5, 4), torch.ones(4, 5), torch.ones(2, 4)])

    def forward(self, x):
        x = x + F.linear(F.relu(F.linear(x, self.w1)), self.w2)
        for w in self.more:
            x = F.linear(x, w)
        return x


def resnext():
    return Classifier(nn.Conv2d(4, 6, 1), Bottleneck(4, groups=2))


def frozen():
    model = Classifier(BasicBlock())
    for p in model.body.parameters():
        p.requires_grad_(False)
    return model


def volume():
    return nn.Sequential(
        nn.Conv3d(1, 4, 3), nn.BatchNorm3d(4), nn.ReLU(), nn.ConvTranspose3d(4, 3, 2), nn.MaxPool3d(2),
        nn.Flatten(), nn.Linear(3, 2),
    )  # fmt: skip


def upscaled():
    return nn.Sequential(nn.Conv2d(3, 8, 1), nn.PixelShuffle(2), nn.PReLU(2), nn.Conv2d(2, 2, 1))


def transposed_depthwise():
    return nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.ConvTranspose2d(4, 8, 2, 2, groups=4), nn.GLU(1), nn.ReflectionPad2d(1),
        nn.Upsample(scale_factor=2), nn.Conv2d(4, 2, 1),
    )  # fmt: skip


def same_padded():
    deep = SamePad(4, 4, 3, 2, groups=4)
    return Classifier(SamePad(4, 4, 3, 2), NormAct(4), deep, NormAct(4), SamePad(4, 6, 1), NormAct(6))


class Squeezed(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 1), nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(F.adaptive_avg_pool2d(self.conv(x), 1).squeeze())


def torch_encoder():
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(layer, 2), nn.Linear(4, 2))


def tokens(*shape):
    return torch.arange(math.prod(shape)).reshape(shape) % 9


def noise(*shape):
    return torch.from_numpy(np.random.default_rng(0).normal(size=shape))


# name: how to make it, its input, its groups (layers -> channels), of what is refused a word of the reason
STRANGERS = {
    "basic block": (lambda: Classifier(BasicBlock()), noise(*IMAGE),
        {("stem",): 4, ("body.0.conv1",): 6, ("body.0.conv2", "body.0.downsample.0"): 6}, {"fc": "output"}),
    "frozen": (frozen, noise(*IMAGE),
        {("stem",): 4, ("body.0.conv1",): 6, ("body.0.conv2", "body.0.downsample.0"): 6}, {}),
    "bottleneck": (lambda: Classifier(nn.Conv2d(4, 6, 1), Bottleneck()), noise(*IMAGE),
        {("stem",): 4, ("body.0", "body.1.conv3"): 6, ("body.1.conv1",): 4, ("body.1.conv2",): 4}, {}),
    "resnext": (resnext, noise(*IMAGE), {("stem",): 4, ("body.0", "body.1.conv3"): 6},
        {"body.1.conv1": "2 groups", "body.1.conv2": "2 groups"}),
    "inverted residual": (lambda: Classifier(InvertedResidual(), channels=4), noise(*IMAGE),
        {("stem", "body.0.conv.6"): 4, ("body.0.conv.0",): 8}, {}),
    "shuffle": (lambda: Classifier(Shuffle(), channels=4), noise(*IMAGE), {("body.0.a",): 4},
        {"stem": "view splits them", "body.0.b": "view splits them"}),
    "dense": (lambda: Classifier(DenseBlock(), channels=10), noise(*IMAGE),
        {("stem",): 4, ("body.0.l1.conv",): 3, ("body.0.l2.conv",): 3}, {}),
    "unet": (UNet, noise(2, 3, 9, 9), {("a",): 4, ("b",): 5, ("up",): 4, ("c",): 4}, {"out": "output"}),
    "squeeze": (lambda: Classifier(Squeeze(), channels=4), noise(*IMAGE),
        {("stem", "body.0.fc.2"): 4, ("body.0.fc.0",): 2}, {}),
    "convnext": (lambda: Classifier(ConvNeXt(), channels=4), noise(*IMAGE), {("body.0.pwconv1",): 8},
        {"stem": "normalizes over", "body.0.norm": "normalizes over"}),
    "vit": (ViT, noise(*IMAGE), {("block.mlp.0",): 8},
        {"block.attn.qkv": "splits them", "patch": "add", "block.norm1": "reads a tensor", "pos": "add"}),
    "torch's attention": (lambda: Block(TorchAttention()), noise(2, 5, 4), {("mlp.0",): 8},
        {"attn.attn": "holds its heads in one matrix", "attn.attn.out_proj": "heads"}),
    "torch's encoder": (torch_encoder, noise(2, 5, 4),
        {("0.layers.0.linear1",): 8, ("0.layers.1.linear1",): 8},
        {"0.layers.0.self_attn.out_proj": "heads", "0.layers.1.norm1": "reads a tensor"}),
    "gpt": (GPT, {"input_ids": tokens(2, 6), "attention_mask": torch.ones(2, 6)}, {("up",): 8},
        {"wte": "vectors", "c_fc": "addmm", "lm_head": "vectors"}),
    "gated": (Gated, noise(2, 5, 4), {("gate", "up"): 6, ("both",): 5}, {"down": "isn't made by a layer"}),
    "lstm": (Recurrent, tokens(2, 5), {("hidden",): 5}, {"lstm": "back into itself", "embed": "vectors"}),
    "signal": (Signal, noise(2, 3, 6), {}, {"conv": "another axis", "mix": "another axis"}),
    "channels last": (ChannelsLast, noise(*IMAGE), {}, {"conv": "max_pool2d works along"}),
    "volume": (volume, noise(2, 1, 4, 4, 4), {("0",): 4, ("3",): 3}, {}),
    "upscaled": (upscaled, noise(*IMAGE), {("0",): 2}, {"3": "output"}),
    "transposed depthwise": (transposed_depthwise, noise(*IMAGE), {("0",): 2}, {}),
    "same padded": (same_padded, noise(*IMAGE),
        {("stem",): 4, ("body.0",): 4, ("body.4",): 6}, {}),
    "shared": (SharedTwice, noise(3, 4), {}, {"a": "b.weight is used by t", "b": "used by t"}),
    "autoencoder": (Autoencoder, noise(3, 4), {}, {"enc": "used by", "code": "linear"}),
    "tied text": (TiedText, tokens(2, 5), {}, {"embed": "vectors"}),
    "functional head": (FunctionalHead, noise(*IMAGE), {("conv",): 4}, {"fc": "output"}),
    "masked conv": (lambda: nn.Sequential(MaskedConv(3, 4, 1), nn.Conv2d(4, 2, 1)), noise(*IMAGE), {},
        {"0": "used by"}),
    "counting": (Counting, noise(3, 4), {}, {"a": "another function"}),
    "in place": (InPlace, noise(3, 4), {("a", "b"): 6}, {}),
    "a list": (Listed, [noise(3, 4), noise(3, 4)], {("a", "b"): 6}, {}),
    "written": (Written, noise(3, 4), {("b",): 5}, {"a": "setitem can't be followed"}),
    "unbatched": (Unbatched, noise(3, 8, 8), {("a",): 8}, {}),
    "several inputs": (Several, {"left": noise(2, 3), "right": noise(2, 2)}, {("left", "right"): 5}, {}),
    "a default": (Several, noise(2, 3), {("left",): 5}, {"right": "isn't used on this input"}),
    "a tuple of inputs": (Several, (noise(2, 3),), {("left",): 5}, {}),
    "auxiliary": (Auxiliary, noise(3, 4), {("b",): 5}, {"a": "fails in training", "aux": "isn't used"}),
    "two matrices": (TwoMatrices, noise(3, 4), {("w1",): 6, ("more",): 5, ("more.1",): 4},
        {"w2": "add", "more.2": "output"}),
    "untraced": (lambda: Classifier(Untraced(), nn.Conv2d(4, 6, 1)), noise(*IMAGE), {("body.1",): 6},
        {"stem": "body.0 (Untraced)", "body.0.conv": "is part of body.0 (Untraced), which can't be traced"}),
    "squeezed": (Squeezed, noise(*IMAGE), {}, {"conv": "squeeze drops their axis"}),
}  # fmt: skip
every_stranger = pytest.mark.parametrize("name", STRANGERS)


@cache
def made(name):
    """The network in float64 with random weights and statistics, its input, its graph."""
    build, x, *_ = STRANGERS[name]
    rng = torch.Generator().manual_seed(1)
    model = build().double().eval()
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            if tensor.is_floating_point():
                tensor.copy_(torch.randn(tensor.shape, generator=rng, dtype=tensor.dtype))
        for module in model.modules():
            if getattr(module, "running_var", None) is not None:
                module.running_var.abs_()
    return model, x, channel_graph(model, x)


def result(model, x):
    args, kwargs = arguments(x)
    y = model(*args, **kwargs)
    return y["logits"] if isinstance(y, dict) else y


@every_stranger
def test_what_is_offered_is_exact(name):
    model, x, graph = made(name)
    rng, whole, changed = np.random.default_rng(2), result(model, x), []
    for _ in range(3 if graph.groups else 0):
        gone = {
            n: rng.permutation(len(g.units))[rng.integers(1, len(g.units)) :] for n, g in graph.groups.items()
        }
        plan = Plan(graph, gone)
        small, masked = (result(change(model, plan), x) for change in (remove_channels, zero_channels))
        # sums in another order, in float64
        torch.testing.assert_close(small, masked, rtol=1e-11, atol=1e-12 * float(masked.detach().abs().max()))
        changed.append(not torch.equal(masked, whole))
        counted = sum(p.numel() for p in remove_channels(model, plan).parameters())
        assert counted == plan.parameters()[1] < plan.parameters()[0]
    assert any(changed) or not graph.groups


@every_stranger
def test_every_layer_is_in_a_group_or_refused_with_a_reason(name):
    _, _, groups, refused = STRANGERS[name]
    model, _, graph = made(name)
    assert {group.layers: len(group.units) for group in graph.groups.values()} == groups
    for layer, why in refused.items():
        assert why in graph.refused[layer]
        assert layer in repr(graph)
    makers = {layer for group in graph.groups.values() for layer in group.layers}
    for path, module in model.named_modules():
        for leaf, p in module.named_parameters(recurse=False):
            followed = (
                path in makers
                or path in graph.layers
                or any((f"{path}.{leaf}".strip("."), a) in graph.slots for a in range(p.ndim))
            )
            assert followed or {path, leaf} & {*graph.refused} or p.numel() == 1


def test_surgery_keeps_everything_else():
    model = Classifier(BasicBlock()).to(torch.float16).train()
    model.body[0].bn1.eval()
    model.stem.weight.requires_grad_(False)
    calls = []
    model.fc.register_forward_hook(lambda *_: calls.append(1))
    graph = channel_graph(Classifier(BasicBlock()), noise(*IMAGE).float())
    small = remove_channels(model, Plan(graph, {"stem": [0], "body.0.conv1": [1, 2]}))
    assert {p.dtype for p in small.parameters()} == {torch.float16}
    assert [p.requires_grad for p in small.parameters()] == [p.requires_grad for p in model.parameters()]
    assert [m.training for m in small.modules()] == [m.training for m in model.modules()]
    small.float()(noise(*IMAGE).float())
    assert calls == [1]
    assert int(small.body[0].bn1.num_batches_tracked) == 0


class Data(nn.Module):
    """An object for an output, of a network that runs in float32 alone."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, x):
        y = F.relu(self.a(x.float()))
        return SimpleNamespace(logits=self.b(y / self.count(y)), loss=None)


@pytest.mark.parametrize(("count", "offered"), [(lambda y: 2, ["a"]), (lambda y: y.shape[-1], [])])
def test_a_network_that_runs_in_float32_alone_is_checked_there(count, offered):
    model = Data()
    model.count = count
    assert list(channel_graph(model, noise(3, 4).float()).groups) == offered


def test_noise_finds_what_zero_weights_hide():
    model = Counting()
    nn.init.zeros_(model.b.weight)
    assert "another function" in channel_graph(model, torch.zeros(3, 4)).refused["a"]
