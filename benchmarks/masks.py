"""topk_mask against torch.topk: ten million float32 scores, one in ten stays.

Run: python benchmarks/masks.py
"""

import statistics
import time

import numpy as np
import torch

from mcomp.prune import topk_mask

N, KEEP, RUNS = 10_000_000, 1_000_000, 7


def seconds(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


def main():
    score = abs(np.random.default_rng(0).standard_normal(N, dtype=np.float32))
    tensor = torch.from_numpy(score)
    tied = np.floor(score * 4)  # some twenty values: nearly everything is a tie
    contests = {
        "torch.topk": lambda: torch.topk(tensor, KEEP),
        "torch.topk, sorted=False": lambda: torch.topk(tensor, KEEP, sorted=False),
        "topk_mask, numpy": lambda: topk_mask(score, KEEP),
        "topk_mask, torch": lambda: topk_mask(tensor, KEEP),
        "topk_mask, numpy, ties": lambda: topk_mask(tied, KEEP),
    }
    times = {name: [] for name in contests}
    for _ in range(RUNS):  # in turn, so that all see the same machine
        for name, f in contests.items():
            times[name].append(seconds(f))
    peer = statistics.median(times["torch.topk"])
    print(f"{N:,} float32, {KEEP:,} stay, {torch.get_num_threads()} threads, median of {RUNS}")
    for name, t in times.items():
        middle = statistics.median(t)
        print(f"{name:26s}{1e3 * middle:8.1f} ms   torch.topk takes {peer / middle:5.2f}x")
    kept = torch.zeros(N, dtype=torch.bool)
    kept[torch.topk(tensor, KEEP).indices] = True
    same = int((kept == topk_mask(tensor, KEEP)).sum())
    print(f"entries on which the two agree (ties may differ): {same:,}")


if __name__ == "__main__":
    main()
