"""Does a quarter of the bytes take a quarter of the time? One vector times a large matrix, in four forms.

    python experiments/18_products.py      (two minutes, on a quiet machine)

A network that writes multiplies each weight once for each byte of text: here 4096 x 4096, float32 64 MiB, 4
bits in groups of 64 about 9. One thread. "torch float32" and "torch bfloat16" are `torch.mv`; ONNX Runtime
multiplies in float32 (MatMul) or from 4 or 8 bits (MatMulNBits, of its contributed operators, its integer
path where the processor has one); "mcomp, packed" unpacks in numpy. Beside it 256 x 256, and 64 x 64, whose
time is mostly that of the call. Each arm has its turn in each round; quartiles over rounds of milliseconds,
and of "torch float32" over the arm in the same round.
"""

from time import perf_counter

import arms
import numpy as np
import onnx
import onnxruntime
import torch
from common import write
from tqdm.auto import tqdm

from mcomp.quantize.grids import quantize
from mcomp.quantize.groups import group_grid
from mcomp.quantize.packed import pack_int4, packed_product

ROUNDS, GROUP, SIZES = 30, 64, (64, 256, 4096)
CALLS = {64: 400, 256: 200, 4096: 4}


def session(node, n, tensors):
    """A function of x (1, n) that runs one node in ONNX Runtime, on one thread."""
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, n]) for name in "xy"]
    stored = [onnx.numpy_helper.from_array(a, name) for name, a in tensors.items()]
    graph = onnx.helper.make_graph([node], "product", values[:1], values[1:], stored)
    opsets = [onnx.helper.make_opsetid("", 21), onnx.helper.make_opsetid("com.microsoft", 1)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    run = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return lambda x: run.run(None, {"x": x})[0]


def bits_node(w, bits):
    """MatMulNBits of w (out, n): symmetric blocks of GROUP, as its documentation lays them out."""
    out, n = w.shape
    blocks = w.reshape(out, n // GROUP, GROUP)
    scale = abs(blocks).max(2) / (2 ** (bits - 1) - 1)
    q = np.round(blocks / scale[..., None]).astype(np.int16) + 2 ** (bits - 1)
    packed = q.astype(np.uint8) if bits == 8 else (q[..., ::2] | (q[..., 1::2] << 4)).astype(np.uint8)
    node = onnx.helper.make_node(
        "MatMulNBits", ["x", "w", "scale"], ["y"], domain="com.microsoft",
        K=n, N=out, bits=bits, block_size=GROUP, accuracy_level=4,
    )  # fmt: skip
    rounded = ((q - 2 ** (bits - 1)) * scale[..., None]).reshape(out, n)
    return session(node, n, {"w": packed, "scale": scale.astype(np.float32).flatten()}), rounded


def functions(n):
    """Each arm: a function of x (1, n), the matrix that it stands for, bytes read."""
    w = np.random.default_rng(0).normal(size=(n, n)).astype(np.float32)
    grid = group_grid(w, 4, group=GROUP, shrink=(1,))
    packed, half = pack_int4(quantize(w, grid)), torch.tensor(w).bfloat16()
    whole, groups = torch.tensor(w), n * n // GROUP
    plain = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    found = {
        "torch float32": (lambda x: torch.mv(whole, torch.from_numpy(x[0])), w, 4 * n * n),
        "torch bfloat16": (lambda x: torch.mv(half, torch.from_numpy(x[0]).bfloat16()), w, 2 * n * n),
        "ONNX Runtime, float32": (session(plain, n, {"w": np.ascontiguousarray(w.T)}), w, 4 * n * n),
    }
    for bits in (8, 4):
        found[f"ONNX Runtime, {bits} bits"] = (*bits_node(w, bits), n * n * bits // 8 + 4 * groups)
    rounded = np.asarray(quantize(w, grid), dtype=np.float64)
    scale, zero = (
        np.repeat(np.asarray(p), GROUP, axis=1).reshape(n, n) for p in (grid.scale, grid.zero_point)
    )
    found["mcomp, packed"] = (
        lambda x: packed_product(packed, x[0], grid), scale * (rounded - zero), n * n // 2 + 8 * groups,
    )  # fmt: skip
    return found


def measured(n):
    """By arm: quartiles of milliseconds and ratio, bytes, the relative error of the product."""
    found, x = functions(n), np.random.default_rng(1).normal(size=(1, n)).astype(np.float32)
    taken = {name: [] for name in found}
    for start in tqdm(range(-2, ROUNDS), unit="round", desc=f"{n} x {n}"):
        names = list(found)
        for name in names[start % len(names) :] + names[: start % len(names)]:
            function, calls = found[name][0], 1 if name.startswith("mcomp") else CALLS[n]
            begun = perf_counter()
            for _ in range(calls):
                function(x)
            if start >= 0:
                taken[name].append(1000 * (perf_counter() - begun) / calls)
    told = {}
    for name, (function, matrix, nbytes) in found.items():
        y, right = np.asarray(torch.as_tensor(function(x)).float()).flatten(), matrix @ x[0]
        ratio = np.array(taken["torch float32"]) / taken[name]
        told[name] = {
            "ms": np.quantile(taken[name], [0.25, 0.5, 0.75]).tolist(), "bytes": nbytes,
            "times": np.quantile(ratio, [0.25, 0.5, 0.75]).tolist(),
            "off": float(np.linalg.norm(y - right) / np.linalg.norm(right)),
        }  # fmt: skip
        assert told[name]["off"] < 0.02, (name, told[name]["off"])
    return told


def main():
    torch.set_num_threads(1)
    write(
        __file__, question="Does a quarter of the bytes take a quarter of the time?", network=["none"],
        data="random", methods={}, seeds=(0,), rounds=ROUNDS, group=GROUP,
        sizes={str(n): measured(n) for n in SIZES}, machine=arms.machine(),
    )  # fmt: skip


if __name__ == "__main__":
    main()
