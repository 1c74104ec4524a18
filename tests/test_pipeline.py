"""The recipe and what it does to a network: exact sparsity, few shared values, a file that says the same."""

import copy
import dataclasses
import json
import math
from io import StringIO
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
import yaml
from rich.console import Console

import mcomp
import mcomp.data
from mcomp import estimates, zoo
from mcomp.codecs import Codebook, Sparse, attach, attached
from mcomp.distill import kd_loss
from mcomp.estimates import MOST, SPENT, estimate
from mcomp.measure import float32_bytes
from mcomp.pipeline import GradualPruning, Prune, Settle, compress, teaching
from mcomp.prune import cubic_sparsity, global_topk_masks, kept_count
from mcomp.recipes import Recipe, Share, load_recipe, recipes
from mcomp.recipes.fitting import recipe_for
from mcomp.train import Callback, fit, predict

QUICK = {"prune": {"sparsity": 0.9, "epochs": 2}, "share": {"values": 4, "bias_values": 8, "epochs": 1}}


@pytest.fixture(scope="module")
def data():
    return mcomp.data.load(subset=2_000)


@pytest.fixture(scope="module")
def result(data):
    return compress(zoo.load("lenet300"), QUICK, data, progress=False)


def tiny(name="lenet300", **config):
    torch.manual_seed(0)
    return zoo.build(name, **(config or {"hidden": (6, 5)}))


def matrices(model):
    return {name: p.detach() for name, p in model.named_parameters() if p.ndim > 1}


def test_exactly_as_many_weights_stay_as_the_recipe_says(result):
    zeros = sum(int((w == 0).sum()) for w in matrices(result.model).values())
    total = sum(w.numel() for w in matrices(result.model).values())
    assert total - zeros == kept_count(total, 0.9)


def test_a_layer_has_no_more_values_than_the_recipe_says(result):
    for name, w in result.model.named_parameters():
        limit = 4 if w.ndim > 1 else 8
        assert len(w[w != 0].unique()) <= limit, name


def test_the_file_is_small_and_predicts_the_same(result, data, tmp_path):
    path = tmp_path / "small.safetensors"
    assert result.save(path) == path.stat().st_size
    assert path.stat().st_size < float32_bytes(result.original) / 20
    x = data.test[0][:500]
    assert torch.equal(predict(mcomp.load(path), x), predict(result.model, x))
    plain, small = result.rows(data, path)
    assert (plain[1], small[1]) == (float32_bytes(result.original), path.stat().st_size)
    assert small[3] > 0.8  # 88 to 89 % were seen; chance is 10 %


def test_the_model_given_is_not_changed(data):
    model = zoo.load("lenet300")
    before = copy.deepcopy(model.state_dict())
    compress(model, {"prune": {"epochs": 1}, "share": {"epochs": 0}}, data, progress=False)
    assert all(torch.equal(before[name], x) for name, x in model.state_dict().items())
    assert not attached(model)


def test_same_recipe_same_bytes(data, tmp_path):
    for name in "abc":
        small = compress(tiny(), {**QUICK, "seed": int(name == "c")}, data, progress=False)
        small.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()  # another order of the images


def test_without_epochs_it_still_prunes_and_shares(data):
    """Compression without training: what the projection alone does."""
    small = compress(
        zoo.load("lenet300"), {"prune": {"sparsity": 0.5, "epochs": 0}, "share": {"epochs": 0}}, data
    )
    original = zoo.load("lenet300")
    masks = global_topk_masks({n: w.abs() for n, w in matrices(original).items()}, kept_count(266_200, 0.5))
    for name, w in matrices(small.model).items():
        assert torch.equal(w != 0, masks[name]), name


