"""kmeans_1d against scikit-learn: ten million Gaussian float32, 16 clusters.

Run: python benchmarks/kmeans.py
"""

import argparse
import statistics
import time

import numpy as np
import torch
from sklearn.cluster import KMeans

from mcomp.quantize import kmeans_1d, within_ss

N = 10_000_000


def timed(f, *args):
    start = time.perf_counter()
    result = f(*args)
    return time.perf_counter() - start, result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", type=int, default=16, help="number of clusters")
    k = parser.parse_args().k
    x = np.random.default_rng(0).standard_normal(N, dtype=np.float32)
    column = x[:, None]
    ours = []
    for a in (x, torch.from_numpy(x), x):
        seconds, (centroids, _) = timed(kmeans_1d, a, k)
        ours.append(seconds)
    theirs, model = timed(KMeans(k, n_init=1, random_state=0).fit, column)
    peer = within_ss(x, np.sort(model.cluster_centers_[:, 0]))
    mine = within_ss(x, centroids)
    middle = statistics.median(ours)
    print(f"{N:,} float32, {k} clusters, {torch.get_num_threads()} threads")
    print(f"scikit-learn KMeans(n_init=1) {theirs:6.2f} s, sum of squares {peer:.3f}, {model.n_iter_} steps")
    print(f"    its own float32 inertia_            sum of squares {model.inertia_:.3f}")
    print(f"kmeans_1d                     {middle:6.2f} s, sum of squares {mine:.3f}")
    print(f"    its runs: {', '.join(f'{t:.2f} s' for t in ours)} (numpy, torch, numpy)")
    print(f"{theirs / middle:.1f} times faster, sum of squares {mine / peer:.6f} of the peer's")


if __name__ == "__main__":
    main()
