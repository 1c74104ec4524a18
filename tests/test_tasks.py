"""Task vectors, TIES and DARE against loops of their own, on numpy, torch and array-api-strict."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mcomp.arrays import array_namespace, is_torch_array
from mcomp.merge import add_tasks, dare, elect, merge_agreeing, merge_tasks, task_vector, ties, trim

NUMBER = st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0])
SIGNS = st.lists(st.lists(NUMBER, min_size=4, max_size=4), min_size=1, max_size=5)


def ties_loop(vectors, keep, zero):
    """Section 4.2 of arXiv:2306.01708 place by place, on lists."""
    trimmed = []
    for vector in vectors:
        order = sorted(range(len(vector)), key=lambda i: (-abs(vector[i]), i))
        kept = order[: round(keep * len(vector))]
        trimmed.append([v if i in kept else 0.0 for i, v in enumerate(vector)])
    sums = [sum(column) for column in zip(*trimmed, strict=True)]
    balance = sum((s > 0) - (s < 0) for s in sums)
    merged = []
    for column, total in zip(zip(*trimmed, strict=True), sums, strict=True):
        sign = math.copysign(1, total) if total else (-1 if zero == "majority" and balance < 0 else 1)
        agreeing = [v for v in column if v * sign > 0]
        merged.append(sum(agreeing) / len(agreeing) if agreeing else 0.0)
    return merged


@settings(max_examples=60, derandomize=True, deadline=None)
@given(SIGNS, st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.sampled_from(["majority", "plus"]))
def test_ties_is_the_loop_of_the_paper(vectors, keep, zero):
    found = ties(np.array(vectors), keep=keep, zero=zero)
    assert found.tolist() == pytest.approx(ties_loop(vectors, keep, zero))


def test_one_line_serves_every_array_library(xp):
    vectors = xp.asarray([[4.0, -1.0, 2.0, 0.1], [2.0, 3.0, -1.0, 0.2], [-1.0, 3.0, 0.0, 0.3]])
    for found, expected in (
        (ties(vectors, keep=0.5), [3.0, 3.0, 2.0, 0.0]),
        (trim(vectors[0, ...], keep=0.5), [4.0, 0.0, 2.0, 0.0]),
        (elect(vectors), [1.0, 1.0, 1.0, 1.0]),
        (merge_agreeing(vectors, elect(vectors)), [3.0, 3.0, 2.0, 0.2]),
    ):
        assert array_namespace(found) is array_namespace(vectors)
        assert [float(v) for v in found] == pytest.approx(expected)
    dropped = dare(xp.ones((40,)), drop=0.5, seed=1)
    assert [float(v) for v in dropped] == dare(np.ones(40), drop=0.5, seed=1).tolist()


def test_a_sum_of_zero_is_where_implementations_disagree():
    vectors = np.array([[1.0, -3.0, -2.0], [-1.0, -1.0, 0.0]])
    assert elect(vectors, zero="majority").tolist() == [-1.0, -1.0, -1.0]
    assert elect(vectors, zero="plus").tolist() == [1.0, -1.0, -1.0]
    assert ties(vectors, keep=1.0, zero="majority").tolist() == [-1.0, -2.0, -2.0]
    assert ties(vectors, keep=1.0, zero="plus").tolist() == [1.0, -2.0, -2.0]


# What peft 0.21.2 answers (peft.utils.merge_utils, all weights 1, density 0.5), asked once by hand: it would
# bring ten packages along, transformers and accelerate among them. Trimmed, the first column adds up to 0.
PEFT_ASKED = [[4, -1, 2, 0.5, -3, 1.5], [-4, 3, -2.25, 0.25, -1, -2.5], [1, -4, 0.75, 3, -0.5, 2.75]]
PEFT_TIES = {0.5: [4, -4, 2, 3, -3, 2.75], 1.0: [2.5, -2.5, 1.375, 1.25, -1.5, 2.125]}
PEFT_TRIMMED_SUM = [0, -1, 2, 3, -3, 0.25]  # magnitude_prune
PEFT_DREW = [
    [1, 0, 1, 1, 1, 0],
    [1, 0, 1, 0, 1, 1],
    [1, 1, 1, 0, 0, 0],
]  # random_pruning after manual_seed(0)
PEFT_DARE = {"linear": [2, -8, 1, 1, -8, -5], "ties": [5, -8, 2.75, 1, -4, -5]}


def test_ties_and_dare_are_those_of_peft(xp):
    asked = xp.asarray(PEFT_ASKED, dtype=xp.float64)
    for keep, wanted in PEFT_TIES.items():
        assert [float(v) for v in ties(asked, keep=keep, zero="plus")] == pytest.approx(wanted, abs=1e-12)
    trimmed = xp.stack([trim(asked[i, ...], keep=0.5) for i in range(3)])
    assert [float(v) for v in xp.sum(trimmed, axis=0)] == PEFT_TRIMMED_SUM
    kept = asked * xp.asarray(PEFT_DREW, dtype=xp.float64) / 0.5
    assert [float(v) for v in xp.sum(kept, axis=0)] == PEFT_DARE["linear"]
    merged = merge_agreeing(kept, elect(kept, zero="plus"))
    assert [float(v) for v in merged] == pytest.approx(PEFT_DARE["ties"], abs=1e-12)
    own = dare(asked, drop=0.5, seed=0)  # other draws, the same two values for each entry
    assert all(float(a) in (0.0, 2 * float(b)) for a, b in zip(_flat(own), _flat(asked), strict=True))


def _flat(values):
    return [values[i, j] for i in range(values.shape[0]) for j in range(values.shape[1])]


def test_dare_keeps_the_mean_and_drops_as_many_as_it_says():
    vector = np.random.default_rng(0).normal(size=200_000)
    found = dare(vector, drop=0.9, seed=0)
    kept = found != 0
    assert kept.mean() == pytest.approx(0.1, abs=0.004)  # six standard deviations
    assert np.allclose(found[kept], vector[kept] / 0.1)
    assert (dare(vector, drop=0.9, seed=1) != found).any()
    assert np.array_equal(dare(vector, drop=0.0, seed=0), vector)


class Tuned(nn.Module):
    """Two layers with the same first weight, and a batch norm."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.embed, self.norm, self.head = (
            nn.Linear(3, 4, bias=False),
            nn.BatchNorm1d(4),
            nn.Linear(3, 4, bias=False),
        )
        self.head.weight = self.embed.weight