def test_spread_keeps_weights_together():
    """With `spread`, of two equal weights the one in the denser row stays."""
    model = torch.nn.Sequential(torch.nn.Linear(4, 3, bias=False))
    w = torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    model[0].weight.data.copy_(w)
    attach(model, {"*.weight": Sparse(0.0)}, refresh="never")
    GradualPruning(model, Prune(sparsity=0.0, spread=0.0)).prune(1 - 5 / 12)  # what is zero is out
    GradualPruning(model, Prune(sparsity=0.5, spread=0.5)).prune(1 - 4 / 12)
    assert torch.equal(model[0].weight != 0, torch.tensor([[True] * 4, [False] * 4, [False] * 4]))


def test_estimate_is_a_time_and_trains_nothing(data):
    model = zoo.load("lenet300")
    before = copy.deepcopy(model.state_dict())
    assert 0 < estimate(model, Recipe(), data) < 1e5
    assert all(torch.equal(before[name], x) for name, x in model.state_dict().items())


def test_estimate_adds_up_every_part(data, monkeypatch):
    """Each part takes SPENT of the processor and thrice that; 1,024 of the 2,000 images are tried."""
    tried = []

    def trial(work, log):
        tried.append(work())
        log.append((3 * SPENT, SPENT))
        return SPENT

    monkeypatch.setattr("mcomp.estimates._tried", trial)
    model, part = tiny(), 1024 / 2_000
    shown = 2 * (5_000 + 10_000) / 1024
    once = 1 / part + 1 + 1 + shown  # the teacher, the start of sharing, the file, the table
    nothing = {"prune": {"epochs": 0}, "share": {"epochs": 0}}
    assert estimate(model, nothing, data) == pytest.approx(3 * SPENT * once)
    assert len(tried) == 5  # and a choice of masks, of which there will be none
    steps = 2 * 8  # two epochs of 8 batches; below 40 steps masks are chosen at each of the ramp's
    found = estimate(model, QUICK, data)
    assert found == pytest.approx(3 * SPENT * (once + (2 + 1) / part + math.ceil(0.6 * steps)))
    assert len(tried) == 5 + 9  # an epoch of each kind of training says how many are tried: here one
    # a copy of each image: 512 are tried, with their copies again 1,024
    found, part = estimate(model, QUICK | {"moved": 1}, data), 512 / 2_000
    once = 1 / part + 1 + 1 + shown
    assert found == pytest.approx(3 * SPENT * (once + (2 + 1) / part + math.ceil(0.6 * 2 * 16)))


def test_estimate_tries_enough_epochs_and_not_too_many(monkeypatch):
    for once, wanted in ((SPENT / 4, 4), (10 * SPENT, 1), (0.0, MOST)):
        ran = []
        monkeypatch.setattr("mcomp.estimates._tried", lambda work, log, once=once: work() or once)
        assert estimates._epochs(ran.append, 7, []) == pytest.approx(7 * once / wanted)
        assert ran == [1, 1, wanted]


class Schedule(GradualPruning):
    """Notes the fractions instead of pruning to them."""

    def prune(self, fraction):
        self.seen.append((self.step, fraction))
        self.done = fraction >= self.stage.sparsity


def scheduled(steps, **stage):
    model = tiny()
    attach(model, {"*.weight": Sparse(0.0)}, refresh="never")
    pruning = Schedule(model, Prune(**stage))
    pruning.seen = []
    for step in range(steps):
        pruning.step = step
        pruning.before_step(SimpleNamespace(step=step, steps=steps, optimizer=None))
    return pruning.seen


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 24, 100, 999, 5000])
@pytest.mark.parametrize("ramp", [0.01, 0.6, 1.0])
def test_pruning_ends_at_the_sparsity_asked_for(steps, ramp):
    """Also where training is shorter than the steps between two choices of the mask."""
    seen = scheduled(steps, sparsity=0.9, ramp=ramp)
    fractions = [fraction for _, fraction in seen]
    assert fractions[-1] == 0.9
    assert fractions == sorted(set(fractions))
    for step, fraction in seen[:-1]:
        assert fraction == cubic_sparsity(step, start=0, end=max(ramp * steps, 1), final=0.9)
    assert seen[-1][0] <= min(ramp * steps + 50, steps - 1)
    gaps = [b - a for (a, _), (b, _) in pairwise(seen)]
    assert max(gaps, default=0) <= 50


