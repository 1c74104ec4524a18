import copy

import numpy as np
import pytest
import torch
from test_products import onnx_runtime
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import mcomp.data
from mcomp import zoo
from mcomp.integer import integer_network, node_errors
from mcomp.integer.products import integer_max_pool
from mcomp.integer.steps import Product, Sum
from mcomp.quantize.grids import dequantize, quantize
from mcomp.structure import fold_batchnorm
from mcomp.train import predict

IMAGES = mcomp.data.load("fashion-mnist").validation[0][:60]
NAMES = ("lenet300", "lenet5", "resnet")


@pytest.fixture(scope="module")
def made():
    """(float network, integer network, input integers) of each network of the zoo."""
    networks = {}
    for name in NAMES:
        model = fold_batchnorm(zoo.load(name))
        network = integer_network(model, IMAGES)
        networks[name] = model, network, quantize(IMAGES[:20], network.grid)
    return networks


class NoFloat(TorchDispatchMode):
    """Refuses every operation of torch that takes or gives a floating tensor."""

    calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.calls += 1
        for x in tree_leaves((args, kwargs, out)):
            assert not (isinstance(x, torch.Tensor) and x.is_floating_point()), func
            assert not isinstance(x, float), func
        return out


@pytest.mark.parametrize("name", NAMES)
def test_no_float_inside(made, name):
    _, network, q = made[name]
    with NoFloat() as mode:
        out = network(q)
    assert mode.calls > 20
    assert out.dtype == torch.int32
    with pytest.raises(AssertionError), NoFloat():
        network(q, fixed=False)


@pytest.mark.parametrize("name", NAMES)
def test_node_by_node_against_float(made, name):
    model, network, _ = made[name]
    before = copy.deepcopy(model.state_dict())
    rows = node_errors(network, model, IMAGES[:20])
    assert [row[0] for row in rows] == [step.name for step in network.steps]
    for _, own, mean, largest in rows:
        assert own <= 0.51  # half a step, and the float32 rounding of the check itself
        assert mean < 1.5  # steps: the errors of all layers before
        assert largest < 40
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_classes_are_those_of_the_float_network(made, name):
    model, network, _ = made[name]
    logits = predict(model, IMAGES)
    first, second = logits.topk(2).values.T
    clear = first - second > 4 * network.steps[-1].grid.scale
    assert clear.sum() > 20
    assert torch.equal(network.predict(IMAGES, batch_size=7)[clear], logits.argmax(1)[clear])
    assert network.accuracy((IMAGES, network.predict(IMAGES))) == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_the_fixed_point_multiplier_is_at_most_one_step_away(made, name):
    _, network, q = made[name]
    outputs = away = 0
    tensors = network.run(q)
    for step in network.steps:  # each on the same integers, so that nothing piles up
        inputs = [tensors[n] for n in step.inputs]
        difference = (step.run(*inputs) - step.run(*inputs, fixed=False)).abs()
        outputs, away = outputs + difference.numel(), away + int((difference > 0).sum())
        assert difference.max() <= 1
    assert away <= 0.001 * outputs


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_is_onnx_runtime_bit_for_bit(made, name):
    """As uint8 with zero points moved by 128: so no x86 processor saturates, whether it has VNNI or not."""
    _, network, q = made[name]
    tensors, compared = network.run(q), 0
    for step in network.steps:
        product = step.run
        if not isinstance(product, Product):
            continue
        x = tensors[step.inputs[0]]
        scales = {"sx": np.float32(product.source.scale), "sw": product.scale.numpy()}
        scales["sy"] = np.float32(product.grid.scale)
        shifted = {
            "x": unsigned(x),
            "w": unsigned(product.weight),
            "x_zero": np.uint8(product.source.zero_point + 128),
            "y_zero": np.uint8(product.grid.zero_point + 128),
        }
        w_zero = np.full(len(product.weight), 128, np.uint8)
        if product.options is None:
            constants = {"sx": scales["sx"], "x_zero": shifted["x_zero"]}
            constants |= {"w": np.ascontiguousarray(shifted["w"].T), "sw": scales["sw"], "w_zero": w_zero}
            constants |= {"sy": scales["sy"], "y_zero": shifted["y_zero"]}
            theirs = onnx_runtime("QLinearMatMul", shifted["x"], constants)
            plain = Product(**{**vars(product), "bias": torch.zeros_like(product.bias)})  # it has no bias
            ours = plain(x, fixed=False)
        else:
            constants = {"sx": scales["sx"], "x_zero": shifted["x_zero"], "w": shifted["w"]}
            constants |= {
                "sw": scales["sw"],
                "w_zero": w_zero,
                "sy": scales["sy"],
                "y_zero": shifted["y_zero"],
            }
            options = product.options
            attributes = {"strides": [options["stride"]] * 2, "pads": [options["padding"]] * 4}
            theirs = onnx_runtime(
                "QLinearConv", shifted["x"], {**constants, "bias": product.bias.numpy()}, **attributes
            )
            ours = product(x, fixed=False)
        assert np.array_equal(ours.numpy() + 128, theirs)
        compared += 1
    assert compared == {"lenet300": 3, "lenet5": 4, "resnet": 10}[name]


