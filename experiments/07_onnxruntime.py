"""Are our integers those of ONNX Runtime, to the last bit? Every layer of three networks, and random layers.

    python experiments/07_onnxruntime.py     (a minute on one core)

Each layer gets the same integers here and there: QLinearConv with its bias, QLinearMatMul without, for it
has none. Weights and inputs are uint8 with zero points moved by 128: so no x86 processor saturates, whether
it has VNNI or not. Random layers are padded at any zero point; in half of them all scales are powers of two,
so that some sums end exactly between two integers. Then whole networks, QGemm, QLinearAdd and the average of
ONNX Runtime included, and how long one takes: processor time of one thread, int8 weights, all contestants in
turn in every round.
"""

import os
from time import process_time

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when onnxruntime is imported

import numpy as np
import onnxruntime
import torch
from common import write
from onnx import TensorProto, helper, numpy_helper
from tqdm.auto import tqdm

import mcomp.data
from mcomp import zoo
from mcomp.integer.network import integer_network
from mcomp.integer.products import integer_conv2d, integer_matmul
from mcomp.integer.requantize import fixed_multiplier, requantize, requantize_float
from mcomp.integer.steps import Average, Largest, Product, Rectify, Sum
from mcomp.quantize.grids import quantize
from mcomp.structure import fold_batchnorm

SEEDS, IMAGES, OURS = (0, 1, 2), 200, "com.microsoft"
RANDOM, ROUNDS = 80, {1: 60, 100: 8}
KINDS = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}


class Graph:
    """An ONNX graph under construction: `held` constants and `nodes`."""

    def __init__(self):
        self.held, self.nodes = [], []

    def constants(self, prefix, **values):
        """Names of new constants."""
        names = [f"{prefix}.{name}" for name in values]
        for name, value in zip(names, values.values(), strict=True):
            self.held.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return names

    def add(self, op, inputs, output, *, domain="", **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], domain=domain, **attributes))

    def session(self, kind, shape, output):
        """A session of one thread from "input" to `output`."""
        ends = [
            helper.make_tensor_value_info("input", KINDS[kind], shape),
            helper.make_tensor_value_info(output, KINDS[kind], None),
        ]
        graph = helper.make_graph(self.nodes, "net", ends[:1], ends[1:], self.held)
        domains = [helper.make_opsetid("", 17), helper.make_opsetid(OURS, 1)]
        model = helper.make_model(graph, opset_imports=domains, ir_version=9)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # else it warns of constants that a node doesn't read
        raw = model.SerializeToString()
        return onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])


def run(session, x):
    return session.run(None, {"input": x})[0]


def unsigned(q):
    return (np.asarray(q).astype(np.int16) + 128).astype(np.uint8)


def product(graph, name, source, step, *, matmul=False, signed=False):
    """A linear or convolutional layer; as QLinearMatMul without its bias."""
    zero = {"zero": np.uint8(step.source.zero_point + 128)}
    w = step.weight.numpy().astype(np.int8) if signed else unsigned(step.weight)
    weights = {"w": w, "ws": step.scale.numpy(), "wz": np.full(len(w), 0 if signed else 128, w.dtype)}
    first = graph.constants(f"{name}.x", scale=np.float32(step.source.scale), **zero)
    last = {"scale": np.float32(step.grid.scale), "zero": np.uint8(step.grid.zero_point + 128)}
    last, bias = graph.constants(f"{name}.y", **last), graph.constants(name, bias=step.bias.numpy())
    if step.options is not None:
        options = {"strides": [step.options["stride"]] * 2, "pads": [step.options["padding"]] * 4}
        middle = graph.constants(name, **weights)
        graph.add("QLinearConv", [source, *first, *middle, *last, *bias], name, **options)
    elif matmul:
        middle = graph.constants(name, **{**weights, "w": w.T})
        graph.add("QLinearMatMul", [source, *first, *middle, *last], name)
    else:
        middle = graph.constants(name, **weights)
        graph.add("QGemm", [source, *first, *middle, *bias, *last], name, domain=OURS, transB=1)


def ends(graph, name, grid):
    """The names of scale and zero point of a grid."""
    return graph.constants(name, s=np.float32(grid.scale), z=np.uint8(grid.zero_point + 128))


