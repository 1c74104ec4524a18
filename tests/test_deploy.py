"""Networks in other engines: the files give what mcomp gives, or aren't written."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
import torch
from deployed import DATA, IMAGES, TRAIN, in_integers, refuses, small, steps
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator
from torch import nn
from torch.nn import functional as F

import mcomp.data
from mcomp import cli, deploy, zoo
from mcomp.codecs import Uniform, attach
from mcomp.codecs.activations import calibrate
from mcomp.deploy import apart, checks, onnxruntime, tensorrt
from mcomp.deploy import openvino as openvino_engine
from mcomp.deploy.floats import floats
from mcomp.deploy.qdq import qdq
from mcomp.deploy.qoperator import qoperator
from mcomp.deploy.tidy import tidy
from mcomp.integer import integer_network
from mcomp.qat import attach_grids
from mcomp.quantize.grids import quantize
from mcomp.train import predict

NAMES = ("lenet300", "lenet5", "resnet")
SUFFIX = {"onnxruntime": ".onnx", "openvino": ".xml"}


@pytest.fixture(scope="module")
def made():
    """(float network, integer network) of each network of the zoo."""
    return in_integers(NAMES)


@pytest.mark.parametrize(
    ("name", "engine"), [*((name, "onnxruntime") for name in NAMES), ("resnet", "openvino")]
)
def test_a_float_network_within_its_rounding(made, name, engine, tmp_path):
    path = deploy.export(engine, made[name][0], tmp_path / f"net{SUFFIX[engine]}", example=IMAGES[:5])
    expected, found = predict(made[name][0], IMAGES), deploy.run(engine, path, IMAGES)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()  # float32 sums in another order
    assert torch.equal(deploy.run(engine, path, IMAGES[:1]).argmax(1), expected[:1].argmax(1))
    weights = 4 * sum(p.numel() for p in made[name][0].parameters())
    assert weights < deploy.nbytes(path) < weights + 110_000


@pytest.mark.parametrize("form", ["qdq", "qoperator"])
@pytest.mark.parametrize("name", NAMES)
def test_an_integer_network_is_onnx_runtime_bit_for_bit(made, name, form, tmp_path):
    """With its float32 multipliers; so our scales reached the integer kernels, and nothing was calibrated."""
    network = made[name][1]
    path = onnxruntime.export(network, tmp_path / "net.onnx", example=IMAGES[:5], form=form)
    found = steps(onnxruntime.run(path, IMAGES), network)
    assert np.array_equal(found, network(quantize(IMAGES, network.grid), fixed=False).numpy())
    assert path.stat().st_size < 0.35 * 4 * sum(p.numel() for p in made[name][0].parameters())


def test_an_integer_network_is_openvino_to_a_step(made, tmp_path):
    """Its additions and multipliers are rounded elsewhere: few outputs differ, and by a step."""
    network = made["resnet"][1]
    path = openvino_engine.export(network, tmp_path / "net.xml", example=IMAGES[:5])
    away = abs(
        steps(openvino_engine.run(path, IMAGES), network) - network(quantize(IMAGES, network.grid)).numpy()
    )
    assert away.max() <= 2
    assert (away > 0).mean() < 0.03
    ops = [op.get_rt_info() for op in openvino_engine.compiled(path).get_runtime_model().get_ordered_ops()]
    layers = [op for op in ops if op["layerType"].astype(str) in ("Convolution", "FullyConnected")]
    if not openvino_engine.saturates():  # floats would prove nothing
        assert {op["runtimePrecision"].astype(str) for op in layers} <= {"u8", "i8"}
    assert len(layers) == 10


def test_a_file_for_one_batch_is_the_same_network(made, tmp_path):
    """OpenVINO plans for its shape; `run` cuts and fills batches, and calls don't overwrite each other."""
    network = made["lenet5"][1]
    paths = [
        openvino_engine.export(network, tmp_path / f"{batch}.xml", example=IMAGES[:5], batch=batch)
        for batch in (None, 1, 4)
    ]
    goal, *found = (openvino_engine.run(path, IMAGES[:7]) for path in paths)
    away = [abs(steps(logits, network) - steps(goal, network)) for logits in found]
    assert all(a.max() <= 1 and (a > 0).mean() < 0.03 for a in away)  # other kernels may round elsewhere
    one = openvino_engine.loaded(paths[1])
    first = one(IMAGES[:1])
    assert torch.equal(first, found[0][:1])
    assert not torch.equal(one(IMAGES[1:2]), first)
    assert torch.equal(first, found[0][:1])  # a later call has left it alone
    with pytest.raises(ValueError, match=r"what the file takes, \(1, 1, 28, 28\)"):
        one(IMAGES[:1, :, :20])
    with pytest.raises(ValueError, match="batch is 0"):
        openvino_engine.export(network, tmp_path / "net.xml", example=IMAGES[:5], batch=0)