def test_gradual_pruning_without_spread_is_global_magnitude():
    model = tiny()
    plain = matrices(copy.deepcopy(model))
    attach(model, {"*.weight": Sparse(0.0)}, refresh="never")
    pruning = GradualPruning(model, Prune(sparsity=0.7, spread=0.0))
    pruning.finish()
    total = sum(w.numel() for w in plain.values())
    masks = global_topk_masks({name: w.abs() for name, w in plain.items()}, kept_count(total, 0.7))
    for name, w in plain.items():
        assert torch.equal(model.get_submodule(name[:3]).weight, w * masks[name])


def test_what_was_pruned_stays_pruned(data):
    """Between two choices the mask holds the gradient off, and no later mask lets a zero back."""
    masks = []

    class Watch(GradualPruning):
        def after_step(self, run):
            masks.append(torch.cat([(w(p) != 0).flatten() for w, p in self.pairs()]))

        def pairs(self):
            return [(self.weights[name], self.originals[name]) for name in self.weights]

    model = tiny()
    attach(model, {"*.weight": Sparse(0.0)}, refresh="never")
    fit(model, data, epochs=2, callbacks=[Watch(model, Prune(sparsity=0.9))], progress=False)
    assert all(not (later & ~earlier).any() for earlier, later in pairwise(masks))
    assert int(masks[-1].sum()) == kept_count(masks[-1].numel(), 0.9)


def test_settle_stops_the_assignment_not_the_values(data):
    model = tiny()
    attach(model, {"fc2.weight": Codebook(3)}, refresh="step")
    weight, symbols, values = attached(model)["fc2.weight"], [], []

    class Watch(Callback):
        def after_step(self, run):
            symbols.append(weight._code.symbols["index"].tolist())
            values.append(weight.learned[0].tolist())

    fit(model, data, epochs=3, lr=0.05, callbacks=[Settle(model, 0.5), Watch()], progress=False)
    half = len(symbols) // 2
    assert len(set(map(str, symbols[:half]))) > 1
    assert len(set(map(str, symbols[half:]))) == 1
    assert len(set(map(str, values[half:]))) == len(values) - half


@pytest.mark.parametrize(
    ("model", "dtype"),
    [
        (tiny("resnet", widths=(2, 3, 4)), torch.float32),
        (tiny("lenet5", channels=(2, 3), hidden=4), torch.float64),
        (torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10, bias=False)), torch.float32),
    ],
    ids=["resnet", "float64", "not of the zoo"],
)
def test_any_classifier(data, model, dtype, tmp_path):
    x, y = (t[:200] for t in data.train)
    images = SimpleNamespace(train=(x.to(dtype), y))
    model = model.to(dtype)
    small = compress(model, {**QUICK, "batch_size": 50}, images, progress=False)
    total = sum(w.numel() for w in matrices(model).values())
    assert sum(int((w != 0).sum()) for w in matrices(small.model).values()) == kept_count(total, 0.9)
    assert all(p.dtype == dtype for p in small.model.parameters())
    shared = [w for name, w in small.model.named_parameters() if w.ndim > 1 or name.endswith("bias")]
    assert all(torch.equal(w.half().to(dtype), w) for w in shared)  # the shared values fit in float16
    small.save(tmp_path / "x")
    assert torch.equal(
        predict(mcomp.load(tmp_path / "x", model=model), images.train[0]),
        predict(small.model, images.train[0]),
    )


def coloured(classes=4, n=60):
    """Images of three channels with other classes than the zoo knows."""
    x = torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    pair = (x, torch.arange(n) % classes)
    return SimpleNamespace(train=pair, validation=pair, test=pair)


def coloured_network(classes=4):
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 36, classes)
    )


