"""Entropy coding against the package constriction, and the codes of positions against each other.

Run: python benchmarks/coding.py [MASKS.npz]
"""

import argparse
import statistics
import time

import constriction
import numpy as np

from mcomp.coding.entropy import entropy, histogram
from mcomp.coding.huffman import huffman_decode, huffman_encode
from mcomp.coding.positions import decode_mask, mask_codes
from mcomp.coding.rans import rans_decode, rans_encode

N, RUNS = 10_000_000, 5


def timed(f, *args):
    start = time.perf_counter()
    result = f(*args)
    return time.perf_counter() - start, result


def peer_encode(symbols, model):
    coder = constriction.stream.stack.AnsCoder()
    coder.encode_reverse(symbols, model)
    return coder


def race(symbols, counts):
    """Median seconds of encoding and decoding and the bytes, by coder; the runs take turns."""
    model = constriction.stream.model.Categorical(counts / counts.sum(), perfect=False)
    wide, times = symbols.astype(np.int32), {}
    for _ in range(RUNS):
        t0, coder = timed(peer_encode, wide, model)
        size = coder.get_compressed().nbytes
        t1, back = timed(coder.decode, model, N)
        times.setdefault(("constriction ANS", size), []).append((t0, t1))
        assert (back == symbols).all()
        for name, encode, decode in (
            ("mcomp rANS", rans_encode, rans_decode),
            ("mcomp Huffman", huffman_encode, huffman_decode),
        ):
            t0, data = timed(encode, symbols, 16)
            t1, back = timed(decode, data, N, 16)
            times.setdefault((name, len(data)), []).append((t0, t1))
            assert (back == symbols).all()
    return {name: [statistics.median(t) for t in zip(*runs, strict=True)] for name, runs in times.items()}


def symbol_table():
    symbols = np.clip(np.rint(np.random.default_rng(0).normal(8, 2.5, N)), 0, 15).astype(np.uint8)
    counts = histogram(symbols, 16)
    bits = entropy(counts)
    print(
        f"{N:,} symbols of 4 bits, entropy {bits:.4f} bits = {bits * N / 8:,.0f} bytes; median of {RUNS} runs"
    )
    rows = race(symbols, counts)
    peer = next(iter(rows.values()))
    for (name, size), (t0, t1) in rows.items():
        excess = 100 * (size * 8 / (bits * N) - 1)
        print(
            f"{name:16} {size:>9,} bytes (entropy + {excess:.3f} %), encode {t0:.3f} s = {t0 / peer[0]:.2f} x"
            f", decode {t1:.3f} s = {t1 / peer[1]:.2f} x of the peer"
        )


def synthetic_mask():
    """300 units that look at 28 x 28 pixels: uneven rows and columns, empty borders, 2 % kept."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:28, :28] - 13.5
    bump = np.exp(-(y**2 + x**2) / 120).ravel()
    p = np.outer(rng.gamma(3, 1 / 3, 300), rng.gamma(4, 0.25, 784) * np.where(bump > 0.12, bump, 0))
    return rng.random((300, 784)) < p * 0.02 / p.mean()


def mask_table(name, mask):
    kept = int(mask.sum())
    iid = mask.size * entropy([kept, mask.size - kept]) / 8
    seconds, codes = timed(mask_codes, mask)
    print(f"mask {name} {mask.shape}, {kept} kept, i.i.d. {iid:,.0f} bytes; coded in {seconds:.2f} s")
    for code, data in codes.items():
        seconds, back = timed(decode_mask, data, mask.shape)
        assert (back == mask).all()
        per_kept = 8 * len(data) / max(kept, 1)
        print(f"    {code:10} {len(data):>7,} bytes, {per_kept:6.3f} bits each, decoded in {seconds:.2f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("masks", nargs="?", help="an .npz file of boolean arrays")
    path = parser.parse_args().masks
    symbol_table()
    masks = np.load(path) if path else {"synthetic": synthetic_mask()}
    for name in masks:
        mask_table(name, masks[name])


if __name__ == "__main__":
    main()
