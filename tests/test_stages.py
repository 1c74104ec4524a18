"""What the stages of a recipe do: scores by slope, a trunk, the rest on its outputs, tidying, bfloat16."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import mcomp
from mcomp import zoo
from mcomp.codecs import bake
from mcomp.merge.ordering import mask_bytes
from mcomp.pipeline import compress, teachers
from mcomp.prune.masks import global_topk_masks, kept_count
from mcomp.recipes import Prune, Recipe, Trunk, load_recipe
from mcomp.stages import can_halve, halved, on_features, parts, prune_trunk, start_pruning, tidied
from mcomp.train import fit, predict

SMALL = {
    "half": True,
    "tidy": True,
    "trunk": {"until": "flatten", "sparsity": 0.5, "epochs": 1},
    "prune": {"sparsity": 0.8, "epochs": 2, "steepness": 0.3},
    "share": {"values": 3, "bias_values": 3, "epochs": 1, "price": 0.02},
}


@pytest.fixture(scope="module")
def data():
    return mcomp.data.load(subset=1_000)


def convolutions(seed=0):
    torch.manual_seed(seed)
    return zoo.build("lenet5", channels=(4, 6), hidden=12)


def zeros(model):
    return {name: int((p == 0).sum()) for name, p in model.named_parameters()}


def test_two_parts_are_the_network(data):
    model, x = convolutions(), data.train[0][:5]
    head, rest = parts(model, "flatten")
    assert torch.equal(rest(head(x)), model(x))
    assert rest.fc1 is model.fc1


@pytest.mark.parametrize(
    ("model", "until"),
    [
        (nn.Sequential(nn.ReLU(), nn.ReLU()), "0"),
        (nn.Sequential(nn.ReLU(), nn.ReLU()), "2"),
        (nn.Linear(2, 2), "weight"),
    ],
)
def test_where_no_trunk_ends(model, until):
    with pytest.raises(ValueError, match=f"trunk.until is '{until}'; allowed: a layer of a Sequential"):
        parts(model, until)


def test_the_rest_learns_on_what_the_trunk_gives(data):
    model, before = convolutions(), copy.deepcopy(convolutions().state_dict())
    rest, given = on_features(model, data, "flatten")
    assert given.train[1] is data.train[1]
    torch.testing.assert_close(predict(rest, given.train[0]), predict(model, data.train[0]))
    fit(rest, given, epochs=1, progress=False)
    changed = {n for n, p in model.state_dict().items() if not torch.equal(p, before[n])}
    assert changed == {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"}


def test_a_trunk_is_pruned_and_nothing_else(data):
    model = convolutions()
    prune_trunk(model, Trunk("flatten", sparsity=0.7, epochs=1), data, progress=False)
    found, total = zeros(model), model.conv1.weight.numel() + model.conv2.weight.numel()
    assert total - found["conv1.weight"] - found["conv2.weight"] == kept_count(total, 0.7)
    assert found["fc1.weight"] == found["fc2.weight"] == 0


@pytest.mark.parametrize("steepness", [0.0, 0.3, 1.0])
def test_the_score_is_size_times_slope(steepness):
    """The optimiser's mean square gradient, to the power that the recipe says: by hand for one layer."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5))
    w, square = model[0].weight.detach().clone(), torch.rand(5, 6) + 0.1
    pruning = start_pruning(model, Prune(sparsity=0.5, least=0.0, steepness=steepness))
    original = pruning.originals["0.weight"]
    pruning.optimizer = SimpleNamespace(state={original: {"exp_avg_sq": square}})
    pruning.finish()
    expected = w.abs().double() * square.double().sqrt() ** steepness
    mask = global_topk_masks({"w": expected}, kept_count(30, 0.5))["w"]
    assert torch.equal(bake(model)[0].weight, w * mask)


def test_without_a_step_the_score_is_the_size():
    model = nn.Sequential(nn.Linear(6, 5))
    w = model[0].weight.detach().clone()
    start_pruning(model, Prune(sparsity=0.5, least=0.0, steepness=0.3)).finish()
    assert torch.equal(bake(model)[0].weight, w * global_topk_masks({"w": w.abs()}, 15)["w"])