def test_a_shipped_recipe_on_other_images_is_without_its_teacher():
    recipe, notes = recipe_for("deep-compression", coloured_network(), coloured())
    assert recipe == dataclasses.replace(load_recipe("deep-compression"), teacher="self")
    (note,) = notes
    assert "the teacher resnet takes images of (1, 28, 28), not (3, 8, 8)" in note
    assert "its own teacher" in note


def test_a_shipped_recipe_on_other_classes_is_without_its_teacher(data):
    few = SimpleNamespace(train=(data.train[0][:50], data.train[1][:50] % 4))
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 4))
    recipe, (note,) = recipe_for("deep-compression", model, few)
    assert recipe.teacher == "self"
    assert "the teacher resnet knows 10 classes, the network 4" in note


def test_a_shipped_recipe_moves_images_alone():
    model, pair = torch.nn.Linear(5, 4), (torch.zeros(50, 5), torch.arange(50) % 4)
    recipe, notes = recipe_for("smallest", model, SimpleNamespace(train=pair))
    assert recipe == dataclasses.replace(load_recipe("smallest"), teacher="self", teachers=1, moved=0)
    assert "recipe smallest: the inputs are no images; none are moved" in notes
    moved, (note,) = recipe_for("smallest", coloured_network(), coloured())
    assert (moved.moved, "its own teacher" in note) == (load_recipe("smallest").moved, True)


def test_a_recipe_of_your_own_is_not_changed(data):
    recipe = {"teacher": "resnet"}
    with pytest.raises(
        ValueError, match=r"teacher is 'resnet'; allowed: self, because the teacher resnet takes"
    ):
        recipe_for(recipe, coloured_network(), coloured())
    few = SimpleNamespace(train=(data.train[0][:50], data.train[1][:50]))
    assert recipe_for("deep-compression", zoo.load("lenet300"), few) == (load_recipe("deep-compression"), ())
    flat = SimpleNamespace(train=(torch.zeros(50, 5), few.train[1] % 4))
    assert recipe_for({"moved": 1}, torch.nn.Linear(5, 4), flat) == (load_recipe({"moved": 1}), ())


class Two(torch.nn.Module):
    """Takes two inputs by keyword, one of them a mask, and gives an object with logits."""

    def __init__(self):
        super().__init__()
        self.recurrent, self.norm = torch.nn.GRU(3, 8, batch_first=True), torch.nn.LayerNorm(8)
        self.head = torch.nn.Linear(8, 4)

    def forward(self, x, mask):
        hidden = self.norm(self.recurrent(x)[0]) * mask[..., None]
        return SimpleNamespace(logits=self.head(hidden.mean(1)), hidden=hidden)


def test_a_network_with_several_inputs(tmp_path):
    torch.manual_seed(0)
    x = {"x": torch.randn(40, 5, 3), "mask": (torch.rand(40, 5) < 0.8).float()}
    pair = (x, torch.arange(40) % 4)
    data = SimpleNamespace(train=pair, validation=pair, test=pair)
    model = Two()
    assert estimate(model, QUICK, data) > 0
    small = compress(model, {**QUICK, "batch_size": 20}, data, progress=False)
    zeros = {name: int((p == 0).sum()) for name, p in small.model.named_parameters()}
    total = sum(m.value.numel() for m in mcomp.matrices(model).values())
    assert sum(zeros[name] for name in mcomp.matrices(model)) == total - kept_count(total, 0.9)
    assert zeros["norm.weight"] == 0
    small.save(tmp_path / "x")
    assert torch.equal(predict(mcomp.load(tmp_path / "x", model=Two()), x), predict(small.model, x))
    assert "dict of inputs" in recipe_for("deep-compression", model, data)[1][0]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (coloured_network(3), "the labels is '0 to 3'; allowed: 0 to 2, as the network has classes"),
        (torch.nn.Conv2d(3, 4, 3), r"what the network gives is \(2, 4, 6, 6\); allowed: logits"),
    ],
)
def test_what_cannot_be_trained_here(model, message):
    with pytest.raises(ValueError, match=message):
        compress(model, QUICK, coloured(), progress=False)


