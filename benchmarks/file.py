"""Files of networks against zlib, lzma, zstd and plain safetensors: bytes, CPU seconds a million weights.

Many small tensors are the slow case, so the network is built like MobileNetV2 (Sandler et al. 2018,
arXiv:1801.04381): 2.2 million weights in 53 layers, with weights of uneven scales as training leaves them.
Run: OMP_NUM_THREADS=1 python benchmarks/file.py [--width 1.0] [--only CODEC]. Below width 0.5 the network
has less than 2**19 numbers, for which the slower codes are tried. zstd is the command, if there is one.
"""

import argparse
import lzma
import os
import shutil
import subprocess
import tempfile
import zlib
from functools import partial
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

import mcomp
from mcomp.codecs import Codebook, Sparse, Uniform, attach, bake

STAGES = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))
CODECS = {
    "plain": None,
    "Uniform(8)": Uniform(8, axis=0),
    "Uniform(4)": Uniform(4, axis=0),
    "Codebook(16)": Codebook(16),
    "Sparse(0.8)": Sparse(0.8),
    "Sparse(0.9)": Sparse(0.9),
    "Sparse(0.98)": Sparse(0.98),
    "Sparse(0.9) | Codebook(16)": Sparse(0.9) | Codebook(16),
}


def layer(inputs, outputs, size=1, groups=1):
    conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU6()]


def mobilenet(width=1.0):
    """Convolutions of MobileNetV2 in a row; without strides and skips, which hold no weights."""
    inputs, layers = int(32 * width), layer(3, int(32 * width), 3)
    for expand, outputs, repeats in STAGES:
        for _ in range(repeats):
            hidden = inputs * expand
            layers += layer(inputs, hidden) if expand > 1 else []
            layers += [*layer(hidden, hidden, 3, hidden), *layer(hidden, int(outputs * width))[:2]]
            inputs = int(outputs * width)
    return nn.Sequential(*layers, *layer(inputs, int(1280 * width)))


def trained_like(model, seed=0):
    """Weights with a heavy tail, and rows and columns of uneven scale; statistics of batch norm."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                w = module.weight
                scale = torch.randn(w.shape[0], 1, 1, 1).mul(0.4).exp()
                w.copy_(torch.distributions.StudentT(5.0).sample(w.shape) * scale * w.abs().mean())
                w.mul_(torch.randn(1, *w.shape[1:]).mul(0.4).exp())
            elif isinstance(module, nn.BatchNorm2d):
                for x, low in ((module.weight, 0.5), (module.bias, 0), (module.running_mean, 0)):
                    x.copy_(low + torch.randn(x.shape).mul(0.3))
                module.running_var.copy_(torch.randn(module.running_var.shape).exp())
    return model


def cpu():
    return sum(os.times()[:4])  # of this process and of commands that it waited for


def seconds(call, *args, **options):
    begin = cpu()
    result = call(*args, **options)
    return cpu() - begin, result


def zstd(*options):
    return lambda data: (
        subprocess.run(["zstd", "-c", *options], input=data, capture_output=True, check=True).stdout
    )


def row(name, nbytes, weights, save, load, ours=None):
    """One line; `ours`, bytes and seconds of mcomp, adds how many times more bytes and less work they are."""
    ratio = 4 * weights / nbytes
    print(f"    {name:22} {nbytes:>11,} bytes, {ratio:6.2f} x smaller;", end=" ")
    print(f"save {1e6 * save / weights:6.2f}, load {1e6 * load / weights:5.2f} s of CPU a million", end="")
    print(f"; to mcomp {nbytes / ours[0]:.2f} bytes, {save / ours[1]:.2f} work" if ours else "", flush=True)


def race(name, codec, make, folder):
    model = make()
    weights = sum(x.numel() for x in model.state_dict().values())
    if codec is not None:
        attach(model, {f"{n}.weight": codec for n, m in model.named_modules() if isinstance(m, nn.Conv2d)})
    print(f"{name}, {weights:,} numbers in {len(make().state_dict())} tensors")
    path = folder / "x.safetensors"
    save, nbytes = seconds(mcomp.save, model, path, progress=False)
    load, again = seconds(mcomp.load, path, model=make(), progress=False)
    plain = bake(model).eval()
    pairs = zip(plain.state_dict().values(), again.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    row("mcomp", nbytes, weights, save, load)
    ours = nbytes, save
    save, raw = seconds(safetensors.torch.save, plain.state_dict())
    row("safetensors", len(raw), weights, save, seconds(safetensors.torch.load, raw)[0], ours)
    peers = [
        ("zlib -9", partial(zlib.compress, level=9), zlib.decompress),
        ("lzma -6", lzma.compress, lzma.decompress),
    ]
    if shutil.which("zstd"):
        peers.append(("zstd -19", zstd("-19"), zstd("-d")))
    for peer, pack, unpack in peers:
        save, small = seconds(pack, raw)
        row(f"safetensors + {peer}", len(small), weights, save, seconds(unpack, small)[0], ours)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--only", choices=CODECS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, codec in CODECS.items():
            if options.only in (None, name):
                race(name, codec, lambda: trained_like(mobilenet(options.width)), Path(folder))


if __name__ == "__main__":
    main()
