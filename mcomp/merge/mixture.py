"""A mixture of experts: a gate sends each input to a few of several networks, or weighs the answers of all.

Derived in chapters/14b_tasks_and_ensembles.ipynb. Sparse gates: Shazeer et al. 2017 (arXiv:1701.06538); the
balance loss of Fedus et al. 2022 (Switch, arXiv:2101.03961, eq. 4).
"""

from torch import nn

from mcomp.arrays import array_namespace, bad_value, check_int

__all__ = ["Mixture", "balance_loss"]


class Mixture(nn.Module):
    """Each input goes to the `k` experts with the highest gate, whose answers are summed with those gates.

    With all of them chosen it is a sum of branches with a learned gate: each answers every input, and the
    gate, computed from that input, says how much it counts. It may stand inside of a network.

    Parameters
    ----------
    experts : sequence of torch.nn.Module
        x (batch, ...) -> logits (batch, classes), or features (batch, ...), of one shape for all experts.
    gate : torch.nn.Module
        x -> (batch, experts), before the softmax.
    k : int
        From 1 to the number of experts. The gates of the others count as 0 and those of the chosen aren't
        scaled up, so that with k = 1 the gate still gets a gradient (Switch, eq. 2).

    Attributes
    ----------
    probabilities : tensor (batch, experts)
        The gates of the last call, for `balance_loss`.
    chosen : int tensor (batch, k)

    Examples
    --------
    >>> import torch
    >>> mixture = Mixture([nn.Linear(2, 3), nn.Linear(2, 3)], nn.Linear(2, 2), k=1)
    >>> mixture(torch.ones(4, 2)).shape, mixture.chosen.shape
    (torch.Size([4, 3]), torch.Size([4, 1]))
    """

    def __init__(self, experts, gate, *, k=1):
        super().__init__()
        self.experts, self.gate = nn.ModuleList(experts), gate
        self.k = check_int("k", k, 1, len(self.experts))

    def forward(self, x):
        self.probabilities = self.gate(x).softmax(-1)
        if self.probabilities.shape[1:] != (len(self.experts),):
            raise bad_value(
                "the gate's output", tuple(self.probabilities.shape), f"(batch, {len(self.experts)})"
            )
        gates, self.chosen = self.probabilities.topk(self.k, dim=-1)
        answer = None
        for i, expert in enumerate(self.experts):
            rows, place = (self.chosen == i).nonzero(as_tuple=True)
            if len(rows):
                said = expert(x[rows])
                part = gates[rows, place].reshape(-1, *[1] * (said.ndim - 1)) * said
                answer = part.new_zeros(len(x), *part.shape[1:]) if answer is None else answer
                answer = answer.index_add(0, rows, part)
        return answer


def balance_loss(probabilities, chosen):
    """n · Σ_i f_i P_i: 1 where all n experts get as many inputs, n where one has all gates; eq. 4.

    f_i is the share of inputs whose first choice is expert i (no gradient), P_i the mean of its gates.

    Parameters
    ----------
    probabilities : float array (batch, experts)
    chosen : int array (batch,) or (batch, k), the first choice first

    Examples
    --------
    >>> import numpy as np
    >>> balance_loss(np.array([[0.5, 0.5], [0.5, 0.5]]), np.array([0, 1])).item()
    1.0
    """
    xp = array_namespace(probabilities)
    first = chosen[:, 0] if chosen.ndim == 2 else chosen
    if probabilities.ndim != 2 or tuple(first.shape) != tuple(probabilities.shape[:1]) or not first.shape[0]:
        raise bad_value(
            "the shapes", (tuple(probabilities.shape), tuple(chosen.shape)), "(n, e) and (n,) or (n, k)"
        )
    n = probabilities.shape[1]
    shares = xp.stack([xp.mean(xp.astype(first == i, probabilities.dtype)) for i in range(n)])
    return n * xp.sum(shares * xp.mean(probabilities, axis=0))