def test_a_layer_of_small_weights_is_not_emptied(capsys):
    """A head of small weights would go whole; `prune.least` keeps a fifth of its share, and says so."""
    torch.manual_seed(0)
    head = torch.nn.Linear(64, 4)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 64), torch.nn.ReLU(), head)
    recipe = {"prune": {"sparsity": 0.5, "epochs": 0}, "share": {"epochs": 0}}
    with torch.no_grad():
        head.weight.mul_(1e-3)
    small = compress(model, recipe, coloured())
    assert int((small.model[3].weight != 0).sum()) == 26  # a fifth of a half of 256, rounded up
    assert small.notes == ("prune.least: 10.00% of 3.weight stays; one threshold would leave less",)
    assert small.notes[0] in capsys.readouterr().out
    recipe["prune"]["least"] = 0.0
    assert not compress(model, recipe, coloured(), progress=False).model[3].weight.any()


def test_a_layer_may_vanish(data):
    """Everything is pruned: what is left are the biases."""
    small = compress(
        tiny(), {"prune": {"sparsity": 1.0, "epochs": 1}, "share": {"epochs": 1}}, data, progress=False
    )
    assert not any(w.any() for w in matrices(small.model).values())


def test_another_network_as_teacher(data):
    targets = predict(zoo.load("lenet300"), data.train[0])
    loss = teaching(tiny(), Recipe(teacher="lenet300", temperature=2.0), data)
    rows = torch.tensor([5, 3, 8])
    logits = torch.randn(3, 10)
    batch = SimpleNamespace(index=rows, y=data.train[1][rows])
    expected = kd_loss(logits, targets[rows], T=2.0)
    # the outputs were computed in other batches: float32 sums in another order
    assert torch.allclose(loss(logits, batch), expected, rtol=1e-4)
    own = teaching(zoo.load("lenet300"), Recipe(teacher="self", temperature=2.0), data)
    assert torch.allclose(own(logits, batch), expected, rtol=1e-4)


def test_the_table_says_how_much_smaller(result, data, tmp_path):
    path = tmp_path / "small.safetensors"
    size = result.save(path)
    small = SimpleNamespace(validation=[t[:200] for t in data.validation], test=[t[:200] for t in data.test])
    text = StringIO()
    Console(file=text, width=100).print(result.table(small, path))
    assert f"{size:,}" in text.getvalue()
    assert f"{float32_bytes(result.original) / size:.1f}" in text.getvalue()
    assert "small.safetensors" in text.getvalue()


