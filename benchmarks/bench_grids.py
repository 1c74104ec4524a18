"""fake_quantize against torch's fused kernel: ten million float32, one scale a channel.

The whole-array forms show what a pass over memory costs: the same operations, each on all of the array.
Run: python benchmarks/bench_grids.py
"""

import statistics
import time

import numpy as np
import torch

from mcomp.quantize import choose_grid, dequantize, fake_quantize, quantize

SHAPE, RUNS = (4000, 2500), 15


def seconds(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def whole_array(w, grid):
    """Five operations on all of the array, each reads 40 MB and writes 40 MB of new memory."""
    scale = grid.scale[:, None]
    return np.clip(np.rint(w * (1 / scale)), grid.qmin, grid.qmax) * scale


def in_place(w, grid, out):
    """The same, into one array that is there already."""
    scale = grid.scale[:, None]
    np.multiply(w, 1 / scale, out=out)
    np.rint(out, out=out)
    np.clip(out, grid.qmin, grid.qmax, out=out)
    np.multiply(out, scale, out=out)


def main():
    w = np.random.default_rng(0).standard_normal(SHAPE, dtype=np.float32)
    tensor, out = torch.from_numpy(w), np.empty_like(w)
    grid, other = choose_grid(w, 8, axis=0), choose_grid(tensor, 8, axis=0)
    fused = (tensor, other.scale, other.zero_point, 0, other.qmin, other.qmax)
    contests = {
        "torch fused kernel": lambda: torch.fake_quantize_per_channel_affine(*fused),
        "mcomp fake_quantize, torch": lambda: fake_quantize(tensor, other),
        "mcomp fake_quantize, numpy": lambda: fake_quantize(w, grid),
        "numpy, whole array": lambda: whole_array(w, grid),
        "numpy, whole array, in place": lambda: in_place(w, grid, out),
        "mcomp quantize, then dequantize": lambda: dequantize(quantize(w, grid), grid),
        "numpy copy (one pass)": lambda: np.copyto(out, w),
    }
    times = {name: [] for name in contests}
    for _ in range(RUNS):  # in turn, so that all see the same machine
        for name, f in contests.items():
            times[name].append(seconds(f))
    peer = times["torch fused kernel"]
    print(f"{w.size:,} float32 in {SHAPE[0]:,} channels, {torch.get_num_threads()} threads, median of {RUNS}")
    for name, t in times.items():
        ratio = statistics.median(a / b for a, b in zip(t, peer, strict=True))
        print(f"{name:33s}{1e3 * statistics.median(t):8.1f} ms   {ratio:5.2f} x torch's time")
    same = torch.equal(fake_quantize(tensor, other), torch.fake_quantize_per_channel_affine(*fused))
    print(f"equal to the last bit: {same}")


if __name__ == "__main__":
    main()
