"""Are our integers those of ONNX Runtime, to the last bit? Every layer of three networks, and random layers.

    python experiments/07_onnxruntime.py     (a minute on one core)

Each layer gets the same integers here and there: QLinearConv with its bias, QLinearMatMul without, for it
has none. Weights and inputs are uint8 with zero points moved by 128: so no x86 processor saturates, whether
it has VNNI or not. Random layers are padded at any zero point; in half of them all scales are powers of two,
so that some sums end exactly between two integers. Then whole networks, QGemm, QLinearAdd and the average of
ONNX Runtime included, and how long one takes: processor time of one thread, int8 weights, all contestants in
turn in every round.
"""

from time import process_time

import arms
import numpy as np
import torch
from common import write
from tqdm.auto import tqdm

import mcomp.data
from mcomp import zoo
from mcomp.deploy import onnxruntime as engine
from mcomp.deploy.floats import floats
from mcomp.deploy.graph import Graph
from mcomp.deploy.qoperator import product, qoperator
from mcomp.integer.network import integer_network
from mcomp.integer.products import integer_conv2d, integer_matmul
from mcomp.integer.requantize import fixed_multiplier, requantize, requantize_float
from mcomp.integer.steps import Product
from mcomp.quantize.grids import quantize
from mcomp.structure import fold_batchnorm

SEEDS, IMAGES = (0, 1, 2), 200
RANDOM, ROUNDS = 80, {1: 60, 100: 8}


def session(proto):
    """A session of one thread."""
    return engine.session(proto.SerializeToString())


def run(session, x):
    return session.run(None, {"input": x})[0]


def unsigned(q):
    return (np.asarray(q).astype(np.int16) + 128).astype(np.uint8)


def counts(floating, fixed, theirs):
    """Outputs compared; how many differ and by how many steps, with either multiplier."""
    found = {"outputs": int(theirs.size)}
    for name, q in (("float", floating), ("fixed", fixed)):
        away = abs(np.asarray(q).astype(int) - theirs.astype(int))
        found |= {f"{name} differ": int((away > 0).sum()), f"{name} largest": int(away.max())}
    return found


def layers(network, q):
    """Of each layer that multiplies: its operator and `counts`, on the integers that reach it."""
    tensors, found = network.run(q), {}
    for step in network.steps:
        if isinstance(step.run, Product):
            x, plain = tensors[step.inputs[0]], step.run
            if plain.options is None:
                plain = Product(**{**vars(plain), "bias": torch.zeros_like(plain.bias)})
            graph = Graph()
            product(graph, step.name, "input", step.run, matmul=True, signed=False)
            ours = {"floating": plain(x, fixed=False), "fixed": plain(x)}
            proto = graph.proto(x.shape, ours["fixed"].ndim, output=step.name, kind="uint8")
            theirs = run(session(proto), unsigned(x)).astype(int) - 128
            op = "QLinearMatMul" if plain.options is None else "QLinearConv"
            found[step.name] = {"operator": op, **counts(theirs=theirs, **ours)}
    return found