def test_without_integer_kernels_openvino_is_as_near(made, tmp_path, monkeypatch):
    """As on a processor where its sums would saturate."""
    network = made["resnet"][1]
    monkeypatch.setattr(openvino_engine, "saturates", lambda: True)
    path = openvino_engine.export(network, tmp_path / "net.xml", example=IMAGES[:5])
    exact = network(quantize(IMAGES, network.grid), fixed=False).numpy()
    away = abs(steps(openvino_engine.run(path, IMAGES), network) - exact)
    assert away.max() <= 1  # a float beside the middle between two steps
    assert (away > 0).mean() < 0.03
    ops = [op.get_rt_info() for op in openvino_engine.compiled(path).get_runtime_model().get_ordered_ops()]
    kinds = {op["runtimePrecision"].astype(str) for op in ops if op["layerType"].astype(str) == "Convolution"}
    assert kinds == {"f32"}


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_loaded_file_called_again_and_again(made, engine, tmp_path):
    """Buffers are kept from call to call: no later call, and no other thread, changes the logits of one."""
    path = deploy.export(engine, made["lenet300"][0], tmp_path / f"net{SUFFIX[engine]}", example=IMAGES[:5])
    network, parts = deploy.engine(engine).loaded(path), [IMAGES[:1], IMAGES[1:2], IMAGES[2:9], IMAGES]
    alone = [deploy.run(engine, path, part) for part in parts]
    first = network(parts[0])
    kept = first.clone()
    with pytest.raises(ValueError, match="images of shape"):
        network(IMAGES[:1, :, :7])
    assert all(torch.equal(network(part), logits) for part, logits in zip(parts, alone, strict=True))
    assert torch.equal(first, kept)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(network, parts * 40))
    assert all(torch.equal(logits, alone[place % 4]) for place, logits in enumerate(found))


def test_steps_that_do_nothing_are_left_out(made):
    network, q = made["resnet"][1], quantize(IMAGES[:5], made["resnet"][1].grid)
    less = tidy(network, IMAGES.shape)
    assert len(network.steps) - len(less.steps) == 10  # seven batch norms, three of the skips
    assert torch.equal(less(q), network(q))
    for write in (qdq, qoperator):
        nodes = [write(network, IMAGES.shape, tidied=tidied).graph.node for tidied in (True, False)]
        assert [sum(node.op_type == "Reshape" for node in part) for part in nodes] == [1, 11]
    idle = integer_network(nn.Sequential(nn.Linear(4, 3), nn.Identity(), nn.Identity()), torch.randn(40, 4))
    assert [step.name for step in tidy(idle, (5, 4)).steps] == ["0", "2"]  # the last names the logits


def test_onnx_s_reference_reads_the_same(made):
    """An oracle that is no engine: numpy in floats, between the pairs."""
    network, x = made["resnet"][1], IMAGES[:3]
    for kind, integer_bias in (("uint8", True), ("int8", False)):
        model = qdq(network, x.shape, kind=kind, integer_bias=integer_bias)
        model.opset_import[0].version = 19  # the first that it knows these operators of; they mean the same
        (found,) = ReferenceEvaluator(model).run(None, {"input": x.numpy()})
        away = abs(steps(found, network) - network(quantize(x, network.grid)).numpy())
        assert away.max() <= 2


def test_the_file_s_scales_are_the_network_s(made):
    network = made["lenet5"][1]
    model = qdq(network, IMAGES.shape)
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for step in network.steps:
        if hasattr(step.run, "weight"):
            assert np.array_equal(held[f"{step.name}.weight.q"], step.run.weight.numpy())
            assert np.array_equal(held[f"{step.name}.weight.s"], step.run.scale.numpy())
            assert np.array_equal(held[f"{step.name}.bias.q"], step.run.bias.numpy())


