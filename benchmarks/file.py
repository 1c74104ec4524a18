"""Files of networks against zlib, lzma, zstd and plain safetensors: bytes, CPU seconds a million weights.

Many small tensors are the slow case, so the network is built like MobileNetV2 (Sandler et al. 2018,
arXiv:1801.04381): 2.2 million weights in 53 layers, with weights of uneven scales as training leaves them.
Run: OMP_NUM_THREADS=1 python benchmarks/file.py [--width 1.0 | --stack LAYERS] [--only CODEC]. Below width
0.5, and in a stack of up to 300 layers of 32 x 48, there are less than 2**19 numbers, for which the slower
codes are tried. zstd is the command, if there is one. The goals: mcomp/file/container.py.

--large MILLIONS does something else: it saves and loads a network of so many weights, plain and in 8 bits,
in a process of its own each, and says how much memory that took at the most.
"""

import argparse
import lzma
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import zlib
from functools import partial
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

import mcomp
from mcomp.codecs import Codebook, GroupUniform, LowRank, NMSparse, Sparse, Ternary, Uniform, attach, bake

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
    "Sparse(0.9) | Uniform(4)": Sparse(0.9) | Uniform(4),
    "NMSparse(2, 4)": NMSparse(2, 4),
    "LowRank(4) | Uniform(8)": LowRank(4) | Uniform(8),
    "GroupUniform(4, group=8)": GroupUniform(4, group=8),
    "Ternary()": Ternary(),
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


def stack(layers):
    """Linear layers of 32 inputs and 48 outputs, or the other way round: hundreds of small tensors."""
    return nn.Sequential(*(nn.Linear(*((32, 48) if i % 2 else (48, 32))) for i in range(layers)))


def trained_like(make, seed=0):
    """A network whose weights have a heavy tail, and rows and columns of uneven scale, as have its norms."""
    torch.manual_seed(seed)
    model = make()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                w = module.weight
                scale = torch.randn(len(w), *[1] * (w.ndim - 1)).mul(0.4).exp()
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


def fitting(codec, model):
    """The names of the matrices and filters of `model` whose shape the codec takes."""
    for name, p in model.named_parameters():
        group = codec.m if isinstance(codec, NMSparse) else getattr(codec, "group", None) or 1
        if p.ndim > 1 and (p.shape[1] if isinstance(codec, NMSparse) else p[0].numel()) % group == 0:
            yield name


def race(name, codec, make, folder):
    model = make()
    weights = sum(x.numel() for x in model.state_dict().values())
    if codec is not None:
        attach(model, dict.fromkeys(fitting(codec, model), codec))
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


def large(name, millions, folder):
    """Save and load layers of four million weights each; says bytes, seconds, and memory at the most."""
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(2000, 2000, bias=False) for _ in range(millions // 4)))
    weights, path = sum(p.numel() for p in model.parameters()), folder / "x.safetensors"
    if CODECS[name] is not None:
        attach(model, {"*.weight": CODECS[name]})
    save, nbytes = seconds(mcomp.save, model, path, progress=False)
    plain = bake(model)
    load, again = seconds(mcomp.load, path, model=plain, progress=False)
    assert all(map(torch.equal, plain.state_dict().values(), again.state_dict().values()))
    row(name, nbytes, weights, save, load)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(f"    {weights:,} weights, {peak / 1e9:.2f} GB of memory at the most, torch's included", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--stack", type=int)
    parser.add_argument("--large", type=int)
    parser.add_argument("--only", choices=CODECS)
    options = parser.parse_args()
    make = partial(stack, options.stack) if options.stack else partial(mobilenet, options.width)
    with tempfile.TemporaryDirectory() as folder:
        if options.large and options.only:
            return large(options.only, options.large, Path(folder))
        for name, codec in CODECS.items():
            if options.large and name in ("plain", "Uniform(8)"):
                subprocess.run([sys.executable, __file__, *sys.argv[1:], "--only", name], check=True)
            elif not options.large and options.only in (None, name):
                race(name, codec, lambda: trained_like(make), Path(folder))


if __name__ == "__main__":
    main()
