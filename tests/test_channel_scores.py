"""Scores of channels, plans and surgery."""

import copy
import math

import numpy as np
import pytest
import torch
import torch_pruning
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import mcomp
from mcomp import zoo
from mcomp.channels import (
    EmptiedError,
    Plan,
    activation_scores,
    channel_graph,
    channel_scores,
    gamma_scores,
    l1_scores,
    l2_scores,
    plan_channels,
    plan_for_macs,
    plan_widths,
    random_scores,
    recalibrate,
    relative,
    remove_channels,
    taylor_scores,
    unit_sums,
    zero_channels,
)
from mcomp.codecs import Sparse, attach, bake
from mcomp.course.results import read
from mcomp.measure import count_parameters, macs_by_layer
from mcomp.prune import kept_count, output_mean, output_std
from mcomp.sparse_training import prunable_weights

quick = settings(derandomize=True, deadline=None, max_examples=40)
X = torch.zeros(1, 1, 28, 28)


@pytest.fixture(scope="module")
def resnet():
    return zoo.load("resnet")


@pytest.fixture(scope="module")
def graph(resnet):
    return channel_graph(resnet, X)


@pytest.fixture(scope="module")
def scores(resnet, graph):
    return l2_scores(resnet, graph)


def mlp():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))


def test_l1_and_l2_are_lengths_of_what_makes_a_channel(resnet, graph):
    w = {name: w.numpy() for name, w in prunable_weights(resnet).items()}
    l1, l2 = l1_scores(resnet, graph), l2_scores(resnet, graph)
    for i in (0, 7, 15):
        rows = [*w["conv.weight"][i].ravel().tolist(), *w["block1.conv2.weight"][i].ravel().tolist()]
        assert l1["conv"][i] == pytest.approx(math.fsum(map(abs, rows)), rel=1e-6)  # float32 entries
        assert l2["conv"][i] == pytest.approx(math.hypot(*rows), rel=1e-6)
    assert l1["block3.conv1"][3] == pytest.approx(abs(w["block3.conv1.weight"][3]).sum(), rel=1e-6)


def test_l2_ranks_as_torch_pruning_does(resnet, graph, scores):
    importance = torch_pruning.importance.MagnitudeImportance(p=2, group_reduction="sum", normalizer=None)
    importance.target_types = [nn.modules.conv._ConvNd]
    peer = copy.deepcopy(resnet)
    tracked = torch_pruning.DependencyGraph().build_dependency(peer, example_inputs=X)
    module = peer.block1.conv1
    found = importance(
        tracked.get_pruning_group(module, torch_pruning.prune_conv_out_channels, list(range(16)))
    )
    w = prunable_weights(resnet)
    # torch-pruning adds the squares of the next layer's inputs to those of the channel's own weights
    both = w["block1.conv1.weight"].square().sum((1, 2, 3)) + w["block1.conv2.weight"].square().sum((0, 2, 3))
    torch.testing.assert_close(found, both, rtol=1e-5, atol=0)  # float32 sums
    own = found - w["block1.conv2.weight"].square().sum((0, 2, 3))
    np.testing.assert_allclose(scores["block1.conv1"], own.sqrt().numpy(), rtol=1e-4)


def test_gamma_is_the_scale_of_batch_norm(resnet, graph):
    found = gamma_scores(resnet, graph)
    assert found["block1.conv1"].tolist() == abs(resnet.block1.bn1.weight).double().tolist()
    coupled = abs(resnet.block2.bn2.weight).double() + abs(resnet.block2.skip[1].weight).double()
    assert found["block2.conv2"].tolist() == coupled.tolist()
    with pytest.raises(ValueError, match="group is '0'; allowed: one with a batch norm"):
        gamma_scores(mlp(), channel_graph(mlp(), torch.zeros(1, 3)))


def gated_loss(model, layer, channel, pair, gate):
    """The loss with one channel's output, behind its batch norm, multiplied by `gate`."""

    def hook(module, inputs, output):
        factor = torch.ones(output.shape[1], dtype=output.dtype)
        factor[channel] = gate
        return output * factor.reshape(1, -1, *(1,) * (output.ndim - 2))

    handle = layer.register_forward_hook(hook)
    with torch.no_grad():
        value = float(F.cross_entropy(model(pair[0]), pair[1]))
    handle.remove()
    return value