@settings(derandomize=True, max_examples=7, deadline=None)
@given(
    groups=st.sampled_from([1, 2]), stride=st.integers(1, 2), padding=st.integers(0, 2),
    kernel=st.integers(1, 3), bits=st.sampled_from([3, 8]), fork=st.booleans(), symmetric=st.booleans(),
)  # fmt: skip
def test_any_convolution_and_fork(groups, stride, padding, kernel, bits, fork, symmetric):
    torch.manual_seed(kernel)
    model = Fork(groups, stride, padding, kernel, fork=fork).eval()
    x = torch.randn(40, 2, 7, 7)
    network = integer_network(model, x, bits=bits, symmetric=symmetric)
    expected = network(quantize(x, network.grid), fixed=False).numpy()
    for model8 in (
        qdq(network, x.shape),
        qoperator(network, x.shape),
        qoperator(network, x.shape, signed=False),
    ):
        session = onnxruntime.session(model8.SerializeToString())
        (found,) = session.run(None, {"input": x.numpy()})
        away = abs(steps(found, network) - expected)
        # a clip of fewer bits stands between the pairs, so these run in floats: a tie may turn
        assert away.max() <= (0 if bits == 8 and model8.graph.node[1].op_type == "QLinearConv" else 1)
        assert (away > 0).mean() < 0.02
    (found,) = onnxruntime.session(floats(model, x).SerializeToString()).run(None, {"input": x.numpy()})
    assert np.allclose(found, predict(model, x), atol=1e-5)


class Fork(nn.Module):
    def __init__(self, groups, stride, padding, kernel, *, fork):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, kernel, stride, padding, groups=groups)
        self.fc, self.fork = nn.Linear(4, 3), fork

    def forward(self, x):
        y = self.conv(x)
        y = y + F.relu(y) if self.fork else F.relu(y)
        return self.fc(y.mean((2, 3)))


