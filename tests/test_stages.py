"""What the stages of a recipe do: images moved, scores by slope, tidying, bfloat16."""

import copy
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import mcomp
from mcomp import zoo
from mcomp.codecs import bake
from mcomp.merge.ordering import mask_bytes
from mcomp.pipeline import compress, teachers
from mcomp.prune.masks import global_topk_masks, kept_count
from mcomp.recipes import Prune, Recipe, load_recipe
from mcomp.stages import can_halve, halved, start_pruning, tidied, with_moved
from mcomp.train import predict

SMALL = {
    "half": True,
    "seed": 1,
    "tidy": True,
    "moved": 1,
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


def test_each_copy_is_a_pixel_off(data):
    """Each is one of eight cut from the image with its edge twice; all directions come about as often."""
    x, y = data.train
    moved, labels = with_moved(data, 2, seed=3).train
    assert torch.equal(moved[:1_000], x)
    assert torch.equal(labels, torch.cat([y, y, y]))
    counts = dict.fromkeys(set(itertools.product((-1, 0, 1), repeat=2)) - {(0, 0)}, 0)
    for at, image in enumerate(moved[1_000:], 1_000):
        wide = np.pad(x[at % 1_000, 0].numpy(), 1, mode="edge")
        rolled = {step: np.roll(wide, step, axis=(0, 1))[1:-1, 1:-1] for step in counts}
        fits = [step for step, found in rolled.items() if (found == image[0].numpy()).all()]
        counts[fits[0]] += 1
    assert min(counts.values()) > 180  # of 2,000 in eight directions
    assert not torch.equal(moved[1_000:2_000], moved[2_000:])
    assert torch.equal(with_moved(data, 2, seed=3).train[0], moved)
    assert with_moved(data, 0) is data


@pytest.mark.parametrize("x", [torch.zeros(5, 784), (torch.zeros(5, 1, 2, 2), torch.zeros(5, 3))])
def test_only_images_are_moved(x):
    data = SimpleNamespace(train=(x, torch.zeros(5, dtype=torch.int64)))
    with pytest.raises(ValueError, match=r"moved is 2; allowed: 0, for inputs .*: no images"):
        with_moved(data, 2)
    with pytest.raises(ValueError, match="moved is -1"):
        with_moved(data, -1)


def test_moved_images_want_a_label_each(data):
    few = SimpleNamespace(train=(data.train[0][:5], data.train[1][:4]))
    with pytest.raises(ValueError, match=r"y.shape is \(4,\)"):
        with_moved(few, 1)


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
    assert [*result.history] == ["prune", "share"]
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
    model, recipe = zoo.build("lenet300", hidden=(6, 5)), load_recipe(SMALL)
    logits = predict(model, with_moved(data, 1, seed=1).train[0])
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
        ({"moved": -1}, "moved is -1"),
        ({"moved": 1.5}, "moved is 1.5"),
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
    assert (found.moved, found.half, found.tidy, found.teachers) == (0, False, False, 1)


def test_what_a_step_changes_is_seen_by_the_next(monkeypatch):
    """The cache of torch.autocast would multiply by the weights of the first step for ever."""
    monkeypatch.setattr("mcomp.stages.can_halve", lambda: True)
    layer, x = torch.nn.Linear(3, 2), torch.ones(1, 3)
    with halved():
        before = layer(x)
        layer.weight.data += 1.0
        layer.bias.data += 1.0
        assert torch.allclose(layer(x).float(), before.float() + 4.0, atol=0.1)