@pytest.mark.parametrize("which", ["batch norm", "bias"])
def test_taylor_is_the_slope_of_the_loss_along_the_gate(which):
    torch.manual_seed(1)
    if which == "bias":
        model, x, layer, group = mlp().double(), torch.randn(20, 3).double(), "2", "2"
    else:
        model, x = zoo.build("resnet", widths=(3, 4, 5)).double().eval(), torch.randn(20, 1, 8, 8).double()
        layer, group = "block2.bn1", "block2.conv1"
    y = torch.randint(0, 2, (20,))
    found = taylor_scores(model, channel_graph(model, x[:2]), (x, y), batch_size=7)[group]
    for channel in range(len(found)):
        values = [
            gated_loss(model, model.get_submodule(layer), channel, (x, y), g) for g in (1 - 1e-5, 1 + 1e-5)
        ]
        slope = abs(values[1] - values[0]) / 2e-5
        assert found[channel] == pytest.approx(slope, rel=1e-4, abs=1e-8)  # a central difference
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("statistic", [output_std, output_mean])
def test_activation_is_a_statistic_of_what_the_next_layer_reads(statistic):
    model, x = mlp(), torch.randn(50, 3)
    found = activation_scores(model, channel_graph(model, x), x, statistic=statistic)
    with torch.no_grad():
        np.testing.assert_allclose(found["0"], statistic(model[:2](x)).numpy(), rtol=1e-6)
        np.testing.assert_allclose(found["2"], statistic(model[:4](x)).numpy(), rtol=1e-6)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_activation_of_channels_on_the_last_axis_and_behind_a_flatten():
    torch.manual_seed(0)
    model, x = mlp(), torch.randn(10, 6, 3)  # ten sequences of six
    found = activation_scores(model, channel_graph(model, x), x, statistic=output_mean)
    np.testing.assert_allclose(found["0"], model[:2](x).mean((0, 1)).detach().numpy(), rtol=1e-5)
    model, x = (
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)),
        torch.randn(9, 1, 4, 4),
    )
    found = activation_scores(model, channel_graph(model, x), x, statistic=output_mean, batch_size=3)
    np.testing.assert_allclose(found["0"], model[:2](x).sum((2, 3)).mean(0).detach().numpy(), rtol=1e-5)


def test_sums_and_scores_refuse_what_does_not_fit(resnet, graph):
    with pytest.raises(ValueError, match=r"scores\['conv.weight'\] is 'missing'; allowed: an array of shape"):
        channel_scores(graph, {})
    wrong = {name: w[:1] for name, w in prunable_weights(resnet).items()}
    with pytest.raises(ValueError, match=r"scores\['conv.weight'\] is \(1, 1, 3, 3\)"):
        channel_scores(graph, wrong)
    with pytest.raises(ValueError, match="the shape of what belongs to"):
        unit_sums(graph, {("conv.weight", 0): np.ones(3)})
    with pytest.raises(ValueError, match=r"the mean of scores\['a'\] is 0.0"):
        relative({"a": np.zeros(2)})


def test_random_scores_repeat(graph):
    one, two = random_scores(graph, 3), random_scores(graph, 3)
    assert all(np.array_equal(one[name], two[name]) for name in graph.groups)
    assert not np.array_equal(one["conv"], random_scores(graph, 4)["conv"])


@quick
@given(data=st.data(), ratio=st.sampled_from([0.0, 0.2, 0.5, 0.7]), multiple=st.sampled_from([1, 4, 8]))
def test_a_local_plan_keeps_the_best_of_each_group(graph, data, ratio, multiple):
    few = st.integers(0, 3)  # four values: ties everywhere
    sizes = {name: len(group.units) for name, group in graph.groups.items()}
    ties = {name: np.array(data.draw(st.lists(few, min_size=n, max_size=n))) for name, n in sizes.items()}
    plan = plan_channels(graph, ties, ratio=ratio, multiple=multiple)
    for name, score in ties.items():
        n = len(score)
        keep = min(n, math.ceil(kept_count(n, ratio) / multiple) * multiple)
        best = sorted(range(n), key=lambda i: (-score[i], i))[:keep]
        assert sorted({*range(n)} - {*plan.removed.get(name, np.empty(0)).tolist()}) == sorted(best)