def test_the_shipped_recipe_is_complete():
    """Every field is named in a file, so that a reader sees all there is to edit; the quick needs fewer."""
    shipped, quick = (
        yaml.safe_load(recipes()[name].read_text(encoding="utf-8"))
        for name in ("smallest", "deep-compression")
    )
    plain = load_recipe("smallest")
    shipped.pop("networks")
    assert shipped.keys() == vars(plain).keys()
    for stage in ("prune", "share"):
        assert shipped[stage].keys() == vars(getattr(plain, stage)).keys()
        assert quick.get(stage, {}).keys() <= shipped[stage].keys()
    assert load_recipe("smallest", "lenet5") != plain


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"spasity": 0.9}, "spasity.*teacher, teachers, temperature"),
        ({"prune": {"sparcity": 0.9}}, "sparcity.*sparsity, epochs"),
        ({"prune": {"sparsity": 1.2}}, "sparsity is 1.2"),
        ({"prune": {"sparsity": "high"}}, "sparsity is 'high'"),
        ({"prune": {"epochs": 2.5}}, "epochs is 2.5"),
        ({"share": {"values": 0}}, "values is 0"),
        ({"share": 4}, "share is 4"),
        ({"teacher": "nobody"}, "teacher is 'nobody'.*self, lenet300"),
        ({"temperature": 0}, "temperature is 0"),
        ({"teacher": ["resnet"]}, r"teacher is \['resnet'\]"),
        ({"seed": True}, "seed is True"),
        ({"batch_size": "256"}, "batch_size is '256'"),
        ({"share": {"lr": "fast"}}, "share.lr is 'fast'"),
        ({"share": None}, "recipe.share is None; allowed: a mapping with the keys values, bias_values"),
        ({3: 4}, "a key of recipe is 3; allowed: teacher, .*, networks"),
        (
            {"networks": ["lenet5"]},
            r"recipe.networks is \['lenet5'\]; allowed: a mapping with the keys lenet300",
        ),
        ({"networks": None}, "recipe.networks is None"),
        ({"networks": {"lenet5": 3}}, "for the network lenet5: what changes is 3; allowed: a mapping"),
        ({"networks": {"lenet5": {"prune": 3}}}, "for the network lenet5: recipe.prune is 3"),
        ({"networks": {"resnet": {"prune": {"epochs": -1}}}}, "for the network resnet: prune.epochs is -1"),
        ({"networks": {"resnet": {"networks": {}}}}, "for the network resnet: a key of recipe is 'networks'"),
        (5, "recipe is 5; allowed: a Recipe, a dict, a YAML file, or one of deep-compression"),
        ({"networks": {"lenet5": {"prun": {}}}}, "prun.*prune"),
        ({"networks": {"lenet6": {}}}, "lenet6.*lenet300"),
        ("no-such-recipe", "no-such-recipe.*deep-compression"),
    ],
)
def test_bad_recipes(recipe, message):
    with pytest.raises(ValueError, match=message):
        load_recipe(recipe, "lenet300")


@pytest.mark.parametrize("text", ["- a\n- list", "just words", "prune: [1, 2]", "a: b: c", ""])
def test_bad_files(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"recipe|prune|no YAML"):
        load_recipe(path)


def test_a_recipe_can_be_written_as_yaml_or_dict(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps(QUICK))  # JSON is YAML
    assert load_recipe(path) == load_recipe(QUICK)
    assert load_recipe(load_recipe(QUICK)) == load_recipe(QUICK)


def test_changes_for_a_network_go_level_by_level():
    source = {
        "temperature": 5,
        "prune": {"sparsity": 0.5, "epochs": 7},
        "networks": {
            "lenet5": {"prune": {"epochs": 1}, "share": {"values": 2}},
            "resnet": {"teacher": "lenet5"},
        },
    }
    kept = copy.deepcopy(source)
    assert load_recipe(source) == load_recipe(source, "lenet300")
    assert load_recipe(source) == Recipe(temperature=5, prune=Prune(sparsity=0.5, epochs=7))
    changed = Recipe(temperature=5, prune=Prune(sparsity=0.5, epochs=1), share=Share(values=2))
    assert load_recipe(source, "lenet5") == changed
    assert load_recipe(source, "resnet").teacher == "lenet5"
    assert source == kept


def test_yaml_numbers_without_a_dot_are_numbers(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("prune: {lr: 2e-3}\nshare: {lr: 1E-4}\n")
    assert load_recipe(path).prune.lr == 2e-3
    assert load_recipe(path).share.lr == 1e-4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Prune(sparsity=1.2), "prune.sparsity is 1.2; allowed: a finite number from 0.0 to 1.0"),
        (lambda: Prune(ramp=0), "prune.ramp is 0"),
        (lambda: Prune(spread=2), "prune.spread is 2"),
        (lambda: Share(values=5000), "share.values is 5000; allowed: an integer from 1 to 4096"),
        (lambda: Share(bias_values=0), "share.bias_values is 0"),
        (lambda: Share(settle=-1), "share.settle is -1"),
        (lambda: Recipe(prune={"sparsity": 0.9}), "prune is .*; allowed: a Prune; load_recipe makes one"),
        (lambda: Recipe(share=None), "share is None; allowed: a Share"),
    ],
)
def test_bad_values(make, message):
    with pytest.raises(ValueError, match=message):
        make()
