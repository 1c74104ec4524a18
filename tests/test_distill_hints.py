"""Layers followed by name: the steps of a loop written out here, two stages, and what is refused."""

import contextlib
import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mcomp import distill, train
from mcomp.distill.noise import refusing_noise
from mcomp.watch import listening

OPTIONS = {"epochs": 3, "lr": 0.01, "batch_size": 16, "progress": False}


def network(seed, hidden):
    torch.manual_seed(seed)
    parts = {"fc1": nn.Linear(4, hidden), "relu1": nn.ReLU(), "drop": nn.Dropout(0.5)}
    model = nn.Sequential()
    for name, layer in {**parts, "fc2": nn.Linear(hidden, 3)}.items():
        model.add_module(name, layer)
    return model


@pytest.fixture
def data():
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    return SimpleNamespace(train=(x, x[:, :3].argmax(1)))


def between(seed=9):
    torch.manual_seed(seed)
    return distill.regressor((1, 5), (1, 8))


def same(a, b):
    return all(
        torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


class Loop(nn.Module):
    """The student with its regressor, whose forward pass gives logits and features."""

    def __init__(self, student, regressor):
        super().__init__()
        self.student, self.regressor = student, regressor

    def forward(self, x):
        self.hint = F.relu(self.student.fc1(x))
        return self.student.fc2(self.student.drop(self.hint))


def test_it_is_a_loop_that_adds_half_the_squared_distance(data):
    teacher, ours, theirs = network(0, 8).train(), network(1, 5), network(1, 5)
    regressor = between()
    loop = Loop(theirs, copy.deepcopy(regressor))
    before = copy.deepcopy(teacher)

    def loss(logits, batch):
        with torch.no_grad():
            hint = F.relu(teacher.fc1(batch.x))
            answers = F.softmax(teacher.fc2(hint) / 2, 1)  # no dropout: evaluation mode
        soft = 4 * F.kl_div(F.log_softmax(logits / 2, 1), answers, reduction="batchmean")
        return soft + 0.3 * (loop.regressor(loop.hint) - hint).square().sum() / 2 / len(hint)

    match = distill.Match("relu1", "relu1", weight=0.3, regressor=regressor)
    distill.fit(ours, teacher, data, T=2.0, matches=[match], **OPTIONS)
    train.fit(loop, data, loss=loss, **OPTIONS)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)  # float32, twelve steps of Adam
    for a, b in zip(regressor.parameters(), loop.regressor.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    assert same(teacher, before)
    assert teacher.training


def test_features_kept_before_and_asked_for_in_each_step_agree(data):
    teacher, students = network(0, 8), [network(1, 8) for _ in range(3)]
    matches = [distill.Match("relu1", "relu1", distill.distance_loss)]
    told = distill.features_of(teacher, data.train[0], ["relu1"])
    loss = lambda logits, batch: F.cross_entropy(logits, batch.y)  # noqa: E731
    for student, source, augment in (
        (students[0], teacher, None),
        (students[1], told, None),
        (students[2], teacher, lambda x, generator: x),
    ):
        wrapped, followed = distill.following(student, source, data, matches, loss=loss, augment=augment)
        train.fit(wrapped, data, loss=followed, augment=augment, **OPTIONS)
    assert same(students[0], students[1])
    for a, b in zip(students[0].parameters(), students[2].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)  # products of other batches round otherwise


def test_the_first_stage_moves_what_lies_before_the_hint_and_nothing_behind(data):
    teacher, student, regressor = network(0, 8), network(1, 5), between()
    before, first = copy.deepcopy(student), copy.deepcopy(regressor)
    history = distill.hint_fit(
        student, teacher, data, [distill.Match("relu1", "relu1", regressor=regressor)], **OPTIONS
    )
    assert same(student.fc2, before.fc2)
    assert not same(student.fc1, before.fc1)
    assert not same(regressor, first)
    assert history[-1]["loss"] < history[0]["loss"]


def test_features_are_those_of_evaluation_mode(data):
    model = network(0, 8).train()
    found = distill.features_of(model, data.train[0], ["fc2", "drop"])
    torch.testing.assert_close(found["drop"], F.relu(model.fc1(data.train[0])))
    assert model.training
    assert not found["fc2"].requires_grad


@pytest.mark.parametrize(
    ("student", "teacher", "kernel"),
    [((1, 8, 9, 7), (1, 20, 5, 7), (5, 1)), ((1, 16, 7, 7), (1, 32, 7, 7), (1, 1)), ((1, 5), (1, 8), None)],
)
def test_a_regressor_gives_the_teachers_shape_and_no_negative_number(student, teacher, kernel):
    made = distill.regressor(student, teacher)
    y = made(torch.randn(4, *student[1:]))
    assert y.shape[1:] == teacher[1:]
    assert y.min() >= 0
    if kernel:
        assert made[0].kernel_size == kernel


@pytest.mark.parametrize(
    ("a", "b"), [((1, 4), (1, 4, 2, 2)), ((1, 2, 3, 3), (1, 2, 4, 4)), ((1, 2, 3), (1, 2, 3))]
)
def test_a_regressor_that_cannot_be_is_refused(a, b):
    with pytest.raises(ValueError, match="allowed: "):
        distill.regressor(a, b)


M = distill.Match


@pytest.mark.parametrize(
    ("matches", "message"),
    [
        ([M("drop", "relu1")], "the student's layer drop"),
        ([M("relu1", "drop")], "the teacher's layer drop"),
        ([M("relu2", "relu1")], "'relu2'"),
        ([M("relu1", "")], "the teacher's layer"),
        ([M("relu1", "relu1", weight=-1.0)], "weight"),
        ([M("relu1", "relu1")], "relu1 of the student, relu1 of the teacher"),  # 5 and 8 features
        (["relu1"], "matches"),
    ],
)
def test_bad_matches_are_named(data, matches, message):
    with pytest.raises(ValueError, match=message):
        distill.fit(network(1, 5), network(0, 8), data, matches=matches, **OPTIONS)


@pytest.mark.parametrize("teacher", [torch.zeros(64, 3), [network(0, 8), network(2, 8)]])
def test_a_teacher_without_layers_is_refused(data, teacher):
    with pytest.raises(ValueError, match="whose layers have names"):
        distill.fit(network(1, 5), teacher, data, matches=[M("relu1", "relu1")], **OPTIONS)


def test_kept_features_that_do_not_fit_are_refused(data):
    for told in ({}, {"relu1": torch.zeros(5, 5)}):
        with pytest.raises(ValueError, match="features of 64 images"):
            distill.following(network(1, 5), told, data, [M("relu1", "relu1")])


def test_a_layer_called_twice_or_never_is_refused():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.twice, self.never = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return self.twice(self.twice(x))

    data = SimpleNamespace(train=(torch.randn(8, 4), torch.zeros(8, dtype=torch.int64)))
    for name, message in (("twice", "called again"), ("never", "it doesn't")):
        with pytest.raises(ValueError, match=message):
            distill.hint_fit(Odd(), nn.Sequential(nn.Linear(4, 4)), data, [M(name, "0")], **OPTIONS)


def test_listening_hears_training_mode_and_leaves_no_hook():
    model = network(0, 8).train()
    with listening(model, ["drop"]) as heard:
        y = model(torch.ones(100, 4))
    assert float((heard["drop"] == 0).float().mean()) > 0.2
    y.sum().backward()
    assert model.fc1.weight.grad is not None
    assert not any(layer._forward_hooks for layer in model.modules())
    with pytest.raises(ValueError, match="allowed: "), listening(model, ["fc9"]):
        pass


class Block(nn.Module):
    """Odd places to listen at: a block that ends in a dropout, and a dropout flattened."""

    def __init__(self, last):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.block = nn.Sequential(nn.ReLU(), last)
        self.flat, self.out = nn.Flatten(), nn.Linear(4, 3)

    def forward(self, x):
        return self.out(self.flat(self.block(self.fc(x))))


@pytest.mark.parametrize("layer", ["block", "flat"])
def test_a_dropouts_output_under_another_name_is_refused(data, layer):
    with pytest.raises(ValueError, match=rf"the layer {layer} is 'the Dropout block.1'"):
        distill.hint_fit(Block(nn.Dropout(0.3)), network(0, 4), data, [M(layer, "relu1")], **OPTIONS)
    for harmless in (nn.Dropout(0.0), nn.Identity()):
        assert distill.hint_fit(Block(harmless), network(0, 4), data, [M(layer, "relu1")], **OPTIONS)
    assert distill.hint_fit(Block(nn.Dropout(0.3)), network(0, 4), data, [M("fc", "relu1")], **OPTIONS)


def test_refusing_noise_leaves_no_hook_and_is_quiet_in_evaluation():
    model = Block(nn.Dropout(0.3))
    for mode in (True, False):
        model.train(mode)
        with contextlib.suppress(ValueError), refusing_noise(model, ["block"]):
            model(torch.ones(2, 4))
            assert not mode
    assert not any(layer._forward_hooks for layer in model.modules())


def test_an_in_place_layer_behind_does_not_change_what_is_heard():
    student = nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 3))
    x = torch.randn(8, 4)
    for names in (["0"], ["0", "1"]):
        with listening(student, names) as heard:
            student(x)
        assert torch.equal(heard["0"], student[0](x))
        assert torch.equal(heard["0"], distill.features_of(student, x, ["0"])["0"])


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.relu = nn.Linear(4, 4), nn.ReLU()

    def forward(self, x):
        return self.relu(self.fc(self.relu(self.fc(x))))


def test_a_layer_that_the_teacher_calls_twice_is_refused(data):
    with pytest.raises(ValueError, match="the rows of the layer relu is 128; allowed: 64"):
        distill.following(network(1, 4), Twice(), data, [M("relu1", "relu")])


def test_a_frozen_layer_without_regressor_is_refused_by_name(data):
    student = network(1, 5)
    student.fc1.requires_grad_(False)
    with pytest.raises(ValueError, match=r"relu1 of the student.*frozen"):
        distill.hint_fit(student, network(0, 5), data, [M("relu1", "relu1")], **OPTIONS)
    match = M("relu1", "relu1", regressor=nn.Linear(5, 5))
    assert distill.hint_fit(student, network(0, 5), data, [match], **OPTIONS)


def test_a_regressor_has_the_dtype_of_the_features():
    between = distill.regressor(torch.ones(2, 3, dtype=torch.float64), torch.ones(2, 5))
    assert between(torch.ones(2, 3, dtype=torch.float64)).dtype == torch.float64
