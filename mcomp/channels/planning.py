"""Plans from scores: so much of each group, so much of all together, so few MACs, or exact widths.

Derived in chapters/04_removing_structure.ipynb.
"""

import numpy as np

from mcomp.arrays import bad_value, check_int, check_real
from mcomp.channels.plan import EmptiedError, Plan
from mcomp.prune.masks import global_topk_masks, kept_count, topk_mask

__all__ = ["plan_channels", "plan_for_macs", "plan_widths"]

SCOPES = ("local", "global")


def plan_channels(graph, scores, *, ratio, scope="local", multiple=1, at_least=None):
    """Plan to remove the channels of lowest score.

    Parameters
    ----------
    graph : ChannelGraph
    scores : dict of group name to real array (channels,)
        Larger stays (`mcomp.channels.scores`). Groups without scores stay whole. Ties: the earlier stays.
    ratio : float in [0, 1]
        Fraction of the channels to remove.
    scope : "local" or "global"
        Of each group, or of all channels together: then the scores must be comparable between groups
        (`mcomp.channels.scores.relative`).
    multiple : int
        What stays of a group is rounded up to a multiple of this, as far as there are channels.
    at_least : int, optional
        So many stay of each group, whatever their scores; the plan's `held` counts them. Unless given, a
        global plan keeps a tenth of each group and one at least: a ranking over all groups may want a whole
        layer, and no training brings that back. At 0, a plan that would empty a layer is refused.

    Returns
    -------
    plan : Plan
        An empty one where the graph has no groups: it says what stays, and why.

    Raises
    ------
    ValueError
        If an argument is out of range, scores don't fit the graph, or a layer would lose all its channels
        (`EmptiedError`).

    Examples
    --------
    >>> import torch
    >>> from mcomp.channels import channel_graph
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))
    >>> graph = channel_graph(model, torch.zeros(1, 2))
    >>> plan_channels(graph, {"0": np.array([3.0, 1.0, 2.0, 5.0])}, ratio=0.5)
    group  channels  stay  made by
    0             4     2  0
    parameters: 27 before, 15 after (55.6%)
    MACs: 20 before, 10 after (50.0%)
    """
    ratio = check_real("ratio", ratio, 0.0, 1.0)
    multiple, least = check_int("multiple", multiple, 1), _least(scope, at_least)
    if scope not in SCOPES:
        raise bad_value("scope", scope, f"one of {', '.join(SCOPES)}")
    scores = {name: _checked(graph, name, score) for name, score in scores.items()}
    if not scores and graph.groups:
        raise bad_value("scores", scores, f"one of {', '.join(graph.groups)} at least")
    if scope == "local" or not scores:
        counts = {name: kept_count(len(score), ratio) for name, score in scores.items()}
    else:
        masks = global_topk_masks(scores, kept_count(sum(map(len, scores.values())), ratio))
        counts = {name: int(mask.sum()) for name, mask in masks.items()}
    removed, held = {}, {}
    for name, score in scores.items():
        wanted = _rounded(counts[name], multiple, len(score))
        keep = _rounded(max(counts[name], least(len(score))), multiple, len(score))
        held |= {name: keep - wanted} if keep > wanted else {}
        removed[name] = np.flatnonzero(~topk_mask(score, keep))
    return Plan(graph, removed, held)


def _least(scope, at_least):
    """How many of n channels stay whatever their scores, as a function of n."""
    if at_least is None:
        return lambda n: max(1, n // 10) if scope == "global" else 0
    at_least = check_int("at_least", at_least, 0)
    return lambda n: min(at_least, n)


def _rounded(count, multiple, n):
    return min(n, -(-count // multiple) * multiple)


def plan_widths(graph, scores, widths):
    """Plan to keep so many channels of each group, those of largest score.

    Parameters
    ----------
    graph : ChannelGraph
    scores : dict of group name to real array (channels,)
    widths : dict of group name to int
        How many stay; other groups stay whole.

    Returns
    -------
    plan : Plan

    Raises
    ------
    ValueError
        If a group has no scores, a width is more than its channels, or a layer would lose all.

    Examples
    --------
    >>> import torch
    >>> from mcomp.channels import channel_graph
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))
    >>> graph = channel_graph(model, torch.zeros(1, 2))
    >>> plan_widths(graph, {"0": np.array([3.0, 1.0, 2.0, 5.0])}, {"0": 3}).removed
    {'0': array([1])}
    """
    removed = {}
    for name, width in widths.items():
        if name not in scores:
            raise bad_value("group", name, f"one with scores: {', '.join(scores)}")
        score = _checked(graph, name, scores[name])
        removed[name] = np.flatnonzero(
            ~topk_mask(score, check_int(f"widths[{name!r}]", width, 0, len(score)))
        )
    return Plan(graph, removed)


def _checked(graph, name, score):
    score = np.asarray(score, dtype=np.float64)
    if name not in graph.groups:
        Plan(graph, {name: []})  # complains, with the reason
    if score.shape != graph.groups[name].units.shape:
        raise bad_value(f"scores[{name!r}].shape", score.shape, f"{graph.groups[name].units.shape}")
    return score


def plan_for_macs(graph, scores, *, fraction, **options):
    """The mildest plan that leaves at most `fraction` of the MACs; `options` as of `plan_channels`.

    Raises
    ------
    ValueError
        As `plan_channels`, or if no plan gets there.

    Examples
    --------
    >>> import torch
    >>> from mcomp.channels import channel_graph
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))
    >>> graph = channel_graph(model, torch.zeros(1, 2))
    >>> plan_for_macs(graph, {"0": np.array([3.0, 1.0, 2.0, 5.0])}, fraction=0.8).macs()
    (20, 15)
    """
    fraction = check_real("fraction", fraction, 0.0, 1.0)
    low, high, best = 0, 1000, None  # ratios in thousandths; the number of MACs falls with the ratio
    while low <= high:
        middle = (low + high) // 2
        try:
            plan = plan_channels(graph, scores, ratio=middle / 1000, **options)
        except EmptiedError:
            high = middle - 1
            continue
        before, after = plan.macs()
        if after <= fraction * before:
            best, high = plan, middle - 1
        else:
            low = middle + 1
    if best is None:
        raise bad_value(
            "fraction", fraction, "more: no plan with these scores and options leaves so few MACs"
        )
    return best