def unsigned(q):
    return (q.numpy().astype(np.int16) + 128).astype(np.uint8)


def test_addition_is_the_rounded_sum_of_what_the_integers_mean(made):
    _, network, q = made["resnet"]
    tensors = network.run(q)
    for step in network.steps:
        if isinstance(step.run, Sum):
            parts = zip(step.inputs, step.run.sources, strict=True)
            exact = sum((tensors[n].double() - g.zero_point) * (g.scale / step.grid.scale) for n, g in parts)
            expected = (exact + step.grid.zero_point).clamp(step.grid.qmin, step.grid.qmax)
            assert (tensors[step.name] - expected).abs().max() <= 0.5 + 1e-6


def test_max_pooling_is_torch(xp):
    x = np.random.default_rng(0).integers(-128, 128, (2, 3, 7, 7)).astype(np.int32)
    for kernel, stride, padding in ((2, 2, 0), (3, 2, 1), (2, 1, 0)):
        ours = integer_max_pool(xp.asarray(x), (kernel, kernel), stride=stride, padding=padding)
        theirs = F.max_pool2d(torch.tensor(x).float(), kernel, stride, padding)
        assert np.array_equal(np.asarray(ours), theirs.numpy())


def test_fewer_bits_and_dead_channels():
    model = fold_batchnorm(zoo.load("resnet"))
    with torch.no_grad():
        model.block1.conv1.weight[3] = 0
        model.block1.conv1.bias[3] = 7.0
    network = integer_network(model, IMAGES, bits=4)
    tensors = network.run(quantize(IMAGES[:5], network.grid))
    for step in network.steps:
        assert tensors[step.name].min() >= -8
        assert tensors[step.name].max() <= 7
    step = next(s for s in network.steps if s.name == "block1.conv1")
    dead = dequantize(tensors["block1.conv1"], step.grid)[:, 3]
    assert (
        dead - min(7.0, (step.grid.qmax - step.grid.zero_point) * step.grid.scale)
    ).abs().max() <= step.grid.scale


def test_symmetric_grids_have_their_zero_in_the_middle(made):
    """As int8 of an engine that knows no zero point: down to -128, and a ReLU that has to be done."""
    model, _, _ = made["lenet5"]
    network = integer_network(model, IMAGES, symmetric=True)
    grids = [network.grid, *(step.grid for step in network.steps)]
    assert {(grid.zero_point, grid.qmin, grid.qmax) for grid in grids} == {(0, -128, 127)}
    tensors = network.run(quantize(IMAGES[:20], network.grid))
    assert tensors["fc1"].min() < 0 == tensors["relu1"].min()
    assert max(row[1] for row in node_errors(network, model, IMAGES[:20])) <= 0.51


