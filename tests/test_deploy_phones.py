"""ncnn and MNN: the files give what mcomp gives, or aren't written."""

import json
import stat
import subprocess
import sys

import numpy as np
import pytest
import torch
from deployed import DATA, IMAGES, TRAIN, refuses, small, steps
from hypothesis import given, settings
from hypothesis import strategies as st
from notebooks import ROOT
from torch import nn
from torch.nn import functional as F

import mcomp.data
from mcomp import cli, deploy, zoo
from mcomp.deploy.ncnn_integers import integers
from mcomp.file import load
from mcomp.integer import integer_network
from mcomp.qat import attach_grids
from mcomp.quantize.grids import quantize
from mcomp.structure import fold_batchnorm
from mcomp.train import predict

NAMES = ("lenet300", "lenet5", "resnet", "half")
SUFFIX = {"ncnn": ".param", "mnn": ".mnn"}
EVERY = pytest.mark.parametrize("engine", ["ncnn", "mnn"])


@pytest.fixture(scope="module")
def made():
    """The networks of the zoo, and the structured one of chapter 04."""
    networks = {name: zoo.load(name) for name in NAMES[:3]}
    return {**networks, "half": load(ROOT / "experiments" / "results" / "04_resnet-half.safetensors")}


@pytest.fixture(scope="module")
def whole(made):
    """The same in integers, every zero point 0."""
    return {name: integer_network(fold_batchnorm(made[name]), TRAIN, symmetric=True) for name in NAMES}


@EVERY
@pytest.mark.parametrize("name", NAMES)
def test_a_float_network_within_its_rounding(made, name, engine, tmp_path):
    path = deploy.export(engine, made[name], tmp_path / f"net{SUFFIX[engine]}", example=IMAGES[:5])
    expected, found = predict(made[name], IMAGES), deploy.run(engine, path, IMAGES)
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()  # float32 sums in another order
    one = deploy.run(engine, path, IMAGES[:1])
    assert (one - expected[:1]).abs().max() < 1e-4 * expected.abs().max()
    weights = 4 * sum(p.numel() for p in made[name].parameters())
    assert weights < deploy.nbytes(path) + 1_000  # without the batch norms, which are folded
    assert deploy.nbytes(path) < weights + 6_000
    assert {p.suffix for p in tmp_path.iterdir()} == {SUFFIX[engine], *([".bin"] if engine == "ncnn" else [])}


@pytest.mark.parametrize("name", NAMES)
def test_an_integer_network_is_ncnn_to_a_step(made, whole, name, tmp_path):
    """Its multipliers are floats and it rounds halves away from zero: few outputs differ, and by a step."""
    path = deploy.export("ncnn", whole[name], tmp_path / "net.param", example=IMAGES[:5])
    away = abs(steps(deploy.run("ncnn", path, IMAGES), whole[name]) - expected_of(whole[name], IMAGES))
    assert away.max() <= 1
    assert (away > 0).mean() < 0.03
    assert deploy.nbytes(path) < 0.3 * 4 * sum(p.numel() for p in made[name].parameters())
    lines = [line.split() for line in path.read_text().splitlines()]
    layers = [line for line in lines if line[0] in ("InnerProduct", "Convolution")]
    assert len(layers) == sum(hasattr(step.run, "weight") for step in whole[name].steps)
    assert all("8=2" in line for line in layers)  # in int8: floats would prove nothing


def expected_of(network, x):
    return network(quantize(x, network.grid)).numpy()


def test_ncnn_s_file_holds_the_network_s_integers_and_scales(whole):
    network = whole["resnet"]
    raw, at = integers(network, (1, 28, 28))[1], 0
    for run in (step.run for step in network.steps if hasattr(step.run, "weight")):
        assert raw[at : at + 4] == (0x000D4B38).to_bytes(4, "little")  # as ncnn's modelbin.cpp reads it
        size, out = run.weight.numel(), len(run.weight)
        assert np.array_equal(np.frombuffer(raw, np.int8, size, at + 4), run.weight.numpy().ravel())
        at += 4 + size + -size % 4
        bias, scales, (source,) = np.split(np.frombuffer(raw, np.float32, 2 * out + 1, at), [out, 2 * out])
        assert np.allclose(bias, run.bias.double() * run.source.scale * run.scale.double(), rtol=1e-6)
        assert np.allclose(scales * run.scale.numpy(), 1, rtol=1e-6)
        assert np.isclose(source * run.source.scale, 1, rtol=1e-6)
        at += 4 * (2 * out + 1)
    assert at == len(raw)