def test_a_global_plan_is_one_ranking(graph, scores):
    plan = plan_channels(graph, relative(scores), ratio=0.4, scope="global")
    every = sorted((s, n, i) for n, score in relative(scores).items() for i, s in enumerate(score))
    gone = {(n, i) for n, positions in plan.removed.items() for i in positions.tolist()}
    assert gone == {(n, i) for _, n, i in every[: round(0.4 * len(every))]}


def test_a_plan_that_empties_a_layer_is_refused_by_name(graph, scores):
    lost = {**scores, "block2.conv1": np.zeros(32)}
    with pytest.raises(ValueError, match=r"the plan for block2\.conv1 is 'to remove all 32 channels'"):
        plan_channels(graph, lost, ratio=1 / 7, scope="global", at_least=0)  # 32 of the 224 channels
    with pytest.raises(EmptiedError, match="the plan for conv is 'to remove all 16 channels'"):
        plan_channels(graph, scores, ratio=1.0)


def test_where_nothing_can_go_the_plan_is_empty_and_says_why():
    model = nn.Sequential(nn.Linear(3, 4), nn.Softmax(-1), nn.Linear(4, 2))
    graph = channel_graph(model, torch.zeros(1, 3))
    for scope in ("local", "global"):
        plan = plan_channels(graph, l1_scores(model, graph), ratio=0.5, scope=scope)
        assert plan.removed == {}
        assert "0 stays: 1 (Softmax) can't be followed" in repr(plan)
        assert "nothing can go" in repr(plan)


@pytest.mark.parametrize(("options", "stay"), [({"at_least": 3}, 3), ({}, 3), ({"multiple": 4}, 4)])
def test_a_global_plan_holds_a_part_of_each_group_and_says_so(graph, scores, options, stay):
    lost = {**scores, "block2.conv1": np.zeros(32)}
    plan = plan_channels(graph, lost, ratio=1 / 7, scope="global", **options)
    assert plan.shape("block2.conv1.weight") == (stay, len(plan.kept("block2.conv1.weight", 1)), 3, 3)
    assert plan.held == {"block2.conv1": stay}
    assert f"block2.conv1: {stay} stay only because every group must keep some" in repr(plan)
    assert plan_channels(graph, scores, ratio=0.9).held == {}  # a local plan holds nothing


@pytest.mark.parametrize(
    "call",
    [
        lambda g, s: plan_channels(g, s, ratio=1.1),
        lambda g, s: plan_channels(g, s, ratio=50),
        lambda g, s: plan_channels(g, s, ratio=0.5, scope="layer"),
        lambda g, s: plan_channels(g, s, ratio=0.5, multiple=0),
        lambda g, s: plan_channels(g, s, ratio=0.5, at_least=-1),
        lambda g, s: plan_channels(g, {}, ratio=0.5),
        lambda g, s: plan_channels(g, {"conv": np.ones(3)}, ratio=0.5),
        lambda g, s: plan_channels(g, {"conv": np.full(16, np.nan)}, ratio=0.5),
        lambda g, s: plan_channels(g, {"fc": np.ones(10)}, ratio=0.5),
        lambda g, s: plan_for_macs(g, s, fraction=0.001),
        lambda g, s: plan_for_macs(g, s, fraction=-1),
        lambda g, s: plan_for_macs(g, s, fraction=0.5, scope="both"),
        lambda g, s: plan_widths(g, s, {"conv": 17}),
        lambda g, s: plan_widths(g, s, {"conv": 0}),
        lambda g, s: plan_widths(g, s, {"fc": 2}),
        lambda g, s: Plan(g, {"conv": [0, 0]}),
        lambda g, s: Plan(g, {"conv": [-1]}),
        lambda g, s: Plan(g, {"conv": [16]}),
        lambda g, s: Plan(g, {"conv": [0.5]}),
        lambda g, s: Plan(g, {"conv": [[1, 2]]}),
        lambda g, s: Plan(g, {"nothing": [1]}),
    ],
)
def test_bad_plans(graph, scores, call):
    with pytest.raises(ValueError, match="allowed: "):
        call(graph, scores)


