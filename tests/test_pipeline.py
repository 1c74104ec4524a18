"""The recipe and what it does to a network: exact sparsity, few shared values, a file that says the same."""

import copy
import json

import pytest
import torch
import yaml

import mcomp
import mcomp.data
from mcomp import zoo
from mcomp.attach import attach, attached
from mcomp.codecs import Sparse
from mcomp.measure import float32_bytes
from mcomp.pipeline import GradualPruning, Prune, compress, estimate
from mcomp.prune import global_topk_masks, kept_count
from mcomp.recipes import Recipe, load_recipe, recipes
from mcomp.train import predict

QUICK = {"prune": {"sparsity": 0.9, "epochs": 2}, "share": {"values": 4, "bias_values": 8, "epochs": 1}}


@pytest.fixture(scope="module")
def data():
    return mcomp.data.load(subset=2_000)


@pytest.fixture(scope="module")
def result(data):
    return compress(zoo.load("lenet300"), QUICK, data, progress=False)


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
    sizes = []
    for name in "ab":
        small = compress(zoo.load("lenet300"), QUICK, data, progress=False)
        small.save(tmp_path / name)
        sizes.append((tmp_path / name).read_bytes())
    assert sizes[0] == sizes[1]


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


def test_the_shipped_recipe_is_complete():
    """Every field is named in the file, so that a reader sees all there is to edit."""
    shipped = yaml.safe_load(recipes()["deep-compression"].read_text(encoding="utf-8"))
    shipped.pop("networks")
    plain = load_recipe("deep-compression")
    assert shipped.keys() == vars(plain).keys()
    assert shipped["prune"].keys() == vars(plain.prune).keys()
    assert shipped["share"].keys() == vars(plain.share).keys()
    assert load_recipe("deep-compression", "lenet5") != plain


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"spasity": 0.9}, "spasity.*teacher, temperature"),
        ({"prune": {"sparcity": 0.9}}, "sparcity.*sparsity, epochs"),
        ({"prune": {"sparsity": 1.2}}, "sparsity is 1.2"),
        ({"prune": {"sparsity": "high"}}, "sparsity is 'high'"),
        ({"prune": {"epochs": 2.5}}, "epochs is 2.5"),
        ({"share": {"values": 0}}, "values is 0"),
        ({"share": 4}, "share is 4"),
        ({"teacher": "nobody"}, "teacher is 'nobody'.*self, lenet300"),
        ({"temperature": 0}, "temperature is 0"),
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
