"""What a network and its data give the scores: against autograd's loops and whole Hessians, in float64."""

import copy

import pytest
import torch
from torch.nn import functional as F

from mcomp import prune, sparse_training
from mcomp.sparse_training import probe
from mcomp.train import fit, one_cycle


class Data:
    def __init__(self, x, y):
        self.train = (x, y)


def dense():
    layers = (
        torch.nn.Linear(4, 5),
        torch.nn.ReLU(),
        torch.nn.Linear(5, 4),
        torch.nn.ReLU(),
        torch.nn.Linear(4, 3),
    )
    return torch.nn.Sequential(*layers)


def convolutional():
    """Strides, padding, groups, batch norm, pooling, and dropout, which evaluation mode switches off."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(4, 4, 2, stride=2, groups=2), torch.nn.Flatten(), torch.nn.Dropout(0.5),
        torch.nn.Linear(4, 3),
    )  # fmt: skip


@pytest.fixture(params=["dense", "convolutional"])
def network(request):
    torch.manual_seed(2)
    model = {"dense": dense, "convolutional": convolutional}[request.param]().double()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(), module.running_var.uniform_(0.5, 2)
    x = torch.randn(7, *((4,) if request.param == "dense" else (2, 4, 4)), dtype=torch.float64)
    model.train()
    return model, x, torch.arange(7) % 3


def mean_loss(model, x, y, changed):
    return F.cross_entropy(torch.func.functional_call(model, changed, (x,)), y)


CALLS = [
    lambda model, x, y: probe.gradients(model, (x, y)),
    lambda model, x, y: probe.fisher_diagonal(model, (x, y)),
    lambda model, x, y: probe.hessian_diagonal(model, x),
    lambda model, x, y: probe.input_rms(model, x),
    lambda model, x, y: probe.outputs(model, x, names=["2"]),
]


@pytest.mark.parametrize("call", CALLS)
def test_the_model_is_left_as_it_was(network, call):
    model, x, y = network
    model[-1].bias.grad = torch.ones(3, dtype=torch.float64)
    before = copy.deepcopy(model.state_dict())
    call(model, x, y)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert all(p.grad is None for name, p in model.named_parameters() if p is not model[-1].bias)
    assert torch.equal(model[-1].bias.grad, torch.ones(3, dtype=torch.float64))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_results_dont_depend_on_the_batches(network, batch_size):
    model, x, y = network
    for call in (probe.gradients, probe.fisher_diagonal):
        whole, parts = call(model, (x, y)), call(model, (x, y), batch_size=batch_size)
        assert list(whole) == list(sparse_training.prunable_weights(model))
        # sums of seven terms in float64, grouped differently
        assert all(torch.allclose(whole[n], parts[n], rtol=1e-10, atol=1e-14) for n in whole)
    for call in (probe.hessian_diagonal, probe.input_rms):
        whole, parts = call(model, x), call(model, x, batch_size=batch_size)
        assert all(torch.allclose(whole[n], parts[n], rtol=1e-10, atol=1e-14) for n in whole)


def test_gradients_are_those_of_backward(network):
    model, x, y = network
    found = probe.gradients(model, (x, y), batch_size=2)
    model.eval()
    F.cross_entropy(model(x), y).backward()
    for name, g in found.items():
        # the same sums in another order
        assert torch.allclose(g, model.get_parameter(name).grad, rtol=1e-10, atol=1e-14)


def test_fisher_is_the_loop_over_examples(network):
    model, x, y = network
    found = probe.fisher_diagonal(model, (x, y))
    model.eval()
    expected = dict.fromkeys(found, 0)
    for i in range(len(x)):
        model.zero_grad()
        F.cross_entropy(model(x[i : i + 1]), y[i : i + 1]).backward()
        for name in found:
            expected[name] = expected[name] + model.get_parameter(name).grad ** 2 / len(x)
    assert all(torch.allclose(found[n], expected[n], rtol=1e-10, atol=1e-16) for n in found)


def test_hessian_diagonal_is_autograds(network):
    """The diagonal of each layer's whole Hessian by autograd, in networks of ReLU, max and linear layers."""
    model, x, y = network
    found = probe.hessian_diagonal(model, x)
    model.eval()
    for name, w in sparse_training.prunable_weights(model).items():

        def loss(flat, name=name, shape=w.shape):
            return mean_loss(model, x, y, {name: flat.reshape(shape)})

        whole = torch.autograd.functional.hessian(loss, w.flatten())
        # second derivatives by two backward passes, in float64
        assert torch.allclose(found[name].flatten(), whole.diagonal(), rtol=1e-8, atol=1e-14)
        assert (found[name] >= 0).all()


