"""LiteRT and ExecuTorch: the files give what mcomp gives, or aren't written. `make engines` runs this."""

import sys

import numpy as np
import pytest
import torch
from deployed import IMAGES, in_integers, refuses, small, steps
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from mcomp import deploy
from mcomp.deploy import exported, pairs, tflite
from mcomp.integer import integer_network
from mcomp.integer.network import IntegerNetwork
from mcomp.quantize.grids import quantize
from mcomp.train import predict

SUFFIX = {"litert": ".tflite", "executorch": ".pte"}
ENGINES = tuple(SUFFIX)


@pytest.fixture(scope="module")
def made():
    """(float network, integer network) of each network of the zoo."""
    return in_integers(("lenet300", "lenet5", "resnet"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["lenet5", "resnet"])
def test_a_float_network_within_its_rounding(made, name, engine, tmp_path):
    path = deploy.export(
        engine, made[name][0], tmp_path / f"net{SUFFIX[engine]}", example=IMAGES[:5], batch=8
    )
    expected, found = (
        predict(made[name][0], IMAGES),
        deploy.run(engine, path, IMAGES),
    )  # 60 is 7 times 8 and 4
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()  # float32 sums in another order
    assert torch.equal(deploy.run(engine, path, IMAGES[:1]), found[:1])
    weights = 4 * sum(p.numel() for p in made[name][0].parameters())
    assert weights - 4000 < deploy.nbytes(path) < weights + 60_000  # batch norm is folded


@pytest.mark.parametrize("name", ["lenet300", "lenet5", "resnet"])
def test_an_integer_network_is_litert_bit_for_bit(made, name, tmp_path):
    """With its float32 multipliers: so XNNPACK computes what ONNX Runtime does."""
    network = made[name][1]
    path = deploy.export("litert", network, tmp_path / "net.tflite", example=IMAGES[:5], batch=60)
    found = steps(deploy.run("litert", path, IMAGES), network)
    away = abs(found - network(quantize(IMAGES, network.grid), fixed=False).numpy())
    assert away.max() <= 1  # on processors with other kernels, a tie
    assert (away > 0).mean() < 0.01
    assert path.stat().st_size < 0.35 * 4 * sum(p.numel() for p in made[name][0].parameters())


@pytest.mark.parametrize("name", ["lenet5", "resnet"])
def test_an_integer_network_is_executorch_to_a_step(made, name, tmp_path):
    network = made[name][1]
    path = deploy.export("executorch", network, tmp_path / "net.pte", example=IMAGES[:5], batch=60)
    away = abs(
        steps(deploy.run("executorch", path, IMAGES), network)
        - network(quantize(IMAGES, network.grid)).numpy()
    )
    assert away.max() <= 2
    assert (away > 0).mean() < 0.03
    assert path.stat().st_size < 0.35 * 4 * sum(p.numel() for p in made[name][0].parameters())


@pytest.mark.parametrize("engine", ENGINES)
def test_logits_stay_when_the_next_images_come(made, engine, tmp_path):
    path = deploy.export(
        engine, made["lenet300"][0], tmp_path / f"net{SUFFIX[engine]}", example=IMAGES[:5], batch=2
    )
    network = deploy.engine(engine).loaded(path)
    first = network(IMAGES[:2])
    kept, second = first.clone(), network(IMAGES[2:4])
    assert torch.equal(first, kept)
    assert not torch.equal(first, second)
    assert torch.equal(network(IMAGES[:3]), torch.cat([kept, second[:1]]))  # two calls, the second filled up


def test_pairs_are_the_integers_in_floats(made):
    network = made["resnet"][1]
    with torch.no_grad():
        found = steps(pairs.Pairs(network)(IMAGES), network)
    away = abs(found - network(quantize(IMAGES, network.grid)).numpy())
    assert away.max() <= 2  # no engine: sums of floats, a tie may turn
    assert (away > 0).mean() < 0.03


class Odd(nn.Module):
    """A convolution in groups or not, padding, a fork, pooling, and a tensor turned into rows."""

    def __init__(self, groups, stride, padding, kernel, *, fork, rows):
        super().__init__()
        self.conv = nn.Conv2d(4, 8, kernel, stride, padding, groups=groups)
        self.pool, self.fork, self.rows = nn.MaxPool2d(2, 1, padding=1), fork, rows
        self.fc = nn.LazyLinear(3) if rows else nn.Linear(8, 3)

    def forward(self, x):
        y = self.pool(self.conv(x))
        y = y + F.relu(y) if self.fork else F.relu(y)
        return self.fc(y.flatten(1) if self.rows else y.mean((2, 3)))


@settings(derandomize=True, max_examples=12, deadline=None)
@given(
    groups=st.sampled_from([1, 4]), stride=st.integers(1, 2), padding=st.integers(0, 2),
    kernel=st.integers(1, 3), fork=st.booleans(), rows=st.booleans(), symmetric=st.booleans(),
)  # fmt: skip
def test_any_convolution_and_fork_in_litert(groups, stride, padding, kernel, fork, rows, symmetric):
    torch.manual_seed(kernel)
    model, x = Odd(groups, stride, padding, kernel, fork=fork, rows=rows).eval(), torch.randn(40, 4, 7, 7)
    model(x)
    network = integer_network(model, x, symmetric=symmetric)
    if fork and symmetric:
        return only_ties_differ(network, x)
    away = abs(
        steps(litert_of(tflite.tflite(network, x.shape), x), network)
        - network(quantize(x, network.grid), fixed=False).numpy()
    )
    assert away.max() <= 1
    assert (away > 0).mean() < 0.03


def only_ties_differ(network, x):
    """Both grids have half the step of the sum's, so a sum may lie halfway: LiteRT rounds that otherwise."""
    tensors = network.run(quantize(x, network.grid))
    grids = {step.name: step.grid for step in network.steps}
    at = next(place for place, step in enumerate(network.steps) if step.name == "add")
    step = network.steps[at]
    cut = IntegerNetwork(network.grid, network.steps[: at + 1])
    found = steps(litert_of(tflite.tflite(cut, x.shape), x), cut)
    away = abs(found - cut(quantize(x, network.grid), fixed=False).numpy())
    exact = sum(tensors[n].numpy().astype(float) * (grids[n].scale / step.grid.scale) for n in step.inputs)
    assert away.max() <= 1
    assert (exact[away > 0] % 1 == 0.5).all()  # zero points are 0


def litert_of(raw, x):
    from ai_edge_litert.interpreter import Interpreter

    network = Interpreter(model_content=raw, num_threads=1)
    network.allocate_tensors()
    network.set_tensor(network.get_input_details()[0]["index"], x.numpy())
    network.invoke()
    return network.get_tensor(network.get_output_details()[0]["index"])


def test_the_file_s_scales_are_the_network_s(made):
    from ai_edge_litert import schema_py_generated as schema

    network = made["lenet5"][1]
    model = schema.ModelT.InitFromPackedBuf(tflite.tflite(network, IMAGES[:2].shape))
    tensors = {tensor.name.decode(): tensor for tensor in model.subgraphs[0].tensors}
    for step in network.steps:
        if hasattr(step.run, "weight"):
            weight, bias = tensors[f"{step.name}.weight"], tensors[f"{step.name}.bias"]
            assert np.array_equal(weight.quantization.scale, step.run.scale.numpy())
            raw = [bytes(model.buffers[tensor.buffer].data) for tensor in (weight, bias)]
            q = step.run.weight.numpy().astype(np.int8)
            assert raw[0] == (q.transpose(0, 2, 3, 1) if q.ndim == 4 else q).tobytes()
            assert raw[1] == step.run.bias.numpy().astype(np.int32).tobytes()
            assert tensors[step.name].quantization.zeroPoint[0] == step.grid.zero_point


def test_what_the_format_cannot_hold_is_named():
    x = torch.randn(40, 4, 7, 7)
    grouped = integer_network(nn.Sequential(nn.Conv2d(4, 8, 3, groups=2)), x)
    with pytest.raises(ValueError, match="0: the groups of a convolution is 2"):
        tflite.tflite(grouped, x.shape)
    few = integer_network(nn.Sequential(nn.Conv2d(4, 8, 3)), x, bits=4)
    with pytest.raises(ValueError, match=r"the grid of input is \(-8, 7\); allowed: \(-128, 127\)"):
        tflite.tflite(few, x.shape)


class Counts(nn.Module):
    """Branches on the data: no exporter follows it."""

    def forward(self, x):
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"path": "nowhere/net"}, "the path to write"),
        ({"path": "net.txt"}, "ends in ."),
        ({"calibration": torch.randn(1, 12)}, "the number of calibration images is 1; allowed: 32 or more"),
        ({"example": torch.randn(1, 12)}, "two or more images"),
        ({"batch": 0}, "batch is 0"),
        ({"model": Counts()}, "a network to export is 'Counts:"),
    ],
)
def test_bad_input_writes_nothing(engine, change, told, tmp_path, monkeypatch):
    assert refuses(engine, SUFFIX[engine], change, told, tmp_path, monkeypatch) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_that_is_none_and_images_that_do_not_fit(engine, tmp_path):
    path = tmp_path / f"net{SUFFIX[engine]}"
    path.write_bytes(b"nothing at all, of any engine")
    with pytest.raises(ValueError, match="one that it can open"):
        deploy.run(engine, path, torch.randn(5, 12))
    deploy.export(engine, integer_network(small(), torch.randn(64, 12)), path, example=torch.randn(5, 12))
    with pytest.raises(ValueError, match="images of shape"):
        deploy.run(engine, path, torch.randn(5, 7))


def test_by_batch_fills_the_last_one_up():
    seen = []
    found = exported.by_batch(
        lambda x: seen.append(x.shape) or 2 * x, (4, 2), torch.arange(10.0).reshape(5, 2)
    )
    assert torch.equal(found, 2 * torch.arange(10.0).reshape(5, 2))
    assert seen == [(4, 2), (4, 2)]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_that_is_not_installed_says_what_to_install(engine, monkeypatch):
    package = {"litert": "ai_edge_litert", "executorch": "executorch"}[engine]
    for name in [f"mcomp.deploy.{engine}", *(n for n in sys.modules if n.split(".")[0] == package)]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=rf"{engine}, which needs .*pip install 'mcomp\[deploy-large\]'"):
        deploy.engine(engine)
