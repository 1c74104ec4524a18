import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from torch.nn.utils import prune

from mcomp.arrays import to_numpy
from mcomp.prune import (
    global_topk_masks,
    kept_count,
    relative_threshold_mask,
    sparsity,
    threshold_mask,
    topk_mask,
)

quick = settings(derandomize=True, deadline=None, max_examples=80)
few = st.integers(-2, 2).map(float)  # five values: ties everywhere
tied = npst.arrays(np.float32, npst.array_shapes(min_dims=0, max_dims=4, max_side=4), elements=few)


def topk_loop(scores, k):
    """The definition: sort all (score, position) and take the first k; `scores` is a list of flat lists."""
    order = sorted((-v, i, j) for i, score in enumerate(scores) for j, v in enumerate(score))
    kept = {(i, j) for _, i, j in order[:k]}
    return [[(i, j) in kept for j in range(len(score))] for i, score in enumerate(scores)]


@quick
@given(data=st.data(), a=tied)
def test_topk_mask_is_the_sorted_loop(xp, data, a):
    k = data.draw(st.integers(0, a.size))
    score = xp.asarray(a.copy())
    mask = topk_mask(score, k)
    assert mask.dtype == xp.bool
    assert tuple(mask.shape) == a.shape
    assert to_numpy(mask).flatten().tolist() == topk_loop([a.flatten().tolist()], k)[0]
    assert (to_numpy(score) == a).all()


@quick
@given(data=st.data(), parts=st.lists(tied, min_size=1, max_size=4))
def test_global_topk_masks_are_the_sorted_loop(xp, data, parts):
    k = data.draw(st.integers(0, sum(a.size for a in parts)))
    masks = global_topk_masks({f"layer{9 - i}": xp.asarray(a) for i, a in enumerate(parts)}, k)
    assert list(masks) == [f"layer{9 - i}" for i in range(len(parts))]
    assert [tuple(m.shape) for m in masks.values()] == [a.shape for a in parts]
    expected = topk_loop([a.flatten().tolist() for a in parts], k)
    assert [to_numpy(m).flatten().tolist() for m in masks.values()] == expected


def test_global_masks_have_memory_of_their_own():
    masks = global_topk_masks({"a": torch.ones(3), "b": torch.ones(4)}, 5)
    assert len({m.untyped_storage().data_ptr() for m in masks.values()}) == 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.uint8])
def test_topk_mask_of_any_real_dtype(dtype):
    assert topk_mask(torch.tensor([[2, 5], [5, 1]]).to(dtype), 2).tolist() == [[False, True], [True, False]]


def test_topk_mask_of_a_view_and_of_a_parameter():
    w = torch.nn.Parameter(torch.tensor([[-4.0, 1.0], [2.0, 3.0]]))
    assert topk_mask(abs(w).T, 2).tolist() == [[True, False], [False, True]]
    assert topk_mask(np.arange(8.0)[::-2], 1).tolist() == [True, False, False, False]


def test_topk_mask_agrees_with_torch_prune():
    layer = torch.nn.Linear(30, 40)
    ours = topk_mask(abs(layer.weight), 1200 - 900)
    prune.l1_unstructured(layer, "weight", amount=900)
    assert torch.equal(ours, layer.weight_mask.bool())


def test_global_topk_masks_agree_with_torch_prune():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(20, 30), torch.nn.Conv2d(3, 5, 3))
    ours = global_topk_masks({str(i): abs(m.weight) for i, m in enumerate(model)}, 735 - 500)
    prune.global_unstructured([(m, "weight") for m in model], prune.L1Unstructured, amount=500)
    for i, m in enumerate(model):
        assert torch.equal(ours[str(i)], m.weight_mask.bool())


@quick
@given(a=tied, theta=st.sampled_from([-2.5, -1.0, 0.0, 0.5, 1.0, 2.0]))
def test_threshold_mask_keeps_what_is_larger(xp, a, theta):
    for b in (a, a.astype(np.int8)):
        mask = threshold_mask(xp.asarray(b), theta)
        assert to_numpy(mask).flatten().tolist() == [v > theta for v in a.flatten().tolist()]


@pytest.mark.parametrize(("theta", "kept"), [(1000, False), (-1000.5, True), (2.5, True), (3, False)])
def test_threshold_mask_of_small_integers_does_not_wrap(xp, theta, kept):
    assert to_numpy(threshold_mask(xp.asarray(np.array([3], dtype=np.int8)), theta)).tolist() == [kept]


@quick
@given(a=tied, alpha=st.sampled_from([0, 0.25, 0.5, 0.75, 1.0]))
def test_relative_threshold_mask_keeps_what_is_larger_than_its_share(xp, a, alpha):
    a = abs(a)
    mask = relative_threshold_mask(xp.asarray(a), alpha)
    assert to_numpy(mask).flatten().tolist() == [v > alpha * a.max() for v in a.flatten().tolist()]


def test_relative_threshold_mask_at_the_ends():
    a = np.array([0.0, 0.3, 0.7])
    assert relative_threshold_mask(a, 0).tolist() == [False, True, True]
    assert not relative_threshold_mask(a, 1).any()


def test_relative_threshold_mask_refuses_weights_for_scores(xp):
    with pytest.raises(ValueError, match=r"least score is -0.5; allowed: .* abs\(w\)"):
        relative_threshold_mask(xp.asarray(np.array([1.0, -0.5])), 0.1)