def test_with_tanh_it_is_gauss_newton_and_not_the_hessian():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 3)).double()
    x, y = torch.randn(6, 3, dtype=torch.float64), torch.arange(6) % 3
    w = model[0].weight.detach()

    def outputs(flat):
        return torch.func.functional_call(model, {"0.weight": flat.reshape(w.shape)}, (x,))

    jacobian = torch.func.jacrev(outputs)(w.flatten())  # (6, 3, 12)
    p = model(x).softmax(1).detach()
    middle = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    expected = torch.einsum("nci,ncd,ndi->i", jacobian, middle, jacobian) / 6
    found = probe.hessian_diagonal(model, x)["0.weight"].flatten()
    assert torch.allclose(found, expected, rtol=1e-10)
    whole = torch.func.hessian(lambda flat: F.cross_entropy(outputs(flat), y))(w.flatten()).diagonal()
    assert not torch.allclose(found, whole, rtol=0.01)


def test_obd_predicts_the_loss_of_a_softmax_regression():
    """One weight of a linear model at its minimum: what OBD says against what the loss does."""
    torch.manual_seed(0)
    x = torch.randn(60, 3, dtype=torch.float64)
    y = (x @ torch.randn(3, 3, dtype=torch.float64) + torch.randn(60, 3, dtype=torch.float64)).argmax(1)
    model = torch.nn.Linear(3, 3).double()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=200, tolerance_grad=1e-12)

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    optimizer.step(closure)
    w = model.weight.detach()
    predicted = prune.obd(w, probe.hessian_diagonal(model, x)["weight"]).flatten()
    base, i = closure().item(), int(predicted.argmin())
    with torch.no_grad():
        w.view(-1)[i] = 0
    # the third order: a relative error of the order of the weight
    assert closure().item() - base == pytest.approx(float(predicted[i]), rel=0.2)


def test_input_rms_of_linear_layers_and_of_patches(network):
    model, x, _ = network
    found = probe.input_rms(model, x, batch_size=3)
    model.eval()
    for index, layer in enumerate(model):
        if isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d)):
            inputs = model[:index](x).detach()
            patches = inputs
            if isinstance(layer, torch.nn.Conv2d):
                cut = F.unfold(inputs, layer.kernel_size, padding=layer.padding, stride=layer.stride)
                patches = cut.transpose(1, 2).flatten(0, 1)  # (rows and positions, in·kh·kw)
            expected = patches.square().mean(0).sqrt()
            if getattr(layer, "groups", 1) == 2:  # outputs 0, 1 see inputs 0, 1; outputs 2, 3 inputs 2, 3
                expected = expected.reshape(2, 1, 2, 2, 2).expand(2, 2, 2, 2, 2).reshape(layer.weight.shape)
            else:
                expected = expected.reshape(layer.weight.shape[1:])
            assert torch.allclose(found[f"{index}.weight"], expected, rtol=1e-12)
            prune.wanda(layer.weight.detach(), found[f"{index}.weight"])


def test_a_layer_that_is_called_twice_counts_twice():
    layer = torch.nn.Linear(2, 2, bias=False).double()
    model, x = torch.nn.Sequential(layer, layer), torch.randn(5, 2, dtype=torch.float64)
    both = torch.cat([x, layer(x).detach()])
    assert torch.allclose(probe.input_rms(model, x)["0.weight"], both.square().mean(0).sqrt(), rtol=1e-12)
    assert torch.allclose(probe.layer_hessians(model, x)["0.weight"], both.T @ both / 10, rtol=1e-12)


