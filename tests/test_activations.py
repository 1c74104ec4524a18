import copy
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mcomp import load, save, zoo
from mcomp.codecs import Sparse, Uniform, attach, bake
from mcomp.codecs.activations import ActivationGrid, activations, calibrate
from mcomp.quantize.observers import LeastSquares
from mcomp.structure import fold_batchnorm

quick = settings(derandomize=True, deadline=None, max_examples=12)
IMAGES = torch.rand(40, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 4 - 1


def test_all_inputs_of_layers_that_multiply(tmp_path):
    model = fold_batchnorm(zoo.load("resnet"))
    plain, names = copy.deepcopy(model), [*model.state_dict()]
    made = attach(model, {"*.weight": Uniform(8, axis=0), "*.input": Uniform(8, symmetric=False)})
    inputs = [name for name in made if name.endswith(".input")]
    layers = [n for n, m in plain.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert inputs == [f"{name}.input" for name in layers]
    assert list(activations(model)) == inputs
    calibrate(model, IMAGES)
    with torch.no_grad():
        float_out, rounded = plain(IMAGES), model(IMAGES)
    assert not torch.equal(float_out, rounded)
    assert (float_out - rounded).abs().max() < 0.05 * float_out.abs().max()  # eight bits
    copied = bake(copy.deepcopy(model))
    assert [*copied.state_dict()] == names
    assert not activations(copied)
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in copied.modules())
    with torch.no_grad():
        assert torch.equal(model(IMAGES), rounded)  # the copy shares nothing
    assert torch.equal(copied.fc.weight, model.fc.weight)


@quick
@given(bits=st.integers(2, 8), symmetric=st.booleans(), low=st.floats(-3, 0.5), span=st.floats(0.1, 9))
def test_forward_and_gradient_are_those_of_torch(bits, symmetric, low, span):
    model = nn.Sequential(nn.Identity())
    attach(model, {"0.output": Uniform(bits, symmetric=symmetric)})
    calibrate(model, torch.tensor([[low, low + span]]))
    grid = activations(model)["0.output"].grid()
    x = torch.linspace(low - 2, low + span + 2, 333, requires_grad=True)
    theirs = x.detach().clone().requires_grad_()
    model(x).sum().backward()
    y = torch.fake_quantize_per_tensor_affine(
        theirs, float(grid.scale), int(grid.zero_point), grid.qmin, grid.qmax
    )
    y.sum().backward()
    assert torch.equal(model(x), y)
    # torch lets half a step more pass at either end: it asks whether the rounded integer was inside
    step = float(grid.scale)
    edge = [(q - int(grid.zero_point)) * step for q in (grid.qmin, grid.qmax)]
    away = ((x - edge[0]).abs() > 0.51 * step) & ((x - edge[1]).abs() > 0.51 * step)
    assert torch.equal(x.grad[away], theirs.grad[away])


def test_an_output_of_a_function_and_of_a_block():
    model = zoo.load("lenet300")
    made = attach(
        model, {"relu1.output": Uniform(4, symmetric=False), "fc3.input": Uniform(4, symmetric=False)}
    )
    assert list(made) == ["relu1.output", "fc3.input"]
    calibrate(model, IMAGES)
    seen = {}
    for name in ("fc2", "fc3"):
        model.get_submodule(name).register_forward_pre_hook(lambda m, a, name=name: seen.update({name: a[0]}))
    with torch.no_grad():
        model(IMAGES)
    for x in seen.values():
        assert len(x.unique()) <= 16
        assert (x >= 0).all()


def test_observers_see_float_activations_and_can_be_chosen():
    model = zoo.load("lenet300")
    attach(
        model,
        {"relu2.output": Uniform(3, symmetric=False)},
        activation=lambda codec: ActivationGrid(codec, LeastSquares(codec.bits)),
    )
    with torch.no_grad():
        float_out = bake(copy.deepcopy(model))(IMAGES)
    quantizer = activations(model)["relu2.output"]
    quantizer.observing = True
    with torch.no_grad():
        assert torch.equal(model(IMAGES), float_out)
    assert isinstance(quantizer.observer, LeastSquares)
    assert quantizer.observer.counts.sum() == 40 * 100


def test_calibrating_twice_and_in_other_batches_gives_the_same_grid():
    grids = []
    for size in (7, 40):
        model = zoo.load("lenet5")
        attach(model, {"*.input": Uniform(8, symmetric=False)})
        calibrate(model, IMAGES, batch_size=size)
        grids.append([float(a.scale) for a in activations(model).values()])
        assert not model.training
    # a product of other shape adds up in another order
    torch.testing.assert_close(torch.tensor(grids[0]), torch.tensor(grids[1]), rtol=1e-5, atol=0)


def test_training_goes_through_it():
    model = zoo.load("lenet300")
    attach(model, {"*.weight": Uniform(4, axis=0), "*.input": Uniform(4, symmetric=False)})
    calibrate(model, IMAGES)
    model.train()
    model(IMAGES).logsumexp(1).sum().backward()
    original = model.fc1.parametrizations.weight.original
    assert original.grad.abs().sum() > 0


def test_what_is_loaded_predicts_what_was_saved(tmp_path):
    model = zoo.load("lenet300")
    rules = {"*.weight": Uniform(4, axis=0), "*.input": Uniform(8, symmetric=False)}
    attach(model, rules)
    calibrate(model, IMAGES)
    shell = zoo.build("lenet300")
    attach(shell, {"*.input": Uniform(8, symmetric=False)})
    size = save(model, tmp_path / "small")
    assert size == os.path.getsize(tmp_path / "small")
    loaded = load(tmp_path / "small", model=shell)
    with torch.no_grad():
        assert torch.equal(loaded(IMAGES), model(IMAGES))


def test_bad_rules_leave_the_model_alone():
    model = zoo.load("lenet5")
    good = Uniform(8, symmetric=False)
    for rules in (
        {"nowhere.input": good},
        {"pool1.input": good},
        {"*.weight": Uniform(4), "*.input": Sparse(0.5)},
        {"*.weight": Uniform(4), "fc1.output": Uniform(8, axis=0)},
        {"*.weight": Uniform(4), "fc1.output": Uniform(8, group=4)},
    ):
        with pytest.raises(ValueError, match="allowed: "):
            attach(model, rules)
        assert not activations(model)
        assert not hasattr(model.fc1, "parametrizations")
    attach(model, {"fc1.input": good})
    with pytest.raises(ValueError, match="a free place"):
        attach(model, {"fc1.input": good})
    with pytest.raises(ValueError, match="calibrate"):
        model(IMAGES)
    with pytest.raises(ValueError, match="a row for each example"):
        calibrate(model, IMAGES[:0])
    with pytest.raises(ValueError, match=r"attach\(model"):
        calibrate(bake(model), IMAGES)
