"""Which layer bears how much: accuracy when one layer alone is pruned by magnitude.

The scan by layer of Han et al. 2015, arXiv:1506.02626.
"""

import copy

from tqdm.auto import tqdm

from mcomp.arrays import bad_value, check_real
from mcomp.layers import tell, untouched
from mcomp.prune.masks import kept_count, topk_mask
from mcomp.sparse_training.network import weights_of

SPARSITIES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


def sensitivity_scan(model, evaluate, *, sparsities=SPARSITIES, names=None, progress=True):
    """Prune each layer alone to each sparsity, without fine-tuning, and evaluate.

    Parameters
    ----------
    model : torch.nn.Module
        Not changed: the scan works on a copy.
    evaluate : callable
        ``evaluate(model) -> float``, for example the accuracy on the validation images.
    sparsities : sequence of float in [0, 1]
        Fractions of zeros.
    names : sequence of str, optional
        Parameters to prune, as in ``model.named_parameters()``. Default: those of `prunable_weights`; a line
        says which others have two or more axes.
    progress : bool
        Show a progress bar.

    Returns
    -------
    scan : dict
        ``{"baseline": float, "sparsities": [float, ...], "accuracy": {name: [float, ...]}}``, ready for JSON;
        an accuracy for each of the sparsities.

    Raises
    ------
    ValueError
        If a sparsity is out of range, a name unknown, or there is nothing to prune.
    """
    sparsities = [check_real("sparsity", s, 0, 1) for s in sparsities]
    model = copy.deepcopy(model)
    weights = _chosen(model, names)
    with tqdm(
        total=1 + len(weights) * len(sparsities), disable=not progress, unit="evaluation", leave=False
    ) as bar:

        def score():
            value = float(evaluate(model))
            bar.update()
            return value

        baseline = score()
        accuracy = {name: _one_layer(w.detach(), sparsities, score) for name, w in weights.items()}
    return {"baseline": baseline, "sparsities": sparsities, "accuracy": accuracy}


def _chosen(model, names):
    parameters = dict(model.named_parameters())
    if names is None:
        tell("not scanned", untouched(model))
        names = list(weights_of(model))
    for name in names:
        if name not in parameters:
            raise bad_value("name", name, f"one of {', '.join(parameters)}")
    if not names:
        raise bad_value("names", names, "at least one weight with two or more axes")
    return {name: parameters[name] for name in names}


def _one_layer(w, sparsities, score):
    whole, values = w.clone(), []
    for s in sparsities:
        w.mul_(topk_mask(abs(whole), kept_count(w.numel(), s)))  # w is the copy's own memory
        values.append(score())
        w.copy_(whole)
    return values
