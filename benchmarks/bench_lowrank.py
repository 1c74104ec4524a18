"""Low rank against tensorly, torch and LAPACK, side by side in one run; times are CPU seconds of one thread.

Run: OMP_NUM_THREADS=1 python benchmarks/bench_lowrank.py
"""

import statistics
import time

import numpy as np
import tensorly as tl
import torch
from tensorly.decomposition import partial_tucker

from mcomp import zoo
from mcomp.lowrank import jacobi_svd, mode_product, randomized_svd, tucker2


def seconds(call):
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def race(name, calls, error, rounds):
    """Print the median time and the relative error of each, and the ratios to the last, the peer."""
    times = {who: [] for who in calls}
    errors = {}
    for _ in range(rounds):  # in turn
        for who, call in calls.items():
            t, result = seconds(call)
            times[who].append(t)
            errors[who] = error(result)
    medians = {who: statistics.median(t) for who, t in times.items()}
    *_, peer = calls
    print(name)
    for who, t in medians.items():
        ratio, worse = t / medians[peer], errors[who] / errors[peer] - 1
        print(f"    {who:24} {t:8.3f} s = {ratio:6.3f} x {peer}, error {errors[who]:.5f} ({worse:+.3%})")


def tucker(w):
    def error(found):
        up, core, down = found
        back = mode_product(mode_product(core, up, axis=0), down.T, axis=1)
        return np.linalg.norm(w - back) / np.linalg.norm(w)

    def peer():
        (core, (up, down)), _ = partial_tucker(w, rank=[128, 128], modes=[0, 1])
        return up, core, down.T

    calls = {"mcomp tucker2": lambda: tucker2(w, (128, 128)), "tensorly partial_tucker": peer}
    return calls, error


def svd(a):
    def peer():
        u, s, v = torch.svd_lowrank(a, q=64, niter=2)
        return u, s, v.T

    def error(found):
        u, s, vt = found
        return float(torch.linalg.norm(a - u * s @ vt) / torch.linalg.norm(a))

    return {"mcomp randomized_svd": lambda: randomized_svd(a, 64), "torch.svd_lowrank": peer}, error


def falling(n):
    """A matrix (n, n) whose singular values fall as 1 / i."""
    rng = torch.Generator().manual_seed(0)
    u, v = (torch.linalg.qr(torch.randn(n, n, generator=rng))[0] for _ in range(2))
    return u / torch.arange(1, n + 1) @ v


def main():
    tl.set_backend("numpy")
    torch.manual_seed(0)
    noise = np.random.default_rng(0).normal(size=(512, 512, 3, 3)).astype(np.float32)
    race("Tucker-2 of noise, 512 x 512 x 3 x 3, rank 128", *tucker(noise), rounds=1)
    smooth = (
        noise * (np.arange(1, 513) ** -0.5)[:, None, None, None] * (np.arange(1, 513) ** -0.5)[:, None, None]
    )
    race("Tucker-2 of a falling spectrum", *tucker(smooth.astype(np.float32)), rounds=1)
    race("SVD of noise, 2048 x 2048, rank 64", *svd(torch.randn(2048, 2048)), rounds=7)
    race("SVD of a falling spectrum, 2048 x 2048, rank 64", *svd(falling(2048)), rounds=7)
    w = zoo.load("lenet300").fc1.weight.detach().double().numpy()
    calls = {"mcomp jacobi_svd": lambda: jacobi_svd(w), "numpy.linalg.svd": lambda: np.linalg.svd(w, False)}
    truth = np.linalg.svd(w, compute_uv=False)
    race("SVD of fc1, 300 x 784: largest error of a value over 1e-15 of the first",
         calls, lambda found: abs(found[1] - truth).max() / truth[0] / 1e-15 + 1e-9, rounds=1)  # fmt: skip


if __name__ == "__main__":
    main()