@quick
@given(a=tied)
def test_magnitude_is_the_nearest_sparse_array(a):
    k = a.size // 2
    ours = ((a - a * topk_mask(abs(a), k)) ** 2).sum()
    every = [np.array(list(np.binary_repr(i, a.size)), int) for i in range(2 ** min(a.size, 8))]
    others = [((a.flatten() * (1 - m)) ** 2).sum() for m in every if len(m) == a.size and m.sum() == k]
    assert all(ours <= other for other in others)


@quick
@given(a=tied)
def test_sparsity_counts_zeros(xp, a):
    flat = a.flatten().tolist()
    assert sparsity(xp.asarray(a)) == flat.count(0) / len(flat)
    assert sparsity(xp.asarray(a > 0)) == sum(v <= 0 for v in flat) / len(flat)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 45, 1000])
@pytest.mark.parametrize("s", [0.0, 0.1, 0.25, 0.5, 0.9, 0.975, 1.0])
def test_kept_count_is_what_torch_prune_keeps(n, s):
    layer = torch.nn.Linear(n, 1)
    prune.l1_unstructured(layer, "weight", amount=float(s))
    assert kept_count(n, s) == int(layer.weight_mask.sum())


bad = [np.array([1.0, np.nan]), np.array([np.inf, 1.0]), np.zeros(0), np.array([True, False])]


@pytest.mark.parametrize("a", bad, ids=["NaN", "inf", "empty", "bool"])
@pytest.mark.parametrize(
    "call",
    [
        lambda s: topk_mask(s, 0),
        lambda s: topk_mask(s, 1),
        lambda s: threshold_mask(s, 0.1),
        lambda s: relative_threshold_mask(s, 0.1),
        lambda s: global_topk_masks({"good": s[:0] + 1 if s.shape == (0,) else s, "bad": s}, 1),
    ],
)
def test_bad_scores(xp, a, call):
    with pytest.raises(ValueError, match="allowed: "):
        call(xp.asarray(a))


def test_bad_scores_are_named():
    with pytest.raises(ValueError, match=r"scores\['fc2'\] holds 1 NaN"):
        global_topk_masks({"fc1": np.ones(2), "fc2": np.array([np.nan])}, 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: topk_mask(np.ones(3), 4),
        lambda: topk_mask(np.ones(3), -1),
        lambda: topk_mask(np.ones(3), 0.9),
        lambda: threshold_mask(np.ones(3), np.nan),
        lambda: relative_threshold_mask(np.ones(3), 1.2),
        lambda: relative_threshold_mask(np.ones(3), -0.1),
        lambda: global_topk_masks({}, 0),
        lambda: global_topk_masks({"a": np.ones(3), "b": np.ones(2)}, 6),
        lambda: sparsity(np.zeros(0)),
        lambda: sparsity(np.array([np.nan])),
        lambda: kept_count(10, 90),
        lambda: kept_count(-1, 0.5),
    ],
)
def test_bad_arguments(call):
    with pytest.raises(ValueError, match="allowed: "):
        call()


@pytest.fixture
def model():
    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.Flatten(), torch.nn.Linear(12, 5)
    )


def mean_answer(model):
    x = torch.linspace(-1, 1, 8 * 16).reshape(8, 1, 4, 4)
    with torch.no_grad():
        return model.eval()(x).abs().mean().item()


def test_sensitivity_scan_agrees_with_torch_prune(model):
    from mcomp.sparse_training import sensitivity_scan

    before = copy.deepcopy(model.state_dict())
    scan = sensitivity_scan(model, mean_answer, sparsities=(0.0, 0.5, 0.9), progress=False)
    assert scan["baseline"] == mean_answer(model.eval())
    assert scan["sparsities"] == [0.0, 0.5, 0.9]
    assert list(scan["accuracy"]) == ["0.weight", "3.weight"]
    for i in (0, 3):
        for s, value in zip(scan["sparsities"], scan["accuracy"][f"{i}.weight"], strict=True):
            other = copy.deepcopy(model)
            prune.l1_unstructured(other[i], "weight", amount=s)
            assert value == mean_answer(other)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_sensitivity_scan_leaves_model_and_mode_alone(model):
    from mcomp.sparse_training import sensitivity_scan

    model.train()
    seen = []
    sensitivity_scan(
        model, lambda m: seen.append(m) or 1, sparsities=[0.5], names=["3.weight"], progress=False
    )
    assert len(seen) == 2
    assert all(m is not model for m in seen)
    assert model.training


def test_sensitivity_scan_shows_its_progress(model, capsys):
    from mcomp.sparse_training import sensitivity_scan

    sensitivity_scan(model, lambda m: 0.5, sparsities=[0.5])
    assert "evaluation" in capsys.readouterr().err


@pytest.mark.parametrize("names", [["4.weight"], []])
def test_sensitivity_scan_refuses_unknown_names(model, names):
    from mcomp.sparse_training import sensitivity_scan

    with pytest.raises(ValueError, match=r"allowed: (one of 0\.weight, 0\.bias|at least one weight)"):
        sensitivity_scan(model, mean_answer, names=names, progress=False)


def test_sensitivity_scan_refuses_percent_and_a_model_without_weights(model):
    from mcomp.sparse_training import sensitivity_scan

    with pytest.raises(ValueError, match="sparsity is 90"):
        sensitivity_scan(model, mean_answer, sparsities=[90], progress=False)
    with pytest.raises(ValueError, match="at least one weight"):
        sensitivity_scan(torch.nn.ReLU(), mean_answer, progress=False)