def test_ncnn_does_not_add_in_16_bits(tmp_path):
    """The largest weights and images: its Winograd kernels overflow here, on x86, if the file allows them."""
    model = nn.Sequential(nn.Conv2d(64, 16, 3, padding=1))
    nn.init.ones_(model[0].weight)
    x = torch.ones(40, 64, 14, 14)
    network = integer_network(model.eval(), x, symmetric=True)
    found = steps(ran_by_ncnn(network, x[:2], tmp_path), network)
    assert np.array_equal(found.reshape(2, 16, 14, 14), expected_of(network, x[:2]))


def ran_by_ncnn(network, x, folder):
    param, weights = integers(network, tuple(x.shape[1:]))
    (folder / "net.param").write_text(param)
    (folder / "net.bin").write_bytes(weights)
    return deploy.run("ncnn", folder / "net.param", x)


class Fork(nn.Module):
    def __init__(self, groups, stride, padding, kernel, *, fork):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, kernel, stride, padding)
        self.deep = nn.Conv2d(4, 4, 1, groups=groups)
        self.fc, self.fork = nn.Linear(4, 3), fork

    def forward(self, x):
        y = self.conv(x)
        y = y + F.relu(self.deep(y)) if self.fork else self.deep(F.relu(y))
        return self.fc(y.mean((2, 3)))


@settings(derandomize=True, max_examples=8, deadline=None)
@given(
    groups=st.sampled_from([1, 4]), stride=st.integers(1, 2), padding=st.integers(0, 2),
    kernel=st.integers(1, 3), bits=st.sampled_from([3, 8]), fork=st.booleans(),
)  # fmt: skip
def test_any_convolution_and_fork_in_ncnn(tmp_path_factory, groups, stride, padding, kernel, bits, fork):
    torch.manual_seed(kernel)
    model, x = Fork(groups, stride, padding, kernel, fork=fork).eval(), torch.randn(40, 2, 7, 7)
    network = integer_network(model, x, bits=bits, symmetric=True)
    found = steps(ran_by_ncnn(network, x, tmp_path_factory.mktemp("net")), network)
    away = abs(found - expected_of(network, x))
    assert away.max() <= 1
    assert (away > 0).mean() < 0.05


def test_mnn_s_int8_weights_are_mcomp_s(made, tmp_path):
    """torch's own rounding of each output channel as the oracle; MNN's own tool reads the file."""
    path = deploy.export("mnn", made["resnet"], tmp_path / "net.mnn", example=IMAGES[:5], calibration=TRAIN)
    model, grids = fold_batchnorm(made["resnet"]), []
    for layer in model.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            w = layer.weight.detach()
            scale = w.abs().flatten(1).amax(1) / 127
            zeros = torch.zeros(len(w), dtype=torch.int32)
            layer.weight = nn.Parameter(torch.fake_quantize_per_channel_affine(w, scale, zeros, 0, -127, 127))
            grids.append((torch.round(w.flatten(1) / scale[:, None]).numpy(), scale.numpy()))
    expected, found = predict(model, IMAGES), deploy.run("mnn", path, IMAGES)
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()
    assert (found - predict(made["resnet"], IMAGES)).abs().max() > 1e-3 * expected.abs().max()
    assert path.stat().st_size < 0.3 * 4 * sum(p.numel() for p in model.parameters())
    raw = path.read_bytes()
    assert all(scale.tobytes() in raw for _, scale in grids)
    program = "import _tools; _tools.mnnconvert('x -f MNN --modelFile net.mnn --JsonFile net.json'.split())"
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True)
    held = [op.get("main", {}) for op in json.loads((tmp_path / "net.json").read_text())["oplists"]]
    held = [main["quanParameter"]["buffer"] for main in held if "quanParameter" in main]
    held = sorted(tuple(np.array(buffer)[6 + 256 :] % 256 - 128) for buffer in held)
    assert held == sorted(tuple(q.ravel().astype(int)) for q, _ in grids)