def test_a_task_vector_added_to_its_base_is_the_tuned_network():
    base, tuned = Tuned(0), Tuned(1)
    vector = task_vector(tuned, base)
    assert [*vector] == ["embed.weight", "norm.weight", "norm.bias"], "a tied one counts once"
    before = copy.deepcopy(base.state_dict())
    added = add_tasks(base, vector)
    assert all(
        torch.allclose(p, q, atol=1e-7) for p, q in zip(added.parameters(), tuned.parameters(), strict=True)
    )
    assert added.head.weight is added.embed.weight
    assert all(torch.equal(before[n], t) for n, t in base.state_dict().items())
    negated = add_tasks(base, vector, scale=-1.0)
    assert torch.allclose(negated.embed.weight + added.embed.weight, 2 * base.embed.weight, atol=1e-6)


def test_scope_says_over_what_a_task_keeps_its_largest():
    large, small = torch.tensor([10.0, 9.0]), torch.tensor([1.0, 0.5])
    vectors = [{"a": large, "b": small}]
    over_all = merge_tasks(vectors, keep=0.5)
    in_each = merge_tasks(vectors, keep=0.5, scope="tensor")
    assert [over_all["a"].tolist(), over_all["b"].tolist()] == [[10.0, 9.0], [0.0, 0.0]]
    assert [in_each["a"].tolist(), in_each["b"].tolist()] == [[10.0, 0.0], [1.0, 0.0]]


def test_merging_whole_networks_is_ties_of_their_flat_vectors():
    base = Tuned(0)
    vectors = [task_vector(Tuned(seed), base) for seed in (1, 2, 3)]
    merged = merge_tasks(vectors, keep=0.4)
    flat = [torch.cat([v.flatten() for v in vector.values()]).tolist() for vector in vectors]
    found = torch.cat([merged[n].flatten() for n in vectors[0]]).tolist()
    assert found == pytest.approx(ties_loop(flat, 0.4, "majority"), abs=1e-6)  # float32 means
    assert not any(is_torch_array(v) and v.requires_grad for v in merged.values())


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: trim(np.ones(3), keep=1.5), "keep is 1.5"),
        (lambda: trim(np.array([np.nan]), keep=1), "NaN"),
        (lambda: elect(np.ones(3)), r"vectors\.shape"),
        (lambda: elect(np.ones((1, 3)), zero="minus"), "zero is 'minus'"),
        (lambda: merge_agreeing(np.ones((2, 3)), np.ones(2)), r"signs\.shape"),
        (lambda: dare(np.ones(3), drop=1.0, seed=0), "drop is 1.0"),
        (lambda: merge_tasks([]), r"vectors is \[\]"),
        (lambda: merge_tasks([{"a": torch.ones(2)}], scope="layer"), "scope is 'layer'"),
        (lambda: merge_tasks([{"a": torch.ones(2)}, {"b": torch.ones(2)}]), "the same names"),
        (lambda: add_tasks(Tuned(0), {"nose": torch.ones(2)}), "nose of shape"),
        (lambda: add_tasks(Tuned(0), {"embed.weight": torch.ones(2)}), r"embed\.weight of shape \(2,\)"),
        (lambda: task_vector(nn.Linear(2, 2), nn.Linear(2, 3)), "weight of network 1"),
    ],
)
def test_bad_tasks_are_refused(call, named):
    with pytest.raises(ValueError, match=named):
        call()
