"""How much each task's loss counts: by uncertainty, by the size of the gradients.

Derived in chapters/15_one_trunk_several_tasks.ipynb. Uncertainty: Kendall et al. 2018 (arXiv:1705.07115,
eq. 10). Gradient normalisation: Chen et al. 2018 (GradNorm, arXiv:1711.02257, eq. 1 and 2).
"""

import torch
from torch import nn

from mcomp.arrays import array_namespace, bad_value, check_finite, check_real

__all__ = ["Uncertainty", "gradnorm_loss", "gradnorm_targets", "resting_weights"]


class Uncertainty(nn.Module):
    """The sum of losses, each weighted by a learned noise s = log sigma^2 and charged for it.

    A regression loss L counts exp(-s) L / 2 + s / 2, a classification loss exp(-s) L + s / 2. At rest both
    weights are 1 / (2 L) (`resting_weights`): what is minimised is half the sum of log L, the product of the
    losses, so the total may be negative, and clipping it at 0 is another method.

    Parameters
    ----------
    kinds : dict of task name to "regression" or "classification"

    Examples
    --------
    >>> total = Uncertainty({"edges": "regression", "digit": "classification"})
    >>> total({"edges": torch.tensor(2.0), "digit": torch.tensor(1.0)}).item()
    2.0
    """

    def __init__(self, kinds):
        super().__init__()
        for name, kind in kinds.items():
            if kind not in ("regression", "classification"):
                raise bad_value(f"the kind of {name}", kind, "'regression' or 'classification'")
        self.kinds = dict(kinds)
        self.log_variances = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in kinds})

    def weights(self):
        """What each task's loss is multiplied with now, in the order of `kinds`."""
        halves = {"regression": 0.5, "classification": 1.0}
        return {name: halves[kind] * (-self.log_variances[name]).exp() for name, kind in self.kinds.items()}

    def forward(self, losses):
        if losses.keys() != self.kinds.keys():
            raise bad_value("the losses", sorted(losses), f"one for each of {sorted(self.kinds)}")
        weights = self.weights()
        return sum(weights[n] * losses[n] + self.log_variances[n] / 2 for n in self.kinds)


def resting_weights(losses):
    """1 / (2 L): the weights of `Uncertainty` where its gradient in s is zero.

    d/ds (exp(-s) L / 2 + s / 2) = 0 gives exp(-s) = 1 / L, hence the weight 1 / (2 L); for classification
    exp(-s) = 1 / (2 L), hence the same.

    Parameters
    ----------
    losses : float array (tasks,), more than 0

    Examples
    --------
    >>> import numpy as np
    >>> resting_weights(np.array([0.5, 2.0]))
    array([1.  , 0.25])
    """
    xp = array_namespace(losses)
    check_finite("losses", losses)
    if not bool(xp.all(losses > 0)):
        raise bad_value("the least loss", float(xp.min(losses)), "more than 0")
    return 1 / (2 * losses)


def gradnorm_targets(norms, losses, first_losses, *, alpha=1.5):
    """How large each task's weighted gradient should be: mean norm times (relative rate) ** alpha.

    A task's rate is its loss over its first loss, divided by the mean of those: one that lags gets more.

    Parameters
    ----------
    norms : float array (tasks,)
        Of the gradients of the weighted losses in the last shared layer.
    losses, first_losses : float array (tasks,), more than 0
    alpha : float
        0 pulls all norms to their mean.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones(2)
    >>> gradnorm_targets(np.array([3.0, 1.0]), np.array([0.5, 1.5]), one, alpha=1.0)
    array([1., 3.])
    """
    xp = array_namespace(norms, losses, first_losses)
    check_real("alpha", alpha)
    for name, values in (("norms", norms), ("losses", losses), ("first_losses", first_losses)):
        check_finite(name, values)
        if tuple(values.shape) != tuple(norms.shape) or values.ndim != 1:
            raise bad_value(f"{name}.shape", tuple(values.shape), "(tasks,), alike for all")
    if not bool(xp.all(losses > 0)) or not bool(xp.all(first_losses > 0)):
        raise bad_value("the losses", "0 or less somewhere", "more than 0")
    rates = losses / first_losses
    return xp.mean(norms) * (rates / xp.mean(rates)) ** alpha


def gradnorm_loss(norms, targets):
    """The sum of |norm - target| over the tasks, eq. 2: trained by the weights alone, targets held.

    Examples
    --------
    >>> import numpy as np
    >>> gradnorm_loss(np.array([3.0, 1.0]), np.array([1.0, 3.0])).item()
    4.0
    """
    xp = array_namespace(norms, targets)
    if tuple(norms.shape) != tuple(targets.shape):
        raise bad_value("targets.shape", tuple(targets.shape), f"{tuple(norms.shape)}, that of norms")
    return xp.sum(xp.abs(norms - targets))