def test_a_refused_layer_says_why(graph):
    with pytest.raises(ValueError, match=r"group is 'fc'; .*; fc stays: it makes the network's output"):
        Plan(graph, {"fc": [0]})


@quick
@given(ratio=st.floats(0, 0.9), seed=st.integers(0, 9))
def test_a_plan_counts_what_surgery_leaves(resnet, graph, ratio, seed):
    plan = plan_channels(graph, random_scores(graph, seed), ratio=ratio)
    small = remove_channels(resnet, plan)
    assert plan.parameters() == (count_parameters(resnet), count_parameters(small))
    assert plan.macs() == tuple(sum(macs_by_layer(m, X).values()) for m in (resnet, small))
    assert all(plan.shape(name) == tuple(t.shape) for name, t in small.named_buffers())


@pytest.mark.parametrize("options", [{}, {"multiple": 4}, {"scope": "global", "at_least": 2}])
def test_the_plan_for_macs_is_the_mildest(graph, scores, options):
    plan = plan_for_macs(graph, scores, fraction=0.5, **options)
    every = [plan_channels(graph, scores, ratio=r / 1000, **options).macs()[1] for r in range(0, 700, 1)]
    assert plan.macs()[1] == max(m for m in every if m <= 0.5 * plan.macs()[0])


def test_a_ratio_removes_its_square_of_a_whole_matrix():
    model = nn.Sequential(*(nn.Conv2d(20, 20, 3, bias=False) for _ in range(4)))
    graph = channel_graph(model, torch.zeros(1, 20, 12, 12))
    plan = plan_channels(graph, l2_scores(model, graph), ratio=0.3)
    shapes = [plan.shape(f"{i}.weight") for i in range(4)]
    assert shapes == [(14, 20, 3, 3), (14, 14, 3, 3), (14, 14, 3, 3), (20, 14, 3, 3)]
    assert math.prod(shapes[1]) / 3600 == pytest.approx(0.7**2)


def test_repr_and_drawing_of_a_plan(graph, scores):
    plan = plan_channels(graph, scores, ratio=0.5)
    lines, small = repr(plan).splitlines(), zoo.build("resnet", widths=(8, 16, 32))
    assert lines[1].split() == ["conv", "16", "8", "conv,", "block1.conv2"]
    count, macs = count_parameters(small), sum(macs_by_layer(small, X).values())
    assert lines[-2].startswith(f"parameters: 77,754 before, {count:,} after (25.")
    assert lines[-1].startswith(f"MACs: 4,529,024 before, {macs:,} after (25.")
    ax = plan.draw(title="half")
    goes = [bar for bar in ax.patches if round(bar.get_height(), 6) == 0.4]
    assert (len(ax.patches), len(goes), ax.get_title(loc="left") or ax.get_title()) == (224, 112, "half")


def test_surgery_leaves_its_input_alone_and_keeps_the_rest(resnet, graph, scores):
    before = copy.deepcopy(resnet.state_dict())
    resnet.fc.weight.requires_grad_(False)
    small = remove_channels(resnet, plan_channels(graph, scores, ratio=0.5))
    resnet.fc.weight.requires_grad_(True)
    assert all(torch.equal(before[name], value) for name, value in resnet.state_dict().items())
    assert not small.fc.weight.requires_grad
    assert small.conv.weight.requires_grad
    assert not small.training
    assert remove_channels(copy.deepcopy(resnet).train(), Plan(graph, {})).training
    assert (small.fc.in_features, small.block1.bn1.num_features, small.block2.conv1.in_channels) == (32, 8, 8)