class Odd(nn.Module):
    """What people write, with a parameter, a number and shapes worked out from sizes."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = (
            nn.Conv2d(1, 4, 3, (1, 2), padding=(2, 1), dilation=2, bias=False),
            nn.BatchNorm2d(4),
        )
        self.act, self.pool = nn.LeakyReLU(0.2), nn.AvgPool2d(3, 2, 1, ceil_mode=True)
        self.gain, self.fc = nn.Parameter(torch.randn(4, 1, 1)), nn.Linear(4 * 5 * 2, 6)

    def forward(self, x):
        y = self.pool(self.act(self.bn(self.conv(x)))) * self.gain + 0.5
        return torch.sigmoid(self.fc(torch.tanh(y).view(y.size(0), -1)))


def test_a_stranger_in_floats(tmp_path):
    torch.manual_seed(0)
    model, x = Odd(), torch.randn(5, 1, 8, 8)
    model(torch.randn(20, 1, 8, 8))  # the running statistics of the batch norm
    path = onnxruntime.export(model.eval(), tmp_path / "odd.onnx", example=x)
    assert torch.allclose(onnxruntime.run(path, x[:1]), predict(model, x[:1]), atol=1e-6)


def test_learned_grids_become_pairs(tmp_path):
    x = torch.randn(64, 12)
    model = attach_grids(small(), x, weight_bits=4, activation_bits=4)
    path = onnxruntime.export(model, tmp_path / "net.onnx", example=x)
    away = (onnxruntime.run(path, x) - predict(model, x)).abs()
    assert (away > 1e-5).float().mean() < 0.02  # a tie may turn
    own = onnxruntime.session(str(path), exact=False).run(None, {"input": x.numpy()})[0]
    assert abs(own - predict(model, x).numpy()).mean() > away.mean()  # it rounds what the file has as floats
    proto = onnx.load(path)
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    assert held["1.weight.q"].dtype == np.int8
    assert abs(held["1.weight.q"]).max() <= 8
    assert [n.op_type for n in proto.graph.node].count("QuantizeLinear") == 2
    assert held["3.input.grid.s"] == model[3].input_quantizer.scale.item()


def test_calibrated_grids_become_pairs(tmp_path):
    x = torch.randn(64, 12)
    model = small()
    attach(model, {"*.input": Uniform(8, symmetric=False)})
    calibrate(model, x)
    path = onnxruntime.export(model, tmp_path / "net.onnx", example=x)
    assert ((onnxruntime.run(path, x) - predict(model, x)).abs() > 1e-5).float().mean() < 0.02


def test_the_slow_kernels_never_saturate():
    for wide in (True, False):
        session = onnxruntime._session(onnxruntime._probe(), 1, exact=True, wide=wide)
        (found,) = session.run(None, {"input": onnxruntime._FULL})
        assert (found == 200).all() or (onnxruntime.saturates() and not wide)


def test_openvino_s_sums_never_saturate(tmp_path):
    """As above: where its kernels would, it computes in floats between the pairs; others keep theirs."""
    state = torch.random.get_rng_state()
    openvino_engine.saturates.cache_clear()
    # by the same instruction; ONEDNN_MAX_CPU_ISA, of `make portable`, keeps it from OpenVINO alone
    assert openvino_engine.saturates() >= onnxruntime.saturates()
    assert torch.equal(torch.random.get_rng_state(), state)
    layer, x = nn.Linear(64, 16), torch.stack([torch.zeros(64), torch.ones(64)])
    nn.init.ones_(layer.weight)
    network = integer_network(nn.Sequential(layer), x)
    path = openvino_engine.export(network, tmp_path / "net.xml", example=x)
    assert np.array_equal(steps(openvino_engine.run(path, x), network), network(quantize(x, network.grid)))


def test_tensorrt_s_file_is_as_it_asks(made, tmp_path):
    path = tensorrt.export(made["resnet"][0], tmp_path / "net.onnx", example=IMAGES[:5], calibration=TRAIN)
    found = onnxruntime.run(path, IMAGES)  # the same file
    assert (found.argmax(1) == predict(made["resnet"][0], IMAGES).argmax(1)).float().mean() > 0.9
    additions = [node for node in onnx.load(path).graph.node if node.op_type == "Add"]
    assert len(additions) == 3


def broken(proto, change):
    proto = onnx.ModelProto.FromString(proto.SerializeToString())
    change(proto)
    return proto


def constant(proto, name, value):
    for tensor in proto.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(onnx.numpy_helper.from_array(value, name))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda p: constant(p, "input.grid.z", np.int8(3)), "the zero point of input.q is 'int8 3'"),
        (lambda p: constant(p, "1.weight.s", np.ones(3, np.float32)), "the scales of the weight of 1"),
        (lambda p: constant(p, "1.weight.q", np.full((8, 12), -128, np.int8)), "the least weight of 1"),
        (
            lambda p: next(n for n in p.graph.node if n.name == "3").input.__setitem__(0, "input"),
            "what 3 reads",
        ),
    ],
)
def test_tensorrt_s_structure_is_checked(change, told):
    x = torch.randn(64, 12)
    proto = qdq(integer_network(small(), x, symmetric=True), x.shape, kind="int8", integer_bias=False)
    tensorrt.check_structure(proto)
    with pytest.raises(ValueError, match=told):
        tensorrt.check_structure(broken(proto, change))


class Does(nn.Module):
    def __init__(self, do):
        super().__init__()
        self.fc, self.act, self.do = nn.Linear(4, 4), nn.Softplus(), do

    def forward(self, x):
        return self.do(self, x)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Does(lambda m, x: m.act(m.fc(x))), "act: an operation is 'Softplus"),
        (lambda: Does(lambda m, x: m.fc(x).cumsum(1)), "Does, cumsum: an operation"),
        (lambda: Does(lambda m, x: (m.fc(x), x)), "what Does gives"),
        (lambda: Does(lambda m, x: m.fc(x).view(-1, 2)), "Does, view: an operation"),
        (lambda: nn.Sequential(nn.Conv1d(4, 4, 1)), "0: an operation"),
        (
            lambda: nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, track_running_stats=False)),
            "1: a batch norm",
        ),
    ],
)
def test_an_operation_that_cannot_be_written_is_named(make, told, tmp_path):
    x = torch.randn(6, 4, 1) if "an operation" in told and told[0] == "0" else torch.randn(6, 4)
    with pytest.raises(ValueError, match=told):
        onnxruntime.export(make().eval(), tmp_path / "net.onnx", example=x)
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_depends_on_the_data_is_not_written(tmp_path):
    """Traced, noise would be one number for ever: the file is compared with the network first."""
    torch.manual_seed(0)
    with pytest.raises(ValueError, match=r"largest and mean difference of onnxruntime|an operation"):
        onnxruntime.export(
            Does(lambda m, x: m.fc(x) + torch.randn(4)), tmp_path / "net.onnx", example=torch.randn(6, 4)
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"path": "nowhere/net.onnx"}, "the path to write"),
        ({"path": "."}, "the path to write"),
        ({"path": "net.txt"}, "ends in .onnx"),
        ({"calibration": torch.randn(1, 12)}, "the number of calibration images is 1; allowed: 32 or more"),
        ({"calibration": torch.full((40, 12), float("nan"))}, "the calibration images"),
        ({"calibration": np.zeros((40, 12))}, "the calibration images is 'ndarray'"),
        ({"example": torch.randn(1, 12)}, "two or more images"),
        ({"form": "both"}, "form is 'both'"),
        ({"engine": "openvino", "path": "net.onnx"}, "ends in .xml"),
        ({"engine": "tensorrt"}, "calibration is None"),
        ({"engine": "tensorrt", "model": integer_network(small(), torch.randn(40, 12))}, "symmetric=True"),
    ],
)
def test_bad_input_writes_nothing(change, told, tmp_path, monkeypatch):
    engine = change.get("engine", "onnxruntime")
    change = {name: value for name, value in change.items() if name != "engine"}
    assert refuses(engine, ".onnx", change, told, tmp_path, monkeypatch) == []


def test_a_file_that_is_none_and_images_that_do_not_fit(tmp_path):
    for engine, name in (("onnxruntime", "net.onnx"), ("openvino", "net.xml")):
        path = tmp_path / name
        path.write_bytes(b"nothing")
        with pytest.raises(ValueError, match="one that it can open"):
            deploy.run(engine, path, torch.randn(5, 12))
    path = tmp_path / "net.onnx"
    deploy.export("onnxruntime", small(), path, example=torch.randn(5, 12))  # over what stood there
    with pytest.raises(ValueError, match="images of shape"):
        deploy.run("onnxruntime", path, torch.randn(5, 7))
    with pytest.raises(ValueError, match="tensorrt"):
        deploy.run("tensorrt", tmp_path / "net.onnx", torch.randn(5, 12))


def test_a_converter_that_dies_is_told_and_its_words_kept(tmp_path, monkeypatch):
    (tmp_path / "dies.py").write_text("import os\nprint('first\\nlast words', flush=True)\nos.abort()\n")
    (tmp_path / "hangs.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "here").mkdir()  # a folder with another module of that name
    (tmp_path / "here" / "dies.py").write_text("")
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(
        ValueError, match=r"converter of x ended with -6; allowed: 0; its last words: last words"
    ):
        apart.apart("x", "dies", log=tmp_path / "log")
    assert (tmp_path / "log").read_text().splitlines() == ["first", "last words"]
    with pytest.raises(ValueError, match=r"none after 0\.5 s"):
        apart.apart("x", "hangs", log=tmp_path / "log", seconds=0.5)


def test_an_engine_that_is_not_installed_says_what_to_install(monkeypatch):
    for name in ("mcomp.deploy.openvino", "openvino"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ValueError, match=r"openvino, which needs openvino.*pip install 'mcomp\[deploy\]'"):
        deploy.engine("openvino")
    with pytest.raises(ValueError, match="engine is 'tflite'"):
        deploy.engine("tflite")


def test_importing_deploy_imports_no_engine():
    program = (
        "import sys, mcomp.deploy; print([n for n in ('torch', 'onnx', 'openvino') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_checks_give_back_what_is_right(tmp_path):
    assert checks.check_path(tmp_path / "a.c", (".c",)) == tmp_path / "a.c"
    assert checks.check_calibration(TRAIN) is TRAIN
    assert checks.check_example(TRAIN) is TRAIN
    network = integer_network(small(), torch.randn(40, 12))
    assert checks.integers_of(network) is network


@pytest.mark.parametrize(("to", "out"), [("openvino", "net.xml")])
def test_mcomp_export(made, to, out, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(zoo, "load", lambda name, seed: made[name][0])
    monkeypatch.setattr(mcomp.data, "load", lambda name: DATA)
    words = ["export", "lenet300", "--to", to, "--int8", "--images", "100", "--out", tmp_path / out]
    monkeypatch.setattr(sys, "argv", ["mcomp", *map(str, words)])
    with pytest.raises(SystemExit) as exit:
        cli.main()
    assert exit.value.code == 0
    assert f"{deploy.nbytes(tmp_path / out):,} bytes" in capsys.readouterr().out
    found = steps(deploy.run(to, tmp_path / out, IMAGES), made["lenet300"][1])
    expected = made["lenet300"][1](quantize(IMAGES, made["lenet300"][1].grid)).numpy()
    assert (found != expected).mean() < 0.01


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--to", "tflite"], f"engine is 'tflite'; allowed: {', '.join(deploy.ENGINES)}"),
        (["--entropy-coded"], "--entropy-coded is '--to onnxruntime'; allowed: --to c"),
    ],
)
def test_mcomp_export_ends_in_one_line(words, told, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["mcomp", "export", "lenet300", *words])
    with pytest.raises(SystemExit) as exit:
        cli.main()
    assert exit.value.code == 2
    assert capsys.readouterr().err == f"mcomp: {told}\n"