@EVERY
def test_channels_of_zeros_in_int8(engine, tmp_path):
    """A pruned network: MNN gives such a channel a scale of its own."""
    model, x = small(), torch.randn(40, 12)
    nn.init.zeros_(model[1].weight[2:4])
    path = deploy.export(engine, model, tmp_path / f"net{SUFFIX[engine]}", example=x, calibration=x)
    assert torch.allclose(deploy.run(engine, path, x), predict(model, x), atol=0.05)


def test_mnn_s_other_grids_are_refused():
    from mcomp.deploy import mnn

    with pytest.raises(ValueError, match=r"the int8 weights that MNN wrote.*127 steps to the largest weight"):
        mnn._write_scale(bytearray(5000), torch.ones(2, 3, dtype=torch.int32), torch.ones(2))


class Odd(nn.Module):
    """What people write, with a parameter, a number and shapes worked out from sizes."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, (1, 2), padding=(2, 1), dilation=2, bias=False)
        self.bn, self.act, self.pool = nn.BatchNorm2d(4), nn.LeakyReLU(0.2), nn.AvgPool2d(3, 2, 1)
        self.gain, self.fc = nn.Parameter(torch.randn(4, 1, 1)), nn.Linear(4 * 4 * 2, 6)

    def forward(self, x):
        y = self.pool(self.act(self.bn(self.conv(x)))) * self.gain + 0.5
        return torch.sigmoid(self.fc(torch.tanh(y).view(y.size(0), -1)))


@EVERY
def test_a_stranger_in_floats(engine, tmp_path):
    torch.manual_seed(0)
    model, x = Odd(), torch.randn(5, 1, 8, 8)
    model(torch.randn(20, 1, 8, 8))  # the running statistics of the batch norm
    path = deploy.export(engine, model.eval(), tmp_path / f"odd{SUFFIX[engine]}", example=x)
    assert torch.allclose(deploy.run(engine, path, x[:1]), predict(model, x[:1]), atol=1e-5)


@EVERY
@pytest.mark.parametrize(
    ("model", "told"),
    [
        (lambda: nn.Sequential(nn.Linear(12, 3), nn.Softplus()), "1: an operation is 'Softplus"),
        (
            lambda: attach_grids(small(), torch.randn(64, 12), activation_bits=8),
            r"an operation for .* is '.*QuantizeLinear",
        ),
    ],
)
def test_an_operation_that_cannot_be_written_is_named(engine, model, told, tmp_path):
    with pytest.raises(ValueError, match=told):
        deploy.export(engine, model(), tmp_path / f"net{SUFFIX[engine]}", example=torch.randn(6, 12))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("engine", "change", "told"),
    [
        ("ncnn", {"path": "nowhere/net.param"}, "the path to write"),
        ("mnn", {"path": "nowhere/net.mnn"}, "the path to write"),
        ("ncnn", {"path": "net.bin"}, "ends in .param"),
        ("mnn", {"path": "net.onnx"}, "ends in .mnn"),
        ("ncnn", {"calibration": torch.randn(1, 12)}, "the number of calibration images is 1"),
        ("mnn", {"calibration": torch.randn(1, 12)}, "the number of calibration images is 1"),
        ("ncnn", {"example": torch.randn(1, 12)}, "two or more images"),
        ("mnn", {"example": torch.randn(1, 12)}, "two or more images"),
        ("ncnn", {"model": integer_network(small(), torch.randn(40, 12))}, "symmetric=True"),
        ("mnn", {"model": integer_network(small(), torch.randn(40, 12))}, "allowed: a float network; with"),
        ("ncnn", {"model": nn.Flatten(), "example": torch.randn(3, 1, 2, 2, 2)}, "three axes at most"),
        ("ncnn", {"model": nn.ReLU(), "example": torch.randn(3, 1, 2, 2)}, "allowed: (n, classes)"),
    ],
)
def test_bad_input_writes_nothing(engine, change, told, tmp_path, monkeypatch):
    assert refuses(engine, SUFFIX[engine], change, told, tmp_path, monkeypatch) == []


def test_groups_that_ncnn_has_no_scales_for_are_refused_by_name(tmp_path):
    model = nn.Sequential(nn.Conv2d(4, 4, 1, groups=2), nn.Flatten(), nn.Linear(16, 2)).eval()
    x = torch.randn(40, 4, 2, 2)
    with pytest.raises(ValueError, match=r"0: the groups of a convolution is 2; allowed: 1 or 4"):
        deploy.export("ncnn", model, tmp_path / "net.param", example=x, calibration=x)
    assert list(tmp_path.iterdir()) == []


@EVERY
def test_a_converter_that_dies_is_told_and_its_words_kept(engine, tmp_path, monkeypatch):
    (tmp_path / "pnnx").mkdir()
    (tmp_path / "pnnx" / "__init__.py").write_text("")
    program = tmp_path / "pnnx" / "pnnx"
    program.write_text("#!/bin/sh\necho last words\nkill -ABRT $$\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    dies = "import os\ndef mnnconvert(words):\n    print('last words', flush=True)\n    os.abort()\n"
    (tmp_path / "_tools.py").write_text(dies)
    monkeypatch.syspath_prepend(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(
        ValueError, match=rf"converter of {engine} ended with (-6|134); .*last words; all that"
    ):
        deploy.export(engine, small(), out / f"net{SUFFIX[engine]}", example=torch.randn(5, 12))
    assert [p.name for p in out.iterdir()] == ["net.log"]
    assert (out / "net.log").read_text() == "last words\n"


@EVERY
def test_a_file_that_is_none_and_images_that_do_not_fit(engine, tmp_path, capfd):
    path = tmp_path / f"net{SUFFIX[engine]}"
    for _ in range(2):
        with pytest.raises(ValueError, match="one that it can open"):
            deploy.run(engine, path, torch.randn(5, 12))
        path.write_bytes(b"nothing")
    deploy.export(engine, small(), path, example=torch.randn(5, 12))  # over what stood there
    capfd.readouterr()
    assert deploy.run(engine, path, torch.randn(2, 12)).shape == (2, 3)
    assert capfd.readouterr().out == ""  # neither says what the processor can
    with pytest.raises(ValueError, match=r"the shape of images for .* is \(5, 7\)"):
        deploy.run(engine, path, torch.randn(5, 7))


def test_mnn_s_converter_installs_nothing():
    """The command mnnconvert imports MNN.tools, which runs pip."""
    program = "import sys, mcomp.deploy.mnn_convert; print([n for n in sys.modules if n.startswith('MNN')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("module", "package"), [("ncnn", "pnnx"), ("mnn", "MNN")])
def test_an_engine_that_is_not_installed_says_what_to_install(module, package, monkeypatch):
    monkeypatch.delitem(sys.modules, f"mcomp.deploy.{module}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=rf"{module}, which needs {package}.*pip install 'mcomp\[deploy\]'"):
        deploy.engine(module)


def test_mcomp_export(made, whole, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(zoo, "load", lambda name, seed: made[name])
    monkeypatch.setattr(mcomp.data, "load", lambda name: DATA)
    for to in ("ncnn", "mnn"):
        out = tmp_path / f"net{SUFFIX[to]}"
        words = ["export", "lenet300", "--to", to, "--int8", "--images", "100", "--out", out]
        monkeypatch.setattr(sys, "argv", ["mcomp", *map(str, words)])
        with pytest.raises(SystemExit) as exit:
            cli.main()
        assert exit.value.code == 0
        assert f"{deploy.nbytes(out):,} bytes" in capsys.readouterr().out
    found = steps(deploy.run("ncnn", tmp_path / "net.param", IMAGES), whole["lenet300"])
    assert (found != expected_of(whole["lenet300"], IMAGES)).mean() < 0.01