def test_a_relu_on_a_fork_is_a_clamp():
    class Forked(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            y = self.fc(x)
            return y + F.relu(y)

    torch.manual_seed(0)
    model, x = Forked().eval(), torch.randn(50, 4)
    network = integer_network(model, x)
    out = dequantize(network(quantize(x, network.grid)), network.steps[-1].grid)
    with torch.no_grad():
        assert (out - model(x)).abs().max() < 4 * network.steps[-1].grid.scale


class Head(nn.Module):
    """A convolution, a ReLU, a pooling and a flattening, each written as people write it."""

    def __init__(self, way):
        super().__init__()
        self.c, self.f, self.way = nn.Conv2d(3, 4, 3), nn.Linear(4, 2), way
        self.pool, self.u = nn.AdaptiveAvgPool2d(1), nn.Unflatten(1, (2, 2))

    def forward(self, x):
        y = self.c(x)
        if self.way == "functions":
            y = torch.flatten(F.adaptive_avg_pool2d(F.relu(y), (1, 1)), 1)
        elif self.way == "sizes":
            y = self.pool(torch.relu(y))
            y = y.view(y.size(0), -1)
        elif self.way == "shape":
            y = self.pool(y.relu())
            b, c, h, w = y.shape
            y = y.reshape(b, c * h * w)
        elif self.way == "mean":
            y = y.relu_().mean([2, 3])
        elif self.way == "keepdim":
            y = torch.mean(F.relu(y), dim=(-2, -1), keepdim=True).contiguous().flatten(1)
        elif self.way == "unflatten":
            y = torch.reshape(self.u(self.pool(F.relu(y)).flatten(1)), (-1, 4))
        return self.f(y)


@pytest.mark.parametrize("way", ["functions", "sizes", "shape", "mean", "keepdim", "unflatten"])
def test_heads_as_people_write_them(way):
    torch.manual_seed(0)
    model, x = Head(way).eval(), torch.randn(130, 3, 8, 8)  # the second batch is smaller
    network = integer_network(model, x)
    whole = quantize(x[:7], network.grid)
    with NoFloat():
        q = network(whole)
    with torch.no_grad():
        exact = model(x[:7])
    out = dequantize(q, network.steps[-1].grid)
    assert out.shape == exact.shape
    assert (out - exact).abs().max() < 4 * network.steps[-1].grid.scale  # four roundings before it
    assert max(row[1] for row in node_errors(network, model, x[:7])) <= 0.51


class Does(nn.Module):
    def __init__(self, do):
        super().__init__()
        self.fc, self.relu, self.scale, self.do = (
            nn.Linear(4, 4),
            nn.Sigmoid(),
            nn.Parameter(torch.ones(4)),
            do,
        )

    def forward(self, x):
        return self.do(self, x)


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def hooked():
    layer = nn.Linear(4, 4)
    layer.register_forward_hook(lambda module, inputs, out: out + 1)
    return nn.Sequential(layer)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Does(lambda m, x: m.relu(m.fc(x))), "relu: an operation is 'Sigmoid"),  # whatever its name
        (lambda: Does(lambda m, x: m.fc(x) * 2), "mul: an operation"),
        (lambda: Does(lambda m, x: torch.add(m.fc(x), x, alpha=2)), "add: an operation"),
        (lambda: Does(lambda m, x: torch.cat([m.fc(x), x], 1)), "cat: an operation is 'cat'"),
        (lambda: Does(lambda m, x: m.fc(x) * m.scale), "scale is 'Parameter'"),
        (lambda: Does(lambda m, x: m.fc(x).mean()), "the shape of 'Does', mean"),
        (lambda: Does(lambda m, x: m.fc(x).mean(1)), "mean: an operation"),
        (lambda: Does(lambda m, x: m.fc(x).view(-1, 2)), "the shape of 'Does', view"),
        (lambda: Does(lambda m, x: m.fc(x.view(x.size(0), 1, 4))), "fc: what one image is to the layer"),
        (lambda: Does(lambda m, x: (m.fc(x), x)), "what Does gives"),
        (lambda: nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), "1: an operation.*fold batch norm"),
        (lambda: nn.Sequential(Doubled(4, 4)), "^'0', 0.weight is 'Parameter'"),
        (hooked, "0: a layer is .*hooks"),
    ],
)
def test_what_is_refused_is_named(make, name):
    with pytest.raises(ValueError, match=name):
        integer_network(make().eval(), torch.randn(6, 4))


def test_what_it_cannot_do_it_says():
    for model in (
        zoo.load("resnet"),  # batch norm not folded
        nn.Sequential(nn.Flatten(), nn.Linear(784, 3), nn.Sigmoid()),
        nn.Sequential(nn.Conv2d(1, 1, 3, dilation=2)),
        nn.Sequential(nn.Conv2d(1, 1, 3, stride=(1, 2))),
        nn.Sequential(nn.Conv2d(1, 1, 3, padding="same")),
        nn.Sequential(nn.AdaptiveAvgPool2d(2)),
    ):
        with pytest.raises(ValueError, match="allowed: "):
            integer_network(model, IMAGES[:4])
    for images, bits in ((IMAGES[:0], 8), (IMAGES, 9), (IMAGES, 1)):
        with pytest.raises(ValueError, match="allowed: "):
            integer_network(zoo.load("lenet300"), images, bits=bits)