def random_layer(seed):
    """`counts` of a random layer, and how many of its outputs lie exactly between two integers."""
    rng, powers, matmul = np.random.default_rng(seed), seed % 2 == 1, seed % 4 >= 2
    groups, stride, padding = (int(rng.choice(v)) for v in ((1, 2, 4), (1, 2), (0, 1, 2)))
    span = 3 if powers else 127  # small sums, or few would end between two integers
    x, w = rng.integers(0, 256, (4, 8, 14, 14)), rng.integers(-span, span + 1, (16, 8 // groups, 3, 3)) + 128
    if matmul:
        x, w, groups = x.reshape(8, -1), rng.integers(-span, span + 1, (50, 784)) + 128, 1
    x_zero, y_zero = (int(v) for v in rng.integers(0, 256, 2))
    sx, sw = 0.01 * rng.random() + 0.001, 0.01 * rng.random(len(w)) + 0.001
    sy, bias = sx * sw.mean() * np.sqrt(w[0].size) * span / 2, rng.integers(-150, 150, len(w)) * span
    if powers:
        sx, sw, sy = (2.0 ** np.round(np.log2(v)) for v in (sx, sw, sy))
    sx, sw, sy, bias = np.float32(sx), sw.astype(np.float32), np.float32(sy), bias.astype(np.int32)
    graph, name = Graph(), "y"
    first = graph.constants("x", s=sx, z=np.uint8(x_zero))
    middle = {"w": w.T if matmul else w, "z": np.full(len(w), 128)}
    middle = {key: value.astype(np.uint8) for key, value in middle.items()}
    middle = graph.constants("w", w=middle["w"], s=sw, z=middle["z"])
    last = graph.constants("y", s=sy, z=np.uint8(y_zero))
    if matmul:
        graph.add("QLinearMatMul", ["input", *first, *middle, *last], name)
        acc = integer_matmul(x, w, x_zero=x_zero, w_zero=128)
    else:
        sizes = {"strides": [stride] * 2, "pads": [padding] * 4, "group": groups}
        graph.add(
            "QLinearConv", ["input", *first, *middle, *last, *graph.constants(name, b=bias)], name, **sizes
        )
        sizes = {"stride": stride, "padding": padding, "groups": groups}
        acc = integer_conv2d(x, w, x_zero=x_zero, w_zero=128, **sizes) + bias[:, None, None]
    proto = graph.proto(x.shape, acc.ndim, output=name, kind="uint8")
    theirs = run(session(proto), x.astype(np.uint8))
    grid, m = {"zero_point": y_zero, "qmin": 0, "qmax": 255}, sx * sw / sy
    exact = acc * m.astype(float).reshape(-1, *[1] * (acc.ndim - 2))
    floating, fixed = requantize_float(acc, m, **grid), requantize(acc, fixed_multiplier(m), **grid)
    op = "QLinearMatMul" if matmul else "QLinearConv"
    ties = int((exact - np.floor(exact) == 0.5).sum())
    return {"operator": op, "powers": powers, "ties": ties, **counts(floating, fixed, theirs)}


def milliseconds(contest, images):
    """Median processor time by batch and name; the first two rounds don't count."""
    found = {}
    for batch, rounds in ROUNDS.items():
        times = {name: [] for name in contest}
        for _ in range(rounds):
            for name, function in contest.items():
                start = process_time()
                function(images[:batch])
                times[name].append(1000 * (process_time() - start))
        found[str(batch)] = {name: float(np.median(t[2:])) for name, t in times.items()}
    return found


def one_network(name, seed, data):
    """All that is known of a network: layers, the whole, and for seed 0 the time."""
    model, x = fold_batchnorm(zoo.load(name, seed)).eval(), data.validation[0][:IMAGES]
    network = integer_network(model, data.train[0][:500])
    q = quantize(x, network.grid)
    whole = {
        signed: session(qoperator(network, x.shape, signed=signed, kind="uint8")) for signed in (True, False)
    }
    theirs = run(whole[False], unsigned(q)).astype(int) - 128
    found = {"layers": layers(network, q)}
    found["whole"] = counts(network(q, fixed=False), network(q), theirs)
    classes = network(q, fixed=False).numpy().argmax(1)
    found["whole"]["same class"] = float((classes == theirs.argmax(1)).mean())
    if seed == 0:
        plain = session(floats(model, x[:2]))
        assert np.abs(run(plain, x.numpy()) - model(x).detach().numpy()).max() < 1e-3
        small = unsigned(q)
        contest = {
            "torch, float32": lambda part: model(part),
            "ONNX Runtime, float32": lambda part: run(plain, part.numpy()),
            "ONNX Runtime, int8": lambda part: run(whole[True], small[: len(part)]),
            "mcomp, integers": lambda part: network(q[: len(part)]),
        }
        found["milliseconds"] = milliseconds(contest, x)
    return found


def main():
    data = mcomp.data.load("fashion-mnist")
    torch.set_num_threads(1)
    layers = [random_layer(seed) for seed in tqdm(range(RANDOM), unit="layer")]
    with torch.no_grad():
        for name in tqdm(("lenet300", "lenet5", "resnet"), unit="network"):
            found = [one_network(name, seed, data) for seed in SEEDS]
            write(
                __file__,
                question="Are our integers those of ONNX Runtime, to the last bit?",
                network=name,
                methods={},
                seeds=SEEDS,
                images=IMAGES,
                onnxruntime=engine.onnxruntime.__version__,
                machine=arms.machine(),
                layers=[seed["layers"] for seed in found],
                whole=[seed["whole"] for seed in found],
                milliseconds=found[0]["milliseconds"],
                **({"random": layers} if name == "lenet300" else {}),
            )


if __name__ == "__main__":
    main()