@pytest.mark.parametrize("make", [dense, lambda: torch.nn.Sequential(torch.nn.Conv2d(2, 3, 2, padding=1))])
def test_layer_hessians_give_the_change_of_the_outputs(make):
    """½·mean‖(W - V)x‖² = ½·Σ δᵀHδ, whatever the change is."""
    torch.manual_seed(0)
    model = make().double()
    x = torch.randn(9, *((4,) if len(model) > 1 else (2, 3, 3)), dtype=torch.float64)
    found = probe.layer_hessians(model, x, batch_size=4)["0.weight"]
    layer = copy.deepcopy(model[0])
    delta = torch.randn_like(layer.weight)
    before = layer(x)
    with torch.no_grad():
        layer.weight += delta
    moved = (layer(x) - before).detach().movedim(1, -1).flatten(0, -2)  # (rows and positions, out)
    rows = delta.flatten(1)
    # the same double sum in another order
    assert float((rows @ found * rows).sum()) == pytest.approx(float(moved.square().sum(1).mean()), rel=1e-10)


def test_a_layer_hessian_is_a_block_of_autograds():
    """Half the mean squared error of a linear layer's outputs: one block for each output, all alike."""
    x = torch.randn(9, 4, dtype=torch.float64)
    layer = torch.nn.Linear(4, 3).double()
    whole = torch.autograd.functional.hessian(
        lambda w: F.linear(x, w.reshape(3, 4)).square().sum(1).mean() / 2,
        torch.zeros(12, dtype=torch.float64),
    )
    found = probe.layer_hessians(layer, x)["weight"]
    assert torch.allclose(whole, torch.block_diag(found, found, found), atol=1e-12)


def test_outputs_are_those_of_the_layers(network):
    model, x, _ = network
    found = probe.outputs(model, x, names=["2", "0"], batch_size=3)
    model.eval()
    assert list(found) == ["2", "0"]
    # a batch of 3 and one of 7 may add up in another order
    assert torch.allclose(found["0"], model[0](x), rtol=1e-12, atol=1e-14)
    assert torch.allclose(found["2"], model[:3](x), rtol=1e-12, atol=1e-14)


def test_movement_adds_up_weight_times_gradient():
    torch.manual_seed(0)
    x, y = torch.randn(8, 4), torch.arange(8) % 3
    model, watch = dense(), probe.Movement()
    twin = copy.deepcopy(model)
    fit(model, Data(x, y), epochs=3, lr=0.01, batch_size=8, callbacks=[watch], progress=False)
    expected = dict.fromkeys(watch.scores, 0)
    optimizer = torch.optim.AdamW(twin.parameters(), lr=0.01, weight_decay=0.0)
    for step in range(3):
        optimizer.param_groups[0]["lr"] = 0.01 * one_cycle(step, 3)
        optimizer.zero_grad()
        F.cross_entropy(twin(x), y).backward()
        for name in expected:
            w = twin.get_parameter(name)
            expected[name] = expected[name] - w.detach() * w.grad
        optimizer.step()
    assert list(watch.scores) == ["0.weight", "2.weight", "4.weight"]
    # float32; the order of the images differs, and so the order of the sums
    assert all(torch.allclose(watch.scores[n], expected[n], atol=1e-5) for n in expected)
    assert (watch.scores["0.weight"] < 0).any()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m, x, y: probe.gradients(m, (x[:0], y[:0])), "0 rows of x"),
        (lambda m, x, y: probe.gradients(m, (x, y[:2])), "7 rows of x, 2 of y"),
        (lambda m, x, y: probe.gradients(m, (x, y), batch_size=0), "batch_size is 0"),
        (lambda m, x, y: probe.gradients(torch.nn.ReLU(), (x, y)), "at least one weight"),
        (lambda m, x, y: probe.fisher_diagonal(m, (x, y[:2])), "2 of y"),
        (lambda m, x, y: probe.hessian_diagonal(m, x[:0]), "0 rows"),
        (lambda m, x, y: probe.input_rms(m, x[:0]), "0 rows"),
        (lambda m, x, y: probe.outputs(m, x, names=["9"]), "name is '9'; allowed: one of 0, 1"),
        (
            lambda m, x, y: probe.layer_hessians(
                torch.nn.Sequential(torch.nn.Conv2d(2, 2, 1, groups=2)), torch.randn(2, 2, 3, 3)
            ),
            "the layer 0 is Conv2d",
        ),
    ],
)
def test_bad_input(network, call, said):
    model, x, y = network
    with pytest.raises(ValueError, match=said):
        call(model, x, y)
