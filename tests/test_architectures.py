"""Networks of your own: by name, by a factory, by the class and what surgery made of it; hostile files."""

import copy
import json
import random
import sys
import time

import pytest
import torch
from torch import nn

import mcomp
from mcomp import architectures, zoo
from mcomp.architectures import architecture, build, imported, register
from mcomp.channels import Plan, channel_graph, remove_channels
from mcomp.codecs import Codebook, Sparse, attach
from mcomp.coding.bits import CorruptFileError
from mcomp.file import NeedsModelError, byte_rows, load, read, save
from mcomp.file.frame import seal, unseal
from mcomp.made import made, replay
from mcomp.structure import factorize, fold_batchnorm


class Net(nn.Module):
    """With what people's networks have: options, a buffer outside of the state, a plain tensor, depths."""

    def __init__(self, width=6, classes=3, dropout=0.0):
        super().__init__()
        self.config = {"width": width, "classes": classes, "dropout": dropout}
        self.drops = [x.item() for x in torch.linspace(0, dropout, 3)]
        self.conv = nn.Conv2d(1, width, 3, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.act = nn.ReLU()
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.fc = nn.Linear(2 * width, classes)
        self.register_buffer("shift", torch.arange(float(classes)), persistent=False)
        self.gain = torch.tensor(2.0)

    def forward(self, x):
        x = self.conv2(self.act(self.bn(self.conv(x))))
        return self.gain * self.fc(x.mean((2, 3))) + self.shift


@pytest.fixture
def named(monkeypatch):
    """`Net` is registered as "test/net" meanwhile."""
    monkeypatch.setattr(architectures, "_REGISTERED", {})
    register("test/net")(Net)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


def images(n=4):
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def net(**config):
    torch.manual_seed(0)
    model = Net(**config)
    model.train()(images(8))
    return model.eval()


def pruned(model):
    return remove_channels(model, Plan(channel_graph(model, images(1)), {"conv": [0, 3], "conv2": [5]}))


def same_answers(a, b):
    """To the bit: the same tensors go through the same operations."""
    with torch.no_grad():
        return torch.equal(a.eval()(images()), b.eval()(images()))


SURGERY = {
    "none": lambda model: model,
    "pruned": pruned,
    "factorized": lambda model: factorize(model, {"conv2": 2, "fc": 1}),
    "tucker": lambda model: factorize(model, {"conv2": (2, 3)}, larger=True),
    "folded": fold_batchnorm,
    "pruned, factorized": lambda model: factorize(pruned(model), {"conv2": 2}, conv="channel"),
    "folded, pruned, factorized": lambda model: factorize(pruned(fold_batchnorm(model)), {"conv2": 2}),
    "pruned twice": lambda model: pruned(pruned(model)),
}
surgeries = pytest.mark.parametrize("change", SURGERY.values(), ids=SURGERY)


@surgeries
def test_a_registered_network_opens_by_its_name(named, path, change):
    model = change(net(width=9, dropout=0.5))
    save(model, path)
    again = load(path)
    assert type(again) is Net
    assert again.config == {"width": 9, "classes": 3, "dropout": 0.5}
    assert str(again) == str(model)
    assert same_answers(again, model)
    assert sum(row[3] for row in byte_rows(path)) == path.stat().st_size


@surgeries
def test_an_unknown_network_opens_with_one_fresh_from_its_class(path, change):
    model, fresh = change(net()), Net()
    before = copy.deepcopy(fresh.state_dict())
    save(model, path)
    again = load(path, model=fresh)
    assert same_answers(again, model)
    assert same_answers(load(path, model=copy.deepcopy(model)), model)  # or with one of its own shape
    assert all(torch.equal(before[name], x) for name, x in fresh.state_dict().items())
    with pytest.raises(NeedsModelError, match="isn't registered"):
        load(path)


@pytest.mark.parametrize("name", zoo.NAMES)
def test_a_pruned_network_of_the_zoo_opens_alone(path, name):
    sizes = {"lenet300": {"hidden": (6, 5)}, "lenet5": {"hidden": 5}, "resnet": {"widths": (4, 4, 6)}}
    model, x = zoo.build(name, **sizes[name]), torch.randn(2, 1, 28, 28)
    first = next(iter(channel_graph(model, x).layers))
    small = remove_channels(model, Plan(channel_graph(model, x), {first: [1]}))
    save(small, path)
    again = load(path)
    assert type(again) is type(model)
    assert torch.equal(again(x), small.eval()(x))


def test_a_second_file_of_what_came_from_the_first_is_the_same(named, tmp_path):
    save(SURGERY["pruned, factorized"](net()), tmp_path / "a")
    save(load(tmp_path / "a"), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_surgery_on_a_part_of_a_network(path):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = Net(), nn.Linear(3, 2)

        def forward(self, x):
            return self.head(self.body(x))

    model = Two().eval()
    model.body = pruned(model.body)
    small = factorize(model, {"head": 1})
    assert [(place, kind) for place, kind, _ in made(small)] == [("body", "keep"), ("", "put")]
    save(small, path)
    assert same_answers(load(path, model=Two()), small)


def test_a_whole_network_that_is_one_layer(path):
    save(factorize(nn.Linear(8, 8), {"": 2}), path)
    assert str(load(path, model=nn.Linear(8, 8))) == str(factorize(nn.Linear(8, 8), {"": 2}))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_codecs_and_dtypes(named, path, dtype):
    model = pruned(net()).to(dtype)
    attach(model, {"*.weight": Sparse(0.5) | Codebook(3)})
    save(model, path)
    assert load(path).conv.weight.dtype == dtype
    assert torch.equal(load(path).conv.weight, model.conv.weight)


def test_loading_draws_no_random_numbers(named, path):
    save(net(), path)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    load(path)
    assert torch.equal(torch.rand(2), expected)


def test_a_name_of_this_process_only(path, monkeypatch):
    monkeypatch.setattr(architectures, "_REGISTERED", {"test/net": Net})
    save(net(), path)
    monkeypatch.setattr(architectures, "_REGISTERED", {})
    with pytest.raises(NeedsModelError, match=r"'test/net' isn't registered .*@mcomp.register\('test/net'\)"):
        load(path)
    assert same_answers(load(path, model=Net()), net())


def test_a_cell_that_runs_again_registers_again(named):
    again = type("Net", (Net,), {"__module__": Net.__module__, "__qualname__": "Net"})
    assert register("test/net")(again) is again
    assert type(build("test/net")) is again
    assert architecture(Net()) == ("test/net", Net().config)  # one made before the cell ran again


def test_a_network_changed_since_needs_its_model(named, path):
    model = net()
    model.act = nn.Tanh()
    save(model, path)
    with pytest.raises(NeedsModelError, match="it was changed after test/net made it"):
        load(path)
    assert same_answers(load(path, model=model), model)


def test_one_that_cannot_be_built_without_memory_needs_its_model(monkeypatch, path):
    monkeypatch.setattr(architectures, "_REGISTERED", {})

    @register("values")
    class Values(nn.Linear):
        def __init__(self):
            super().__init__(2, 2)
            self.config = {}
            self.total = float(self.weight.detach().sum())

    model = Values()
    save(model, path)
    with pytest.raises(NeedsModelError, match="can't be built without memory"):
        load(path)
    assert torch.equal(load(path, model=Values()).weight, model.weight)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "the config of test/net is None; allowed: a dict of the arguments"),
        ([3], r"the config of test/net is \[3\]"),
        ({"width": torch.ones(1)}, "the config of test/net"),
        ({"width": float("nan")}, "the config of test/net"),
        ({3: 4}, "the config of test/net"),
        ({"depth": 3}, "the config of test/net .*one it takes .*depth"),
        ({"width": -1}, "the config of test/net .*one it takes"),
    ],
    ids=str,
)
def test_a_registered_network_without_a_config(named, path, config, message):
    model = net()
    model.config = config
    with pytest.raises(ValueError, match=message):
        save(model, path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: register("lenet300")(Net), "name is 'lenet300'; allowed: letters"),
        (lambda: register("")(Net), "name is ''"),
        (lambda: register(Net), "name is"),
        (lambda: register("a b")(Net), "name is 'a b'"),
        (lambda: register("test/net")(nn.Linear), "name is 'test/net'; allowed: another one; it is .*Net's"),
        (lambda: register("f")(lambda: Net()), "what is registered as f is .*a subclass of torch.nn.Module"),
        (lambda: register("f")(Net()), "what is registered as f"),
        (
            lambda: build("nobody"),
            "name is 'nobody'; allowed: one of lenet300, lenet5, resnet, tinygpt, test/net",
        ),
        (lambda: imported("no colon"), "the name of a factory is 'no colon'"),
        (lambda: imported(None), "the name of a factory is None"),
        (lambda: imported("no_such_package.x:f"), "the module no_such_package.x .*ModuleNotFoundError"),
        (lambda: imported("json:nothing"), "json has no 'nothing'"),
        (lambda: imported("sys:path"), "sys:path is 'list'; allowed: a function"),
    ],
)
def test_bad_input(named, call, message):
    with pytest.raises(ValueError, match=message):
        call()


