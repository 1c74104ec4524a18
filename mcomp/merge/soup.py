"""Networks fine-tuned from one, averaged where that helps: Wortsman et al. 2022 (arXiv:2203.05482).

Derived in chapters/14_one_network_from_several.ipynb.
"""

from typing import NamedTuple

import torch

from mcomp.merge.means import average, same_shape

__all__ = ["Soup", "greedy_soup"]


class Soup(NamedTuple):
    """What `greedy_soup` cooks: the averaged network, which ones are in it, and its score after each try."""

    model: torch.nn.Module
    members: tuple
    scores: tuple


def greedy_soup(models, score):
    """Average the best with whatever doesn't make it worse: the greedy soup of arXiv:2203.05482, recipe 1.

    Parameters
    ----------
    models : sequence of torch.nn.Module
        Of one shape, usually fine-tuned from one network.
    score : callable
        ``score(model) -> float`` on *validation* data, higher is better: it is asked once for each network
        and once for each soup. A batch norm is recalibrated in there, if at all.

    Returns
    -------
    soup : Soup
        `members` are places in `models`, the best one first; at equal scores the earlier comes first.

    Examples
    --------
    >>> models = [torch.nn.Linear(1, 1) for _ in range(3)]
    >>> for model, w in zip(models, (1.0, 4.0, -1.0)):
    ...     _ = torch.nn.init.constant_(model.weight, w)
    >>> soup = greedy_soup(models, lambda model: -abs(model.weight.item()))
    >>> soup.members, soup.model.weight.item()
    ((0, 2), 0.0)
    """
    models = list(models)
    same_shape(models)
    alone = [float(score(model)) for model in models]
    order = sorted(range(len(models)), key=lambda i: -alone[i])
    members, best, scores = [order[0]], alone[order[0]], [alone[order[0]]]
    for i in order[1:]:
        tried = float(score(average([models[j] for j in (*members, i)])))
        if tried >= best:
            members, best = [*members, i], tried
        scores.append(best)
    return Soup(average([models[j] for j in members]), tuple(members), tuple(scores))
