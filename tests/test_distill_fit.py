"""distill.fit: the student follows a frozen teacher, by the same steps as a loop written out here."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mcomp import distill, train
from mcomp.pipeline import Recipe
from mcomp.pipeline import teaching as recipe_teaching


def network(seed, hidden=6):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(4, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(hidden, 3),
        ).eval()


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 4, generator=generator)
    return SimpleNamespace(train=(x, x[:, :3].argmax(1)))


def kept(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


OPTIONS = {"epochs": 3, "lr": 0.01, "batch_size": 16, "progress": False}


def test_it_is_train_fit_with_the_loss_of_hinton(data):
    """Oracle: torch's own kl_div and cross_entropy, the teacher asked in every step."""
    teacher, ours, theirs = network(0, 12), network(1), network(1)

    def loss(logits, batch):
        with torch.no_grad():
            target = F.softmax(teacher(batch.x) / 3, 1)
        soft = 9 * F.kl_div(F.log_softmax(logits / 3, 1), target, reduction="batchmean")
        return 0.7 * soft + 0.3 * F.cross_entropy(logits, batch.y)

    a = distill.fit(ours, teacher, data, T=3, alpha=0.7, **OPTIONS)
    b = train.fit(theirs, data, loss=loss, **OPTIONS)
    assert [epoch["loss"] for epoch in a] == pytest.approx([epoch["loss"] for epoch in b], rel=1e-4)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-4)  # float32, twelve steps of Adam


def test_the_student_moves_and_the_teacher_does_not(data):
    teacher, student = network(0, 12).train(), network(1)
    before, start = kept(teacher), kept(student)
    distill.fit(student, teacher, data, augment=lambda x, generator: x, **OPTIONS)
    assert same(before, teacher.state_dict())  # not even its running statistics
    assert teacher.training
    assert all(p.grad is None for p in teacher.parameters())
    assert not same(start, student.state_dict())


def test_logits_computed_before_and_an_augmentation_that_changes_nothing_agree(data):
    teacher, students = network(0, 12), [network(1) for _ in range(3)]
    logits = train.predict(teacher, data.train[0])
    distill.fit(students[0], teacher, data, **OPTIONS)
    distill.fit(students[1], logits, data, **OPTIONS)
    distill.fit(students[2], teacher, data, augment=lambda x, generator: x, **OPTIONS)
    assert same(students[0].state_dict(), students[1].state_dict())
    for p, q in zip(students[0].parameters(), students[2].parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-3, atol=1e-4)  # a product of other batches rounds otherwise


def test_the_teacher_sees_the_augmented_images():
    seen = []

    class Teacher(nn.Linear):
        def forward(self, x):
            seen.append(x.clone())
            return super().forward(x)

    student = nn.Linear(2, 3)
    options = {"epochs": 1, "batch_size": 4, "progress": False}
    distill.fit(student, Teacher(2, 3), torch.zeros(4, 2), augment=lambda x, generator: x + 1, **options)
    assert len(seen) == 1
    assert torch.equal(seen[0], torch.ones(4, 2))


def test_several_teachers_are_averaged(data):
    teachers, students = [network(0, 12), network(5, 9)], [network(1) for _ in range(2)]
    mean = sum(train.predict(teacher, data.train[0]) for teacher in teachers) / 2
    distill.fit(students[0], teachers, data, **OPTIONS)
    distill.fit(students[1], mean, data, **OPTIONS)
    assert same(students[0].state_dict(), students[1].state_dict())


def test_alpha_one_needs_no_labels_and_alpha_zero_no_teacher(data):
    teacher, students = network(0, 12), [network(1) for _ in range(4)]
    distill.fit(students[0], teacher, data, **OPTIONS)
    distill.fit(students[1], teacher, data.train[0], **OPTIONS)
    assert same(students[0].state_dict(), students[1].state_dict())
    distill.fit(students[2], teacher, data, alpha=0, **OPTIONS)
    train.fit(students[3], data, **OPTIONS)
    assert same(students[2].state_dict(), students[3].state_dict())


def test_another_loss(data):
    teacher, students = network(0, 12), [network(1) for _ in range(2)]
    logits = train.predict(teacher, data.train[0])

    def decoupled(student, teacher, labels):
        return distill.decoupled_kd_loss(student, teacher, labels=labels, T=2.0)

    def by_hand(student, batch):
        return decoupled(student, logits[batch.index], batch.y)

    distill.fit(students[0], teacher, data, loss=decoupled, **OPTIONS)
    train.fit(students[1], data, loss=by_hand, **OPTIONS)
    assert same(students[0].state_dict(), students[1].state_dict())


def test_a_student_follows_itself_as_it_was(data):
    student = network(1)
    before = copy.deepcopy(student)
    other = network(1)
    distill.fit(student, student, data, **OPTIONS)
    distill.fit(other, before, data, **OPTIONS)
    assert same(student.state_dict(), other.state_dict())


def test_a_student_as_large_as_its_teacher_comes_to_agree(data):
    teacher, student = nn.Linear(4, 3), nn.Linear(4, 3)
    distill.fit(student, teacher, data, T=2, epochs=100, lr=0.05, batch_size=16, progress=False)
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(9))
    # convex, and zero where they agree: probabilities within 1 % after 400 steps
    torch.testing.assert_close(student(x).softmax(1), teacher(x).softmax(1), rtol=0, atol=0.01)


def test_recipes_use_the_same_way(data):
    student, logits = network(1), torch.randn(64, 3)
    recipe = Recipe(teacher="self", temperature=2.0)
    batch = train.Batch(data.train[0][:5], data.train[1][:5], torch.arange(5))
    ours = distill.teaching(student, data, T=2.0)(logits[:5], batch)
    assert torch.equal(recipe_teaching(student, recipe, data)(logits[:5], batch), ours)


@pytest.mark.parametrize(
    "change",
    [
        {"alpha": 1.5},
        {"alpha": -0.1},
        {"T": 0},
        {"teacher": "resnet"},
        {"teacher": []},
        {"teacher": torch.zeros(5, 3)},
        {"teacher": torch.zeros(64)},
        {"teacher": torch.zeros(64, 3), "augment": lambda x, generator: x},
        {"teacher": torch.zeros(64, 4)},
        {"augment": True},
        {"data": torch.zeros(64, 4), "alpha": 0.5},
        {"epochs": -1},
    ],
)
def test_bad_arguments(data, change):
    arguments = {"teacher": network(0), "data": data, **OPTIONS, **change}
    with pytest.raises(ValueError, match="allowed: "):
        distill.fit(network(1), arguments.pop("teacher"), arguments.pop("data"), **arguments)


def test_a_student_that_would_follow_itself_while_it_moves(data):
    student = network(1)
    with pytest.raises(ValueError, match="a copy of it"):
        distill.fit(student, student, data, augment=lambda x, generator: x, **OPTIONS)