# A factory: imported when who opens the file names it, never because the file does.

SOURCE = """
import torch
LOADED.append(1) if "LOADED" in globals() else None
def make(width=4, classes=2):
    return torch.nn.Sequential(torch.nn.Linear(width, 5), torch.nn.ReLU(), torch.nn.Linear(5, classes))
def nothing():
    return 3
def fails():
    raise RuntimeError("no weights here")
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "mine_for_test.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield "mine_for_test"
    sys.modules.pop("mine_for_test", None)


def test_a_factory_named_by_both(module, path):
    model = imported(f"{module}:make")(width=7)
    save(model, path, factory=f"{module}:make", config={"width": 7})
    again = load(path, factory=f"{module}:make")
    assert torch.equal(again[0].weight, model[0].weight)
    assert torch.equal(load(path, model=model)[0].weight, model[0].weight)
    assert byte_rows(path, factory=f"{module}:make") == byte_rows(path, model=model)


def test_a_file_imports_nothing(module, path):
    save(imported(f"{module}:make")(), path, factory=f"{module}:make")
    del sys.modules[module]
    with pytest.raises(
        NeedsModelError, match=r"pass load\(path, factory='mine_for_test:make'\) if you trust"
    ):
        load(path)
    with pytest.raises(NeedsModelError, match="names the factory 'mine_for_test:make', not 'json:loads'"):
        load(path, factory="json:loads")
    assert module not in sys.modules


def test_a_file_that_names_no_factory(module, path):
    save(nn.Linear(2, 2), path)
    with pytest.raises(NeedsModelError, match="names no factory, not 'mine_for_test:make'"):
        load(path, factory=f"{module}:make")


@pytest.mark.parametrize(
    ("function", "config", "message"),
    [
        ("make", {"width": 9}, "factory is 'mine_for_test:make'; allowed: one that makes the network"),
        ("make", {"depth": 9}, "the config of mine_for_test:make is .*TypeError"),
        ("make", {"width": {3}}, "config is"),
        (
            "nothing",
            None,
            "the config of mine_for_test:nothing .*returns is 'int'; allowed: a torch.nn.Module",
        ),
        ("fails", None, "no weights here"),
        ("absent", None, "has no 'absent'"),
    ],
)
def test_a_factory_that_makes_another_network(module, path, function, config, message):
    model = imported(f"{module}:make")()
    with pytest.raises(ValueError, match=message):
        save(model, path, factory=f"{module}:{function}", config=config)


# Hostile files


def file_of(metadata, path):
    """The file at `path` with other metadata, and a checksum that fits."""
    path.write_bytes(seal(metadata, unseal(path.read_bytes())[1]))
    return path


def step(kind, data, place=""):
    return json.dumps([[place, kind, data]])


def conv(**options):
    return {"in_channels": 1, "out_channels": 1, "kernel_size": 1, **options}


@pytest.mark.parametrize(
    "made",
    [
        "",
        "3",
        "{}",
        "[[]]",
        "[" * 20_000,
        "[" + "[]," * 100 + "[]]",
        json.dumps([["", "bias", []]] * 100),
        "x" * 50_000,
        step("explode", {}),
        step("keep", []),
        step("keep", {"axes": 3}),
        step("keep", {"axes": [[6, "zz", []]]}),
        step("keep", {"axes": [[6, "-1", [["conv.weight", 0]]]]}),
        step("keep", {"axes": [[6, "f" * 30_000, [["conv.weight", 0]]]]}),
        step("keep", {"axes": [[10**30, "1", [["conv.weight", 0]]]]}),
        step("keep", {"axes": [[6, "1", [["conv.weight", 9]]]]}),
        step("keep", {"axes": [[6, "1", [[["conv"], 0]]]]}),
        step("put", []),
        step("put", {"nowhere": []}),
        step("put", {"fc.weight": []}),
        step("put", {"fc": [["a", "Linear", {"in_features": 10**6, "out_features": 10**6}]]}),
        step("put", {"fc": [["a", "Linear", {"in_features": 30_000, "out_features": 30_000}]]}),
        step("put", {"fc": [["a", "Linear", {"in_features": 10**30, "out_features": 2}]]}),
        step("put", {"fc": [["a", "Linear", {"in_features": -5, "out_features": 2}]]}),
        step("put", {"fc": [["a", "Linear", {"in_features": "b", "out_features": 2}]]}),
        step("put", {"fc": [["a", "Linear", {"in_features": 5, "device": "cpu"}]]}),
        step("put", {"fc": [["a.b", "Linear", {"in_features": 5, "out_features": 2}]]}),
        step("put", {"fc": [["a", "Sequential", {}]]}),
        step("put", {"conv": [["a", "Conv2d", conv(groups=0)]]}),
        step("put", {"conv": [["a", "Conv2d", conv(padding=[10**20] * 50)]]}),
        step("bias", ["act"]),
        step("bias", 3),
        step("bias", ["fc"], "nowhere"),
        step("bias", ["fc"], ["fc"]),
    ],
    ids=lambda text: text[:60],
)
def test_absurd_surgery(named, path, made):
    save(net(), path)
    metadata = unseal(path.read_bytes())[0]
    file_of({**metadata, "made": made}, path)
    begin = time.process_time()
    with pytest.raises(CorruptFileError):
        load(path)
    with pytest.raises(NeedsModelError, match=r"nor are they|tensors aren't the file's"):
        load(path, model=nn.Linear(2, 2))
    assert same_answers(
        load(path, model=net()), net()
    )  # whoever gives the network of the file needs no steps
    assert time.process_time() - begin < 5.0  # computing, in a process that shares the machine; 0.1 s seen


@pytest.mark.parametrize("config", ['{"width": 100000}', '{"width": 1e300}', '{"classes": [1]}', '{"x": 1}'])
def test_absurd_sizes_of_a_registered_network(named, path, config):
    save(net(), path)
    file_of({**unseal(path.read_bytes())[0], "config": config}, path)
    with pytest.raises(CorruptFileError):
        load(path)


def test_the_limit_holds_before_and_after_surgery(named, path):
    save(pruned(net(width=40)), path)
    whole = sum(x.numel() for x in Net(width=40).state_dict().values())
    assert same_answers(load(path, max_weights=whole), pruned(net(width=40)))
    with pytest.raises(CorruptFileError, match=rf"claims {whole:,} weights; allowed: {whole - 1:,}"):
        load(path, max_weights=whole - 1)
    assert same_answers(load(path, model=Net(width=40), max_weights=0), pruned(net(width=40)))


def mutated(text, rng):
    """A few characters of `text` are others, gone, or there twice."""
    for _ in range(rng.choice([1, 1, 2, 4])):
        at, n = rng.randrange(len(text) + 1), rng.choice([0, 1, 1, 3])
        new = rng.choice(["", "0", "9", "-", "[", "]", '"', ",", "f", "null", "1e9", text[at : at + 5]])
        text = text[:at] + new + text[at + n :]
    return text


def test_five_hundred_mutations_of_the_metadata(named, path):
    """Each is refused, or gives the network: the names and shapes of its tensors are in the digest."""
    model = SURGERY["folded, pruned, factorized"](net())
    save(model, path)
    metadata, body = unseal(path.read_bytes())
    rng, opened = random.Random(0), 0
    for _ in range(500):
        key = rng.choice(["made", "made", "made", "config", "architecture"])
        path.write_bytes(seal({**metadata, key: mutated(metadata[key], rng)}, body))
        try:
            again = load(path)
        except (CorruptFileError, NeedsModelError):
            continue
        opened += 1
        assert [x.shape for x in again.state_dict().values()] == [
            x.shape for x in model.state_dict().values()
        ]
    assert opened < 250


def test_a_pruned_network_says_in_its_file_what_it_is(named, path):
    save(pruned(net()), path)
    metadata = read(path).metadata
    assert metadata["architecture"] == "test/net"
    ((place, kind, data),) = json.loads(metadata["made"])
    assert (place, kind) == ("", "keep")
    assert data["axes"][0][:2] == [6, "36"]  # channels 1, 2, 4, 5 of six: bits 110110


def test_replay_names_what_is_wrong():
    with pytest.raises(ValueError, match=r"a step is '\[1\]'"):
        replay(nn.ReLU(), [[1]])
    with pytest.raises(ValueError, match="the place of a step is 'x'"):
        replay(nn.ReLU(), [["x", "put", {}]])


def test_mcomp_has_the_names():
    assert mcomp.register is register
    assert issubclass(mcomp.NeedsModelError, ValueError)
    assert not issubclass(mcomp.NeedsModelError, CorruptFileError)