def test_tidied_is_the_same_function_in_no_more_bytes(data):
    model = convolutions()
    with torch.no_grad():
        for p in model.parameters():
            p *= torch.rand_like(p) < 0.15
        model.fc2.weight[:, 3] = 0
        model.fc1.weight[3, 0] = 1.0  # a dead end
    small, x = tidied(model, data), data.train[0][:50]
    torch.testing.assert_close(small(x), model(x))
    assert sum(zeros(small).values()) > sum(zeros(model).values())
    assert sum(mask_bytes(small).values()) <= sum(mask_bytes(model).values())


def test_half_where_the_processor_can_and_only_meanwhile():
    layer, x = nn.Linear(3, 2), torch.ones(1, 3)
    with halved(active=True):
        y = layer(x)
    expected = torch.bfloat16 if can_halve() else torch.float32
    assert y.dtype == expected
    with halved(active=False):
        assert layer(x).dtype == torch.float32
    assert layer(x).dtype == layer.weight.dtype == torch.float32


def test_the_whole_recipe(data, tmp_path):
    model, before = convolutions(), copy.deepcopy(convolutions().state_dict())
    result = compress(model, SMALL, data, progress=False)
    assert [*result.history] == ["trunk", "prune", "share"]
    size = result.save(tmp_path / "small.safetensors")
    assert size == (tmp_path / "small.safetensors").stat().st_size
    x, again = data.test[0][:50], mcomp.load(tmp_path / "small.safetensors")
    assert torch.equal(predict(again, x), predict(result.model, x))
    for name, w in result.model.named_parameters():
        assert len(w[w != 0].unique()) <= 3, name
    assert all(torch.equal(p, before[name]) for name, p in model.state_dict().items())


def test_several_teachers_are_seeds_of_one_network():
    model = zoo.build("lenet300")
    found = teachers(model, load_recipe({"teacher": "lenet300", "teachers": 2}))
    assert len(found) == 2
    for seed, teacher in enumerate(found):
        assert torch.equal(teacher.fc1.bias, zoo.load("lenet300", seed).fc1.bias)
    assert teachers(model, load_recipe({})) == [model]


def test_answers_known_already_are_what_the_teachers_say(data, tmp_path):
    """The same file, byte for byte: nothing else went into it."""
    model, recipe = zoo.build("lenet300", hidden=(6, 5)), load_recipe(SMALL | {"trunk": {}})
    logits = predict(model, data.train[0])
    files = []
    for answers in (None, logits):
        result = compress(model, recipe, data, answers=answers, progress=False)
        result.save(tmp_path / "small.safetensors")
        files.append((tmp_path / "small.safetensors").read_bytes())
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"teacher": "resnet", "teachers": 4}, "teachers is 4; allowed: .*3"),
        ({"teachers": 2}, "teachers is 2; allowed: .*1"),
        ({"half": "yes"}, "half is 'yes'; allowed: true or false"),
        ({"tidy": 1}, "tidy is 1; allowed: true or false"),
        ({"trunk": {"until": 3}}, "trunk.until is 3"),
        ({"trunk": {"sparsity": 2}}, "trunk.sparsity is 2"),
        ({"prune": {"steepness": -1}}, "prune.steepness is -1"),
        ({"share": {"price": -1}}, "share.price is -1"),
    ],
)
def test_bad_recipes(recipe, message):
    with pytest.raises(ValueError, match=message):
        load_recipe(recipe)


def test_a_recipe_alone_changes_nothing():
    assert Recipe() == load_recipe({})
    found = Recipe()
    assert (found.trunk.until, found.half, found.tidy, found.teachers) == ("", False, False, 1)


def test_what_a_step_changes_is_seen_by_the_next(monkeypatch):
    """The cache of torch.autocast would multiply by the weights of the first step for ever."""
    monkeypatch.setattr("mcomp.stages.can_halve", lambda: True)
    layer, x = torch.nn.Linear(3, 2), torch.ones(1, 3)
    with halved():
        before = layer(x)
        layer.weight.data += 1.0
        layer.bias.data += 1.0
        assert torch.allclose(layer(x).float(), before.float() + 4.0, atol=0.1)