def rest(graph, name, inputs, step):
    """Every other operation."""
    if isinstance(step, Sum):
        a, b, c = (ends(graph, f"{name}.{i}", grid) for i, grid in enumerate((*step.sources, step.grid)))
        graph.add("QLinearAdd", [inputs[0], *a, inputs[1], *b, *c], name, domain=OURS)
    elif isinstance(step, Average):
        a, b = (ends(graph, f"{name}.{i}", grid) for i, grid in enumerate((step.source, step.grid)))
        graph.add("QLinearGlobalAveragePool", [*inputs, *a, *b], name, domain=OURS)
    elif isinstance(step, Rectify):
        graph.add("Max", [*inputs, *graph.constants(name, zero=np.uint8(step.zero_point + 128))], name)
    else:
        pool_or_flatten(graph, name, inputs, step)


def pool_or_flatten(graph, name, inputs, step):
    if isinstance(step, Largest):
        sizes = {"kernel_shape": step.kernel, "strides": [step.stride] * 2, "pads": [step.padding] * 4}
        graph.add("MaxPool", inputs, name, **sizes)
    else:
        graph.add("Flatten" if step.flat else "Identity", inputs, name)


def in_integers(network, shape, *, signed=False):
    """The whole of `network` in ONNX Runtime."""
    graph = Graph()
    for step in network.steps:
        if isinstance(step.run, Product):
            product(graph, step.name, step.inputs[0], step.run, signed=signed)
        else:
            rest(graph, step.name, list(step.inputs), step.run)
    return graph.session("uint8", shape, network.steps[-1].name)


def in_floats(network, model, shape):
    """The float network `model` that `network` was made of, with the same nodes."""
    graph = Graph()
    for step in network.steps:
        inputs, name = list(step.inputs), step.name
        if isinstance(step.run, Product):
            layer, options = model.get_submodule(name), step.run.options
            held = graph.constants(name, w=layer.weight.detach().numpy(), b=layer.bias.detach().numpy())
            if options is None:
                graph.add("Gemm", [*inputs, *held], name, transB=1)
            else:
                sizes = {"strides": [options["stride"]] * 2, "pads": [options["padding"]] * 4}
                graph.add("Conv", [*inputs, *held], name, **sizes)
        elif isinstance(step.run, (Sum, Average, Rectify)):
            graph.add(
                {Sum: "Add", Average: "GlobalAveragePool", Rectify: "Relu"}[type(step.run)], inputs, name
            )
        else:
            pool_or_flatten(graph, name, inputs, step.run)
    return graph.session("float32", shape, network.steps[-1].name)


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
            product(graph, step.name, "input", step.run, matmul=True)
            theirs = run(graph.session("uint8", None, step.name), unsigned(x)).astype(int) - 128
            ours = {"floating": plain(x, fixed=False), "fixed": plain(x)}
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
    theirs = run(graph.session("uint8", None, name), x.astype(np.uint8))
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
    q, shape = quantize(x, network.grid), ["n", *x.shape[1:]]
    theirs = run(in_integers(network, shape), unsigned(q)).astype(int) - 128
    found = {"layers": layers(network, q)}
    found["whole"] = counts(network(q, fixed=False), network(q), theirs)
    classes = network(q, fixed=False).numpy().argmax(1)
    found["whole"]["same class"] = float((classes == theirs.argmax(1)).mean())
    if seed == 0:
        floats, whole = in_floats(network, model, shape), in_integers(network, shape, signed=True)
        assert np.abs(run(floats, x.numpy()) - model(x).detach().numpy()).max() < 1e-3
        small = unsigned(q)
        contest = {
            "torch, float32": lambda part: model(part),
            "ONNX Runtime, float32": lambda part: run(floats, part.numpy()),
            "ONNX Runtime, int8": lambda part: run(whole, small[: len(part)]),
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
                onnxruntime=onnxruntime.__version__,
                layers=[seed["layers"] for seed in found],
                whole=[seed["whole"] for seed in found],
                milliseconds=found[0]["milliseconds"],
                **({"random": layers} if name == "lenet300" else {}),
            )


if __name__ == "__main__":
    main()