def test_zeroing_touches_what_makes_a_channel_and_nothing_that_reads_it(resnet, graph):
    masked = zero_channels(resnet, Plan(graph, {"conv": [3]}))
    assert not masked.conv.weight[3].any()
    assert not masked.block1.bn2.bias[3]
    changed = [n for n, p in masked.named_parameters() if not torch.equal(p, resnet.get_parameter(n))]
    assert set(changed) <= {f"{layer}.{leaf}" for layer in ("conv", "block1.conv2", "bn", "block1.bn2")
                            for leaf in ("weight", "bias")}  # fmt: skip


def test_a_plan_for_another_network_is_refused(resnet, graph):
    with pytest.raises(
        ValueError, match=r"the tensor conv.weight is 'of shape \(8, 1, 3, 3\)'; allowed: of shape"
    ):
        remove_channels(zoo.build("resnet", widths=(8, 32, 64)), Plan(graph, {}))
    with pytest.raises(ValueError, match=r"the tensor conv.weight is 'missing'"):
        remove_channels(mlp(), Plan(graph, {}))


def test_a_smaller_network_is_saved_trained_and_compressed_like_any_other(resnet, graph, scores, tmp_path):
    small = remove_channels(resnet, plan_channels(graph, scores, ratio=0.3))
    x = torch.randn(5, 1, 28, 28)
    mcomp.save(small, tmp_path / "small.safetensors")
    again = remove_channels(zoo.build("resnet"), plan_channels(graph, scores, ratio=0.3))
    assert torch.equal(mcomp.load(tmp_path / "small.safetensors", model=again)(x), small(x))
    assert torch.equal(mcomp.load(tmp_path / "small.safetensors")(x), small(x))  # the file knows the plan
    F.cross_entropy(small(x), torch.arange(5)).backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in small.parameters())
    attach(small, {"fc.weight": Sparse(0.5)})
    assert int((bake(small).fc.weight == 0).sum()) == small.fc.weight.numel() // 2


def test_recalibrating_is_one_batch_norm_over_all(resnet):
    x = torch.randn(40, 1, 28, 28) * 3 + 1
    before = copy.deepcopy(resnet.state_dict())
    one = recalibrate(resnet, x, batch_size=40)
    seen = resnet.conv(x)
    torch.testing.assert_close(one.bn.running_mean, seen.mean((0, 2, 3)).detach())
    torch.testing.assert_close(one.bn.running_var, seen.var((0, 2, 3)).detach())
    several = recalibrate(resnet, x, batch_size=16)  # three parts of 14, 13 and 13
    torch.testing.assert_close(several.bn.running_mean, seen.mean((0, 2, 3)).detach(), rtol=0.1, atol=0.1)
    assert not one.training
    assert one.bn.momentum == resnet.bn.momentum
    assert all(torch.equal(before[name], value) for name, value in resnet.state_dict().items())
    for bad in (lambda: recalibrate(resnet, x[:1]), lambda: recalibrate(resnet, x, batch_size=1)):
        with pytest.raises(ValueError, match="allowed: "):
            bad()


def test_the_experiments_are_of_one_network_and_equal_budgets():
    result, speed = read("04_removing_structure_resnet"), read("04_speed_resnet")
    methods = result["methods"]
    assert max(methods["half"]["macs"]) <= 0.5 * methods["control"]["macs"][0]
    assert methods["half"]["macs"] == methods["half, chance"]["macs"] == methods["half, from scratch"]["macs"]
    assert methods["third"]["macs"] == methods["third, from scratch"]["macs"]
    assert methods["third"]["macs"][0] == speed["networks"]["engine"]["macs"]
    assert methods["half"]["macs"][0] == speed["networks"]["half"]["macs"]
    assert set(result["tuned"]["chosen"]) == set(methods) - {"float32"}
    weights = {name: m["weights"] for name, m in read("04_removing_structure")["methods"].items()}
    for name in set(weights) - {"float32", "control"}:  # half of 266,200, or as near as whole neurons come
        assert np.allclose(weights[name], 133_100, atol=20)
